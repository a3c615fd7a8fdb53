import { Agent, request } from "node:http"

export type Call = { method: string; path: string; headers?: Record<string, string>; body?: unknown; expected: number }
export type Answer = {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  /** Milliseconds from sending to the last byte. */
  ms: number
}

export const clients = 16
const agent = new Agent({ keepAlive: true, maxSockets: 128 })

export const closeConnections = (): void => agent.destroy()

/** One request over a kept connection. Throws for every status but the expected ones. */
export async function send(url: URL, call: Call, expected: number[] = [call.expected]): Promise<Answer> {
  const answer = await ask(url, call)
  if (expected.includes(answer.status)) return answer
  throw new Error(`${call.method} ${call.path} was answered with ${answer.status}: ${answer.body}`)
}

/** One request over a kept connection, however it is answered. */
export function ask(url: URL, { method, path, headers, body }: Omit<Call, "expected">): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const start = performance.now()
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { agent, host: url.hostname, port: url.port, method, path, headers: { ...headers, ...sized(text) } },
      (response) => {
        const chunks: Buffer[] = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
            ms: performance.now() - start,
          }),
        )
      },
    )
    outgoing.on("error", reject)
    outgoing.end(text)
  })
}

const sized = (text: string | undefined) =>
  text === undefined ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }

export type Figures = { perSecond: number; p50: number; p99: number; answers: number }

export type Target = { url: URL; next: () => Call; seen?: (answer: Answer, call: Call) => void }

/** Sends what `next` gives, 16 at a time, for a while. */
export async function load({ url, next, seen }: Target, seconds: number): Promise<Figures> {
  const start = performance.now()
  const end = start + seconds * 1_000
  const times: number[] = []
  async function client(): Promise<void> {
    while (performance.now() < end) {
      const call = next()
      const answer = await send(url, call)
      times.push(answer.ms)
      seen?.(answer, call)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return figuresOf(times, (performance.now() - start) / 1_000)
}

export const figuresOf = (times: number[], seconds: number): Figures => ({
  perSecond: times.length / seconds,
  p50: median(times),
  p99: quantile(times, 0.99),
  answers: times.length,
})

/** Loads each target in turns, and takes the median of each. */
export async function inTurns(targets: Target[], { rounds, seconds }: { rounds: number; seconds: number }) {
  for (const target of targets) await load(target, warmUpSeconds(seconds))
  const figures = targets.map((): Figures[] => [])
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, target] of targets.entries()) figures[at]?.push(await load(target, seconds))
  }
  return figures.map(middle)
}

export const warmUpSeconds = (seconds: number): number => Math.min(1, seconds)

export const middle = (figures: Figures[]): Figures => ({
  perSecond: median(figures.map(({ perSecond }) => perSecond)),
  p50: median(figures.map(({ p50 }) => p50)),
  p99: median(figures.map(({ p99 }) => p99)),
  answers: figures.reduce((sum, { answers }) => sum + answers, 0),
})

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

export function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

// ---- what an answer says about itself ----

/** What `Server-Timing` counts of the database; null where an answer tells nothing. */
export function costOf({ headers }: Answer): { trips: number; rowsRead: number; rowsWritten: number } | null {
  const found = /trips=(\d+) read=(\d+) written=(\d+)/.exec(String(headers["server-timing"]))
  return found && { trips: Number(found[1]), rowsRead: Number(found[2]), rowsWritten: Number(found[3]) }
}

/** What `X-Cache` says; "none" where an answer tells nothing. */
export const cacheOf = ({ headers }: Answer): string => String(headers["x-cache"] ?? "none")

export const isHit = (answer: Answer): boolean => cacheOf(answer) === "HIT"

/** Which tier a hit came from, as `Server-Timing` tells it. */
export const tierOf = ({ headers }: Answer): string =>
  /cache;desc="?([\w-]+)"?/.exec(String(headers["server-timing"]))?.[1] ?? "untold"
