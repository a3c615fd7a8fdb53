import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as rev from "../../src/cache/rev.ts"
import { freshLife, type Known, type Mark, type Rev, settling, writing } from "../../src/cache/rev.ts"
import { second } from "../../src/lib/time.ts"

// Two colos with three isolates each, whose clocks differ and stand still now and then; a primary and two replicas that
// lag; one viewer who reads and writes through several clients at once, and others who write. Everything takes its time,
// clients give up and go on, entries of the cache get lost, and what follows an answer arrives whenever it likes.

type Machine = Pick<typeof rev, "trusted" | "isFresh" | "learn" | "markOf">

const colos = 2
const isolates = 3
/** At most, in milliseconds. `settling` must be more than writing, two skews and a standstill. */
const skew = 50
const standstill = 20
const lag = 3 * second

type Place = { colo: number; isolate: number; isAbandoned: boolean; standsStill: number }
type Step =
  | ({
      do: "read"
      isForced: boolean
      isRefused: boolean
      looks: number
      joins: number
      travels: number
      replica: number
      lands: number
      follows: number
    } & Place)
  | ({ do: "write"; travels: number; returns: number; lands: number } & Place)
  | { do: "others write" }
  | { do: "wait"; ms: number }
  | { do: "lose"; colo: number; entry: "mark" | "rev" | "body" }
  | { do: "catch up"; replica: number }

type Colo = { mark: Mark | null; rev: Rev | null; bodies: Set<number> }
type Landing = { at: number; rev: Rev | null }
/** A read, when it began, and what its viewer had seen by then. */
type Asking = { step: Extract<Step, { do: "read" }>; begun: number; expected: number }
type Work = Generator<number, void, void>
/** What whoever uses the machine may forget to do. */
type Omission = "the mark of a write" | "to wait for the mark" | "what a refusal tells"
type Tally = { reads: number; hits: number; shared: number; behind: number; replica: number; writes: number }

const bookmarkOf = (seq: number) => String(seq).padStart(6, "0")

class World {
  readonly tally: Tally = { reads: 0, hits: 0, shared: 0, behind: 0, replica: 0, writes: 0 }
  readonly #machine: Machine
  readonly #omits: Omission | null
  readonly #offsets: number[]
  readonly #colos: Colo[] = Array.from({ length: colos }, () => ({ mark: null, rev: null, bodies: new Set() }))
  readonly #flights = new Map<string, Landing>()
  /** When each number of the log came to be: the primary's truth. */
  readonly #log: number[] = [0]
  readonly #replicas = [0, 0]
  /** What the viewer has been shown, or told to have written, in each colo. */
  readonly #seen: number[] = Array.from({ length: colos }, () => 0)
  readonly #queue: { at: number; order: number; work: Work }[] = []
  #order = 0
  #now = 1_000_000

  constructor(machine: Machine, offsets: number[], omits: Omission | null) {
    this.#machine = machine
    this.#offsets = offsets
    this.#omits = omits
  }

  play(steps: Step[]): void {
    for (const step of steps) {
      if (step.do === "wait") this.#run(this.#now + step.ms)
      else if (step.do === "others write") this.#commit()
      else if (step.do === "catch up") this.#replicas[step.replica] = this.#head
      else if (step.do === "lose") this.#lose(step)
      else if (step.do === "write") this.#start(this.#write(step))
      else this.#start(step.isForced ? this.#force(step) : this.#read(step))
    }
    this.#run(this.#now + 60 * second)
  }

