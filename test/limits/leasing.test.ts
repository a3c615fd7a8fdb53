import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { minute, second } from "../../src/lib/time.ts"
import * as leasing from "../../src/limits/leasing.ts"
import { type Grant, type Lease, leasedFrom, leaseLife, partOf } from "../../src/limits/leasing.ts"

// One key, an engine whose windows begin with their first use, and isolates with clocks of their own that stand still
// now and then. Questions and answers take their time, and what is given back may arrive late or never.

type Machine = Pick<typeof leasing, "extend" | "leftover" | "spend" | "unspend">

type Setting = { windowMs: number; offsets: number[] }
type Asking = { isolate: number; up: number; down: number; lag: number }
type Step =
  | ({ do: "request" } & Asking)
  | { do: "wait"; ms: number }
  /** Until just before or after the end of the window. */
  | { do: "edge"; ms: number }
  /** Every isolate spends all that it has. */
  | { do: "drain"; lag: number }
  /** What was spent cost nothing. */
  | { do: "take back"; isolate: number; lag: number }
  | { do: "return"; isolate: number; delay: number; isLost: boolean; lag: number }

const isolates = 3
const quota = leasedFrom
// So short that many leases meet its end, and a little longer than a lease lives.
const windows = [3 * second, 8 * second]

class Engine {
  readonly #windowMs: number
  taken = 0
  endsAt = 0
  window = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  take(at: number, count: number): Grant {
    if (at >= this.endsAt) {
      this.taken = 0
      this.endsAt = at + this.#windowMs
      this.window += 1
    }
    const isAllowed = this.taken + count <= quota
    if (isAllowed) this.taken += count
    return { isAllowed, remaining: quota - this.taken, resetMs: this.endsAt - at, window: this.window }
  }

  giveBack(at: number, count: number, window: number): void {
    if (at < this.endsAt && window === this.window) this.taken -= count
  }
}

/** Plays a history. Throws when a request is let in for which nothing was taken from the quota of that moment. */
class World {
  readonly tally = { spent: 0, refused: 0, unusedAtRefusal: 0 }
  readonly #engine: Engine
  readonly #machine: Machine
  readonly #offsets: number[]
  readonly #leases: (Lease | null)[]
  /** In which windows each isolate has spent. */
  readonly #spent: number[][]
  /** What was taken in each window and not given back, less what was let in. */
  readonly #unused = new Map<number, number>()
  readonly #admitted = new Map<number, number>()
  readonly #events: { at: number; happen: (at: number) => void }[] = []
  #now = 1_000_000

  constructor(machine: Machine, { windowMs, offsets }: Setting) {
    this.#engine = new Engine(windowMs)
    this.#machine = machine
    this.#offsets = offsets
    this.#leases = offsets.map(() => null)
    this.#spent = offsets.map(() => [])
  }

  play(steps: Step[]) {
    for (const step of steps) {
      if (step.do === "wait") this.#pass(step.ms)
      if (step.do === "edge") this.#pass(Math.max(this.#engine.endsAt + step.ms - this.#now, 0))
      if (step.do === "request") this.#request(step)
      if (step.do === "drain") this.#drain(step.lag)
      if (step.do === "take back") this.#takeBack(step)
      if (step.do === "return") this.#giveBack(step)
    }
    this.#pass(10 * minute)
    return this.tally
  }

  #clockOf = (isolate: number, lag: number) => this.#now + (this.#offsets[isolate] ?? 0) - lag

  #admit(window: number): void {
    const unused = (this.#unused.get(window) ?? 0) - 1
    if (unused < 0) throw new Error("Let in more than was taken")
    this.#unused.set(window, unused)
    this.#admitted.set(window, (this.#admitted.get(window) ?? 0) + 1)
  }

  #request(asking: Asking): void {
    if (this.#spend(asking)) return
    const askedAt = this.#clockOf(asking.isolate, asking.lag)
    this.#ask(asking, { count: partOf(quota), sentAt: this.#now, askedAt })
  }

  #drain(lag: number): void {
    for (const isolate of this.#leases.keys()) while (this.#spend({ isolate, lag }));
  }

