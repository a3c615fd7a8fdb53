import { Agent, request } from "node:http"

export type Call = { method: string; path: string; headers?: Record<string, string>; body?: unknown }
export type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: string }

const concurrency = 16
const agent = new Agent({ keepAlive: true, maxSockets: concurrency })

export const closeConnections = (): void => agent.destroy()

/** One request over a kept connection. Throws for every status but `expected`. */
export function send(url: URL, { method, path, headers, body }: Call, expected: number): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { agent, host: url.hostname, port: url.port, method, path, headers: { ...headers, ...sized(text) } },
      (response) => {
        const chunks: Buffer[] = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () => {
          const status = response.statusCode ?? 0
          const answer = { status, headers: response.headers, body: Buffer.concat(chunks).toString() }
          if (status === expected) resolve(answer)
          else reject(new Error(`${method} ${path} was answered with ${status}: ${answer.body}`))
        })
      },
    )
    outgoing.on("error", reject)
    outgoing.end(text)
  })
}

const sized = (text: string | undefined) =>
  text === undefined ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }

export type Figures = { perSecond: number; p50: number }

/** Sends what `next` gives, 16 at a time, for a while. */
export async function load(url: URL, next: () => Call, expected: number, seconds: number): Promise<Figures> {
  const start = performance.now()
  const end = start + seconds * 1_000
  const times: number[] = []
  async function client(): Promise<void> {
    while (performance.now() < end) {
      const sent = performance.now()
      await send(url, next(), expected)
      times.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, client))
  return { perSecond: times.length / ((performance.now() - start) / 1_000), p50: median(times) }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