  get #head(): number {
    return this.#log.length - 1
  }

  #commit(): number {
    this.#log.push(this.#now)
    return this.#head
  }

  /** How far the primary was at a time. */
  #headAt(at: number): number {
    return this.#log.findLastIndex((written) => written <= at)
  }

  /** Replicas lag, but not by more than `lag`. */
  #reachedBy(replica: number): number {
    const least = this.#headAt(this.#now - lag)
    this.#replicas[replica] = Math.max(this.#replicas[replica] ?? 0, least)
    return this.#replicas[replica] ?? 0
  }

  #clock({ colo, isolate, standsStill }: Place): number {
    return this.#now + (this.#offsets[colo * isolates + isolate] ?? 0) - standsStill
  }

  #lose({ colo, entry }: Extract<Step, { do: "lose" }>): void {
    const here = this.#colos[colo]
    if (!here) return
    if (entry === "body") here.bodies.clear()
    else here[entry] = null
  }

  // ---- what requests do ----

  *#read(step: Extract<Step, { do: "read" }>): Work {
    const here = this.#colos[step.colo]
    if (!here) return
    const asking = { step, begun: this.#now, expected: this.#seen[step.colo] ?? 0 }
    const at = this.#clock(step)
    // The two entries are asked for at once, and come when they come.
    const { mark } = here
    yield step.looks
    const known: Known = { mark, rev: here.rev }
    // What will be refused was never told before.
    if (!step.isRefused && (yield* this.#answer(asking, known, here))) return

    const name = `${step.colo} ${step.isolate}`
    const landing: Landing = { at, rev: null }
    this.#flights.set(name, landing)
    yield step.travels
    const seq = this.#ask(this.#machine.trusted(known), step.replica)
    yield step.travels
    const found: Rev = { seq, at, bookmark: bookmarkOf(seq) }
    if (step.isRefused && this.#omits === "what a refusal tells") return this.#show(asking, seq)
    if (this.#omits === "to wait for the mark") landing.rev = found
    yield* this.#tell(asking, known, found, () => {
      if (!step.isRefused) landing.rev = found
      if (this.#flights.get(name) === landing) this.#flights.delete(name)
    })
    if (!step.isRefused) here.bodies.add(seq)
  }

  /** What the cache has, or somebody else is just asking for. */
  *#answer(asking: Asking, known: Known, here: Colo): Generator<number, boolean, void> {
    const { step } = asking
    const trusted = this.#machine.trusted(known)
    if (trusted && this.#machine.isFresh(trusted, this.#clock(step)) && here.bodies.has(trusted.seq)) {
      this.tally.hits += 1
      this.#show(asking, trusted.seq)
      return true
    }
    const underway = this.#flights.get(`${step.colo} ${step.isolate}`)
    if (!underway || !known.mark || underway.at < known.mark.settledAt) return false
    yield step.joins
    const { rev: landed } = underway
    if (!landed || !this.#machine.trusted({ ...known, rev: landed })) return false
    this.tally.shared += 1
    this.#show(asking, landed.seq)
    return true
  }

  /** Writes down what a read has to, in the order in which it has to. */
  *#tell(asking: Asking, known: Known, found: Rev, land: () => void): Work {
    const { step } = asking
    const here = this.#colos[step.colo]
    const lesson = this.#machine.learn(known, found, this.#clock(step))
    if (here && lesson && "mark" in lesson) {
      yield step.lands
      here.mark = lesson.mark
    }
    land()
    this.#show(asking, found.seq)
    yield step.follows
    if (here && lesson && "rev" in lesson) here.rev = lesson.rev
  }

  /** A read that wants to know from the primary, and asks what the cache knows meanwhile. */
  *#force(step: Extract<Step, { do: "read" }>): Work {
    const here = this.#colos[step.colo]
    if (!here) return
    const asking = { step, begun: this.#now, expected: this.#seen[step.colo] ?? 0 }
    const at = this.#clock(step)
    const looksFirst = step.looks <= step.travels
    yield Math.min(step.looks, step.travels)
    const first = { mark: here.mark, seq: this.#head }
    yield Math.abs(step.travels - step.looks)
    const last = { mark: here.mark, seq: this.#head }
    const mark = looksFirst ? first.mark : last.mark
    const seq = looksFirst ? last.seq : first.seq
    yield step.travels
    yield* this.#tell(asking, { mark, rev: null }, { seq, at, bookmark: bookmarkOf(seq) }, () => undefined)
  }

  /** The primary, or a replica that has reached what a trusted rev has. */
  #ask(trusted: Rev | null, replica: number): number {
    if (!trusted) return this.#head
    this.tally.replica += 1
    return Math.max(this.#reachedBy(replica), Number(trusted.bookmark))
  }

  *#write(step: Extract<Step, { do: "write" }>): Work {
    const here = this.#colos[step.colo]
    if (!here) return
    this.tally.writes += 1
    yield step.travels
    const seq = this.#commit()
    yield step.returns
    const mark = this.#machine.markOf(seq, this.#clock(step))
    yield step.lands
    if (this.#omits !== "the mark of a write") here.mark = mark
    if (!step.isAbandoned) this.#seen[step.colo] = Math.max(this.#seen[step.colo] ?? 0, seq)
  }

  #show({ step, begun, expected }: Asking, seq: number): void {
    this.tally.reads += 1
    if (seq < this.#head) this.tally.behind += 1
    if (seq < expected) throw new Error(`Shown ${seq}, after ${expected} was seen here`)
    const oldest = this.#headAt(begun - freshLife - lag - 2 * skew - standstill)
    if (seq < oldest) throw new Error(`Shown ${seq}, which is older than ${oldest}`)
    if (!step.isAbandoned) this.#seen[step.colo] = Math.max(this.#seen[step.colo] ?? 0, seq)
  }

  // ---- time ----

  #start(work: Work): void {
    this.#resume(work)
  }

  #resume(work: Work): void {
    const { value, done } = work.next()
    if (done) return
    this.#order += 1
    this.#queue.push({ at: this.#now + Number(value), order: this.#order, work })
  }

  #run(until: number): void {
    for (;;) {
      this.#queue.sort((a, b) => a.at - b.at || a.order - b.order)
      const [next] = this.#queue
      if (!next || next.at > until) break
      this.#queue.shift()
      this.#now = next.at
      this.#resume(next.work)
    }
    this.#now = until
  }
}