  /** Whether there was something to spend. */
  #spend({ isolate, lag }: Pick<Asking, "isolate" | "lag">): boolean {
    const lease = this.#machine.spend(this.#leases[isolate] ?? null, this.#clockOf(isolate, lag))
    if (!lease) return false
    if (this.#now >= this.#engine.endsAt || lease.window !== this.#engine.window) {
      throw new Error("Spent after its window had ended")
    }
    this.#leases[isolate] = lease
    this.#spent[isolate]?.push(lease.window)
    this.tally.spent += 1
    this.#admit(lease.window)
    return true
  }

  #ask(asking: Asking, { count, sentAt, askedAt }: { count: number; sentAt: number; askedAt: number }): void {
    const { isolate, up, down } = asking
    this.#after(sentAt + up, (at) => {
      const grant = this.#engine.take(at, count)
      const { window } = grant
      if (grant.isAllowed) {
        this.#unused.set(window, (this.#unused.get(window) ?? 0) + count)
        this.#admit(window)
        this.#after(at + down, () => {
          this.#leases[isolate] = this.#machine.extend(this.#leases[isolate] ?? null, { grant, count, askedAt })
        })
      } else if (count > 1 && grant.remaining > 0) {
        this.#ask(asking, { count: 1, sentAt: at + down, askedAt: askedAt + at + down - sentAt })
      } else {
        this.tally.refused += 1
        const unused = quota - (this.#admitted.get(window) ?? 0)
        this.tally.unusedAtRefusal = Math.max(this.tally.unusedAtRefusal, unused)
      }
    })
  }

  /** The request that was spent for longest ago, which may be in another window. */
  #takeBack({ isolate, lag }: Extract<Step, { do: "take back" }>): void {
    const window = this.#spent[isolate]?.shift()
    if (window === undefined) return
    const lease = this.#machine.unspend(this.#leases[isolate] ?? null, window, this.#clockOf(isolate, lag))
    if (!lease) return
    this.#leases[isolate] = lease
    this.#unused.set(window, (this.#unused.get(window) ?? 0) + 1)
    this.#admitted.set(window, (this.#admitted.get(window) ?? 0) - 1)
  }

  #giveBack({ isolate, lag, delay, isLost }: Extract<Step, { do: "return" }>): void {
    const lease = this.#leases[isolate]
    const count = lease ? this.#machine.leftover(lease, this.#clockOf(isolate, lag)) : 0
    if (!lease || count === 0) return
    this.#leases[isolate] = { ...lease, held: 0 }
    this.#unused.set(lease.window, (this.#unused.get(lease.window) ?? 0) - count)
    if (!isLost) this.#after(this.#now + delay, (at) => this.#engine.giveBack(at, count, lease.window))
  }

  #after(at: number, happen: (at: number) => void): void {
    this.#events.push({ at, happen })
  }

  #pass(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const earliest = this.#events.reduce(
        (best, { at }, n) => (at < (this.#events[best]?.at ?? Infinity) ? n : best),
        0,
      )
      if ((this.#events[earliest]?.at ?? Infinity) > until) break
      const [next] = this.#events.splice(earliest, 1)
      this.#now = Math.max(this.#now, next?.at ?? 0)
      next?.happen(this.#now)
    }
    this.#now = until
  }
}

const play = (machine: Machine, setting: Setting, steps: Step[]) => new World(machine, setting).play(steps)

const latency = fc.oneof(fc.nat(50), fc.nat(3_000), fc.nat(20_000))
const near = fc.nat(50)
const lag = fc.nat(200)
const isolate = fc.nat(isolates - 1)
const one = fc.oneof(
  fc.record({ do: fc.constant("request" as const), isolate, up: near, down: near, lag }),
  fc.record({ do: fc.constant("request" as const), isolate, up: latency, down: latency, lag }),
)
const burst = fc
  .tuple(one, fc.integer({ min: 1, max: 400 }))
  .map(([request, count]): Step[] => Array.from({ length: count }, () => request))
const others = fc.oneof(
  fc.record({ do: fc.constant("wait" as const), ms: fc.oneof(fc.nat(200), fc.nat(2 * leaseLife)) }),
  fc.record({ do: fc.constant("edge" as const), ms: fc.integer({ min: -300, max: 300 }) }),
  fc.record({ do: fc.constant("drain" as const), lag }),
  fc.record({ do: fc.constant("take back" as const), isolate, lag }),
  fc.record({ do: fc.constant("return" as const), isolate, delay: latency, isLost: fc.boolean(), lag }),
)
/** Spends in one window, and takes it back in the next. */
const over = fc.tuple(one, lag, isolate).map(([request, later, where]): Step[] => [
  { ...request, isolate: where },
  { do: "wait", ms: 200 },
  { ...request, isolate: where },
  { do: "edge", ms: 300 },
  { ...request, isolate: where },
  { do: "wait", ms: 200 },
  { do: "take back", isolate: where, lag: later },
  { do: "drain", lag: later },
])
const history = fc
  .array(
    fc.oneof(
      { arbitrary: over, weight: 1 },
      { arbitrary: burst, weight: 2 },
      { arbitrary: others.map((step): Step[] => [step]), weight: 3 },
    ),
    {
      minLength: 2,
      maxLength: 40,
    },
  )
  .map((parts) => parts.flat())
const setting: fc.Arbitrary<Setting> = fc.record({
  windowMs: fc.constantFrom(...windows),
  offsets: fc.array(fc.integer({ min: -minute, max: minute }), { minLength: isolates, maxLength: isolates }),
})

const never = (machine: Machine) =>
  fc.property(setting, history, (where, steps) => {
    play(machine, where, steps)
  })
/** Whether a wrong machine is found out. */
const isFound = (machine: Machine) => fc.check(never(machine), { numRuns: 3_000, seed: 7 }).failed

describe("leasing", { timeout: 120_000 }, () => {
  it("never lets in more than the quota, whatever clocks and networks do", () => {
    fc.assert(never(leasing), { numRuns: 2_000 })
  })

  it("leaves no more unused than the isolates hold, when what is given back arrives", () => {
    let refused = 0
    let spent = 0
    fc.assert(
      fc.property(setting, history, (where, steps) => {
        const kept = steps.map((step) => (step.do === "return" ? { ...step, isLost: false, delay: 0 } : step))
        const tally = play(leasing, where, kept)
        refused += tally.refused
        spent += tally.spent
        // What each holds, and what is on its way to each of those who asked at the same time.
        const asking = steps.filter((step) => step.do === "request").length
        expect(tally.unusedAtRefusal).toBeLessThanOrEqual((isolates + asking) * partOf(quota))
      }),
      { numRuns: 1_000, seed: 1 },
    )
    // The histories are about something.
    expect(refused).toBeGreaterThan(100)
    expect(spent).toBeGreaterThan(5_000)
  })

  it("is found out without its bound: a lease that is spent beyond its window", () => {
    const spend: Machine["spend"] = (lease) => (lease && lease.held > 0 ? { ...lease, held: lease.held - 1 } : null)
    expect(isFound({ ...leasing, spend })).toBe(true)
  })

  it("is found out when it counts from the answer instead of the question", () => {
    const extend: Machine["extend"] = (lease, { grant, count, askedAt }) =>
      leasing.extend(lease, { grant: { ...grant, resetMs: grant.resetMs + 3_000 }, count, askedAt })
    expect(isFound({ ...leasing, extend })).toBe(true)
  })

  it("is found out when it trusts a clock that stands still", () => {
    const extend: Machine["extend"] = (lease, asked) => {
      const extended = leasing.extend(lease, asked)
      const endsAt = asked.askedAt + asked.grant.resetMs
      return { ...extended, endsAt, until: Math.min(asked.askedAt + leaseLife, endsAt) }
    }
    expect(isFound({ ...leasing, extend })).toBe(true)
  })

  it("is found out when it takes the rest of one window into the next", () => {
    const extend: Machine["extend"] = (lease, asked) => ({
      ...leasing.extend(lease, asked),
      held: (lease?.held ?? 0) + asked.count - 1,
    })
    expect(isFound({ ...leasing, extend })).toBe(true)
  })

  it("is found out when it takes back what was spent in another window", () => {
    const unspend: Machine["unspend"] = (lease, _window, now) => lease && leasing.unspend(lease, lease.window, now)
    expect(isFound({ ...leasing, unspend })).toBe(true)
  })

  it("asks for small quotas one by one", () => {
    expect([partOf(1), partOf(999), partOf(1_000), partOf(6_000)]).toEqual([1, 1, 10, 60])
  })
})
