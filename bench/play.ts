// The reference mix, played: by integrations that do not pause, and with people among them who do.
import { setTimeout as sleep } from "node:timers/promises"
import { type Answer, type Call, clients, costOf, type Figures, figuresOf, isHit, send, tierOf } from "./load.ts"
import { type Kind, kinds, referenceMix, type Way } from "./mix.ts"
import type { Viewer } from "./seed/rows.ts"
import type { Side } from "./sides.ts"
import { idsOf, isRead, nth, readOf, revalidating, writeOf } from "./work.ts"

/** Of the requests of the reference mix, by whom they are. */
const shareOfPeople = 0.2
const people = 10
/** What a page asks, one after the other, before its reader pauses. */
const perPage = 3
const shortestPauseMs = 1_000
const longestPauseMs = 3_000
/** How many requests an integration sends one after the other before another one has its turn. */
const burst = 25

export type Played = {
  figures: Figures
  p50: Record<Kind, number>
  /** How the reads of each kind were answered. */
  answered: Record<Kind, Record<Way, number>>
  /** Of those that were fresh, from where. */
  tiers: Record<string, number>
  /** Trips to the database, as the answers tell; null where they do not. */
  trips: number | null
}

/** The same numbers in the same order, whoever is measured. */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function kindBy(chance: number): Kind {
  let left = chance
  for (const kind of kinds) {
    left -= referenceMix[kind]
    if (left < 0) return kind
  }
  return "task"
}

/** One viewer's requests: what they choose is chosen evenly among their own. `remembers`: as browsers do, by ETag. */
class Reader {
  readonly #side: Side
  readonly #viewer: Viewer
  readonly #random: () => number
  readonly #etags: Map<string, string> | null
  readonly #ids: Record<"task" | "project-tasks" | "projects", string[]>
  readonly #open: string[]
  #written = 0

  constructor(side: Side, viewer: Viewer, random: () => number, remembers: boolean) {
    this.#side = side
    this.#viewer = viewer
    this.#random = random
    this.#etags = remembers ? new Map() : null
    this.#ids = {
      task: idsOf(viewer, "task"),
      "project-tasks": idsOf(viewer, "project-tasks"),
      projects: idsOf(viewer, "projects"),
    }
    this.#open = viewer.projects.flatMap(({ openTaskIds }) => openTaskIds)
  }

  next(): { kind: Kind; call: Call } {
    const kind = kindBy(this.#random())
    const chosen = Math.floor(this.#random() * 1e9)
    if (isRead(kind)) {
      const call = readOf(this.#side, this.#viewer, kind, nth(this.#ids[kind], chosen))
      const etag = this.#etags?.get(call.path)
      return { kind, call: etag === undefined ? call : revalidating(call, etag) }
    }
    this.#written += 1
    return { kind, call: writeOf(this.#side, this.#viewer, kind, this.#toChange(kind, chosen), this.#written) }
  }

  #toChange(kind: "create" | "patch" | "close", chosen: number): string {
    if (kind === "create") return nth(this.#ids["project-tasks"], chosen)
    if (kind === "patch") return nth(this.#ids.task, chosen)
    // Closing what is closed would do nothing.
    const [id] = this.#open.splice(chosen % this.#open.length, 1)
    return id ?? nth(this.#ids.task, chosen)
  }

  saw({ headers: { etag } }: Answer, { method, path }: Call): void {
    if (method === "GET" && etag) this.#etags?.set(path, String(etag))
  }
}

class Tally {
  readonly times: Record<Kind, number[]>
  readonly answered: Played["answered"]
  readonly tiers: Record<string, number> = {}
  trips: number | null = 0

  constructor() {
    this.times = Object.fromEntries(kinds.map((kind): [Kind, number[]] => [kind, []])) as Record<Kind, number[]>
    const none = () => ({ uncached: 0, fresh: 0, "304": 0 })
    this.answered = Object.fromEntries(kinds.map((kind) => [kind, none()])) as Played["answered"]
  }

  count(kind: Kind, answer: Answer): void {
    this.times[kind].push(answer.ms)
    this.answered[kind][wayOf(answer)] += 1
    if (isHit(answer)) this.tiers[tierOf(answer)] = (this.tiers[tierOf(answer)] ?? 0) + 1
    const cost = costOf(answer)
    this.trips = cost && this.trips !== null ? this.trips + cost.trips : null
  }
}

/** How an answer came about: a 304 that asked the database is not one that nobody paid for. */
export function wayOf(answer: Answer): Way {
  if (!isHit(answer)) return "uncached"
  return answer.status === 304 ? "304" : "fresh"
}

/** What a browser revalidates may have changed. */
async function exchange(side: Side, reader: Reader, tally: Tally): Promise<void> {
  const { kind, call } = reader.next()
  const answer = await send(side.url, call, call.expected === 304 ? [200, 304] : [call.expected])
  reader.saw(answer, call)
  tally.count(kind, answer)
}

type Options = { seconds: number; seed: number; withPeople?: boolean }

/** Plays the mix against one side for a while. */
export async function play(side: Side, viewers: Viewer[], options: Options): Promise<Played> {
  const { seconds, seed, withPeople = false } = options
  const random = seededRandom(seed)
  const tally = new Tally()
  const start = performance.now()
  const end = start + seconds * 1_000
  const isOver = () => performance.now() >= end
  let [byPeople, byIntegrations] = [0, 0]

  // Whoever pauses is never an integration as well.
  const paused = withPeople ? viewers.slice(0, people) : []
  const integrations = viewers.slice(paused.length).map((viewer) => new Reader(side, viewer, random, false))
  let turn = 0

  async function integrate(): Promise<void> {
    while (!isOver()) {
      // Integrations send their share of all requests and no more.
      if (withPeople && byIntegrations * shareOfPeople >= byPeople * (1 - shareOfPeople)) {
        await sleep(5)
        continue
      }
      turn += 1
      const reader = nth(integrations, turn)
      byIntegrations += burst
      for (let n = 0; n < burst && !isOver(); n += 1) await exchange(side, reader, tally)
    }
  }

  async function browse(viewer: Viewer): Promise<void> {
    const reader = new Reader(side, viewer, random, true)
    const pause = () => sleep(shortestPauseMs + random() * (longestPauseMs - shortestPauseMs))
    // They do not all begin at once.
    await sleep(random() * longestPauseMs)
    while (!isOver()) {
      for (let n = 0; n < perPage; n += 1) await exchange(side, reader, tally)
      byPeople += perPage
      await pause()
    }
  }

  const several = withPeople ? 4 : clients
  await Promise.all([...Array.from({ length: several }, integrate), ...paused.map(browse)])
  const medians = kinds.map((kind) => [kind, figuresOf(tally.times[kind], 1).p50])
  return {
    figures: figuresOf(Object.values(tally.times).flat(), (performance.now() - start) / 1_000),
    p50: Object.fromEntries(medians) as Record<Kind, number>,
    answered: tally.answered,
    tiers: tally.tiers,
    trips: tally.trips,
  }
}

/** What several plays came to. */
export function together(plays: Played[]): Played["answered"] {
  const sum = (kind: Kind, way: Way) => plays.reduce((total, { answered }) => total + answered[kind][way], 0)
  return Object.fromEntries(
    kinds.map((kind) => [
      kind,
      { uncached: sum(kind, "uncached"), fresh: sum(kind, "fresh"), "304": sum(kind, "304") },
    ]),
  ) as Played["answered"]
}