const upTo = (max: number) => fc.integer({ min: 0, max })

const place = {
  // Most of it happens in one place, where it can collide.
  colo: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  isolate: upTo(isolates - 1),
  isAbandoned: fc.boolean(),
  standsStill: upTo(standstill),
}
const seldom = fc.nat(7).map((chance) => chance === 0)
/** Most are quick, and some are slow enough for everything else to happen meanwhile. */
const travels = fc.oneof(upTo(30), upTo(30), upTo(400))

const read: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("read" as const),
  ...place,
  isForced: seldom,
  isRefused: seldom,
  looks: fc.oneof(upTo(20), upTo(20), upTo(500)),
  joins: fc.oneof(upTo(30), upTo(1_000)),
  travels,
  replica: upTo(1),
  lands: upTo(writing),
  follows: fc.oneof(upTo(20), upTo(20), upTo(3 * second)),
})
const write: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("write" as const),
  ...place,
  travels,
  returns: travels,
  lands: upTo(writing),
})
const others: fc.Arbitrary<Step> = fc.constant({ do: "others write" })
const wait = (ms: fc.Arbitrary<number>): fc.Arbitrary<Step> => fc.record({ do: fc.constant("wait" as const), ms })
const lose: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("lose" as const),
  colo: upTo(colos - 1),
  entry: fc.constantFrom("mark" as const, "rev" as const, "body" as const),
})
const catchUp: fc.Arbitrary<Step> = fc.record({ do: fc.constant("catch up" as const), replica: upTo(1) })

const pause = wait(upTo(120))
const phrase = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.oneof(read, read, write, others, lose, catchUp), wait(upTo(300))) },
  // Long enough without a write for the cache to answer.
  { weight: 3, arbitrary: fc.tuple(wait(fc.integer({ min: settling, max: 600 })), read, pause, read, pause, read) },
  // Two writers, and readers who see the one and not the other.
  { weight: 3, arbitrary: fc.tuple(write, pause, read, pause, read, pause, write, read, pause, read) },
  { weight: 1, arbitrary: fc.tuple(wait(upTo(1_500))) },
)

const history = fc.record({
  offsets: fc.array(fc.integer({ min: -skew, max: skew }), {
    minLength: colos * isolates,
    maxLength: colos * isolates,
  }),
  steps: fc.array(phrase, { minLength: 2, maxLength: 20 }).map((phrases) => phrases.flat()),
})

type Options = { machine?: Partial<Machine>; omits?: Omission; runs: number }

/** Plays histories until one goes wrong. Null: none did. */
function search({ machine = {}, omits, runs }: Options) {
  const total: Tally = { reads: 0, hits: 0, shared: 0, behind: 0, replica: 0, writes: 0 }
  const property = fc.property(history, ({ offsets, steps }) => {
    const world = new World({ ...rev, ...machine }, offsets, omits ?? null)
    world.play(steps)
    for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += world.tally[key]
  })
  const { failed, errorInstance } = fc.check(property, { numRuns: runs, seed: 4, endOnFailure: true })
  return { total, wrong: failed ? String(errorInstance) : null }
}

describe("what a colo knows of what a viewer has seen", () => {
  it("never shows less than the viewer has written or seen there, nor anything too old, whatever happens", () => {
    const { total, wrong } = search({ runs: 10_000 })
    expect(wrong).toBeNull()
    // It must not be right because it never answers by itself.
    expect(total.hits / total.reads).toBeGreaterThan(0.08)
    expect(total.shared).toBeGreaterThan(500)
    expect(total.behind).toBeGreaterThan(10_000)
    expect(total.replica).toBeGreaterThan(1_000)
  })

  const mutations: [string, Omit<Options, "runs">][] = [
    ["a write left no mark", { omits: "the mark of a write" }],
    ["others were shown a newer thing before it is marked", { omits: "to wait for the mark" }],
    ["a refusal told nothing", { omits: "what a refusal tells" }],
    ["marks need not settle", { machine: { markOf: (seq, now) => ({ seq, settledAt: now - settling }) } }],
    ["a rev counted that does not reach the mark", { machine: { trusted: ({ mark, rev }) => mark && rev } }],
    [
      "a rev counted without a mark",
      { machine: { trusted: (known) => (known.mark ? rev.trusted(known) : known.rev) } },
    ],
    [
      "a read were as new as its end",
      { machine: { learn: (known, found, at) => rev.learn(known, { ...found, at }, at) } },
    ],
    ["what is newer were not marked by those who read it", { machine: { learn: (_known, found) => ({ rev: found }) } }],
    ["a rev were fresh for ever", { machine: { isFresh: () => true } }],
  ]
  for (const [what, options] of mutations) {
    it(`would be wrong if ${what}`, () => {
      expect(search({ ...options, runs: 100_000 }).wrong).not.toBeNull()
    })
  }
})
