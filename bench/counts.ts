// Counts what one request of each kind costs, one after the other, so that everything counted is its own.
import { setTimeout as sleep } from "node:timers/promises"
import type { Bench } from "./bench.ts"
import { type Answer, ask, type Call, costOf, median, send } from "./load.ts"
import { type Counted, type Kind, kinds, type Way, ways } from "./mix.ts"
import { wayOf } from "./play.ts"
import type { Viewer } from "./seed/rows.ts"
import { bareHandler, ours, type ServedSide, seededD1 } from "./sides.ts"
import { firstReads, isRead, repeatedReads, repeatedWrites, revalidating } from "./work.ts"

/** What `counting.js` counts. */
export type Calls = {
  cacheMatch: number
  cachePut: number
  cacheDelete: number
  limiter: number
  sessions: number
  trips: number
  statements: number
}

export async function callsOf({ url }: ServedSide): Promise<Calls> {
  const answer = await ask(url, { method: "GET", path: "/counted" })
  return JSON.parse(answer.body) as Calls
}

/** Limits as they are deployed: a request that asks the limiter costs more than one that does not. */
const settings = { RATE_LIMITS: "standard" }

export type Counter = { side: ServedSide; lines: string[] }

/** Ours with somebody in between who counts, and every line of the log. */
export async function openCounter(bench: Bench, viewers: Viewer[]): Promise<Counter> {
  const lines: string[] = []
  const onLog = (line: string) => {
    if (line.includes('"route":')) lines.push(line)
  }
  const logging = { ...settings, LOG_SAMPLE_RATE: "1" }
  const side = await ours(bench, { state: await seededD1(bench), viewers, settings: logging, entry: "counting", onLog })
  return { side, lines }
}

/** Ours as it is deployed. */
export const openPlain = async (bench: Bench, viewers: Viewer[]): Promise<ServedSide> =>
  ours(bench, { state: await seededD1(bench), viewers, settings: { ...settings, LOG_SAMPLE_RATE: "0.1" } })

type Cell = { kind: Kind; way: Way; viewers: Viewer[] }

/** Every kind in every way, each by viewers who have not been there before. */
export function cellsOf(viewers: Viewer[]): Cell[] {
  const cells = kinds.flatMap((kind) => (isRead(kind) ? ways : (["uncached"] as const)).map((way) => ({ kind, way })))
  const each = Math.floor(viewers.length / cells.length)
  return cells.map((cell, at) => ({ ...cell, viewers: viewers.slice(at * each, (at + 1) * each) }))
}

/** The requests of a cell. `saw` must be told each answer. */
function requestsOf(side: ServedSide, { kind, way, viewers }: Cell) {
  const etags = new Map<string, string>()
  const saw = ({ headers: { etag } }: Answer, { path }: Call) => etags.set(path, String(etag))
  const [viewer] = viewers
  if (!viewer) throw new RangeError("There is nobody to ask")
  if (!isRead(kind)) return { next: repeatedWrites(side, viewers, kind), saw }
  if (way === "uncached") return { next: firstReads(side, viewers, kind), saw }
  const next = repeatedReads(side, viewer, kind)
  if (way === "fresh") return { next, saw }
  return {
    next: () => {
      const call = next()
      const etag = etags.get(call.path)
      return etag === undefined ? call : revalidating(call, etag)
    },
    saw,
  }
}

// What is put into the cache may follow the answer.
const afterwards = 5
// Whoever comes for the first time has to be seen for a while before anything of theirs is fresh.
const warmUp = 100
const counted = 60

export type CellCounts = Omit<Counted, "cpuMs"> & { calls: Calls }

/** The mean of the answers of that way; null when hardly any was. */
export async function countCell({ side, lines }: Counter, cell: Cell): Promise<CellCounts | null> {
  const { next, saw } = requestsOf(side, cell)
  const found: { cost: NonNullable<ReturnType<typeof costOf>>; calls: Calls; logBytes: number }[] = []
  for (let n = 0; n < warmUp + counted; n += 1) {
    const call = next()
    lines.length = 0
    const answer = await send(side.url, call)
    saw(answer, call)
    await sleep(afterwards)
    const calls = await callsOf(side)
    const cost = costOf(answer)
    if (n < warmUp || wayOf(answer) !== cell.way || !cost) continue
    await until(() => lines.length > 0)
    found.push({ cost, calls, logBytes: Buffer.byteLength(lines[0] ?? "") })
  }
  if (found.length < counted / 2) return null
  const mean = (of: (one: (typeof found)[number]) => number) =>
    found.reduce((sum, one) => sum + of(one), 0) / found.length
  return {
    trips: mean(({ cost }) => cost.trips),
    rowsRead: mean(({ cost }) => cost.rowsRead),
    rowsWritten: mean(({ cost }) => cost.rowsWritten),
    cacheCalls: mean(({ calls }) => calls.cacheMatch + calls.cachePut + calls.cacheDelete),
    logBytes: mean(({ logBytes }) => logBytes),
    calls: Object.fromEntries(
      Object.keys(found[0]?.calls ?? {}).map((name) => [name, mean(({ calls }) => calls[name as keyof Calls])]),
    ) as Calls,
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isSo(); tries += 1) await sleep(5)
  if (!isSo()) throw new Error("A request left no line in the log")
}

const timed = 200

/** Milliseconds of CPU that one call of each simulator takes by itself; null where nobody tells. */
export type Simulators = { trip: number; match: number; put: number }

export async function cpuOfSimulators(bench: Bench): Promise<Simulators | null> {
  const bare = await bareHandler(bench, await seededD1(bench))
  const cpuOf = async (name: string) => {
    const times: number[] = []
    for (let round = 0; round <= bench.rounds; round += 1) {
      const before = bare.served.cpuMs()
      for (let n = 0; n < timed; n += 1) await send(bare.url, { method: "GET", path: `/probe/${name}`, expected: 200 })
      const after = bare.served.cpuMs()
      if (before === null || after === null) return null
      if (round > 0) times.push((after - before) / timed)
    }
    return median(times)
  }
  const [nothing, put, match, trip] = [
    await cpuOf("nothing"),
    await cpuOf("put"),
    await cpuOf("match"),
    await cpuOf("d1"),
  ]
  if (nothing === null || put === null || match === null || trip === null) return null
  return { trip: trip - nothing, match: match - nothing, put: put - nothing }
}

/** Milliseconds of CPU a request, the median of rounds; null where nobody tells, or hardly any answer was of that way. */
export async function cpuOfCell({ rounds }: Bench, side: ServedSide, cell: Cell): Promise<number | null> {
  const { next, saw } = requestsOf(side, cell)
  const times: number[] = []
  let hits = 0
  for (let round = 0; round <= rounds; round += 1) {
    const before = side.served.cpuMs()
    for (let n = 0; n < timed; n += 1) {
      const call = next()
      const answer = await send(side.url, call)
      saw(answer, call)
      if (round > 0 && wayOf(answer) === cell.way) hits += 1
    }
    const after = side.served.cpuMs()
    if (before === null || after === null) return null
    if (round > 0) times.push((after - before) / timed)
  }
  return hits > (rounds * timed) / 2 ? median(times) : null
}
