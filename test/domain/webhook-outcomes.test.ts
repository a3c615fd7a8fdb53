import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  attemptOf,
  type Consequence,
  consequenceOf,
  failingAtMost,
  type Outcome,
  publishedWaits,
  replayed,
  type Situation,
} from "../../src/domain/webhook-outcomes.ts"
import { day, hour, minute, second } from "../../src/lib/time.ts"

const now = Date.parse("2026-11-25T12:00:00Z")
const situation = (over: Partial<Situation> = {}): Situation => ({
  number: 1,
  now,
  failingSince: null,
  waits: publishedWaits,
  random: 0,
  ...over,
})
const failed = (status: number | null = 500, retryAfter: string | null = null): Outcome => ({ status, retryAfter })

const outcomes = fc.record({
  status: fc.option(fc.integer({ min: 100, max: 599 })),
  retryAfter: fc.option(
    fc.oneof(
      fc.nat().map(String),
      fc.string(),
      fc.date({ noInvalidDate: true }).map((at) => at.toUTCString()),
    ),
  ),
})
const situations = fc.record({
  number: fc.tuple(fc.nat({ max: 50 }), fc.integer({ min: 1, max: 10 })).map(([replays, n]) => replays * 100 + n),
  now: fc.integer({ min: now, max: now + 365 * day }),
  failingSince: fc.option(fc.integer({ min: now - 10 * day, max: now })),
  waits: fc.constant(publishedWaits),
  random: fc.double({ min: 0, max: 1, noNaN: true }),
})

describe("the schedule", () => {
  it("is the published one: ten attempts, of which the last comes after about three days", () => {
    const delays: number[] = []
    let at = now
    for (let number = 1; ; number += 1) {
      const next = consequenceOf(failed(), situation({ number, now: at }))
      if (next.nextAttemptAt === null) break
      delays.push(next.nextAttemptAt - at)
      at = next.nextAttemptAt
    }
    const published = [5 * second, 5 * minute, 30 * minute, ...[2, 5, 10, 14, 20, 24].map((n) => n * hour)]
    expect(delays).toEqual(published)
  })

  it("begins anew with a replay, and no attempt has the number of another", () => {
    expect([3, 100, 101, 203].map(attemptOf)).toEqual([
      { attempt: 3, replay: 0 },
      { attempt: 0, replay: 1 },
      { attempt: 1, replay: 1 },
      { attempt: 3, replay: 2 },
    ])
    expect([0, 10, 110].map(replayed)).toEqual([100, 100, 200])
    const first = consequenceOf(failed(), situation({ number: replayed(10) + 1 }))
    expect(first).toMatchObject({ status: "pending", nextAttemptAt: now + 5 * second })
  })
})

describe("what follows from an attempt", () => {
  it("is always one of: delivered, tried again later, given up", () => {
    fc.assert(
      fc.property(outcomes, situations, (outcome, given) => {
        const next = consequenceOf(outcome, given)
        const isOk = outcome.status !== null && outcome.status >= 200 && outcome.status < 300
        expect(next.status === "delivered").toBe(isOk)
        expect(next.nextAttemptAt !== null).toBe(next.status === "pending")
        expect(next.failingSince === null).toBe(isOk)
        if (given.failingSince !== null && !isOk) expect(next.failingSince).toBe(given.failingSince)
        if (next.disabledReason) expect(next.status).toBe("failed")
        if (next.nextAttemptAt === null) return
        const wait = publishedWaits[(given.number % 100) - 1] ?? Number.NaN
        const delay = next.nextAttemptAt - given.now
        expect(delay).toBeGreaterThanOrEqual(wait)
        // Whatever a receiver asks for, no longer than a day and a tenth of it.
        expect(delay).toBeLessThanOrEqual(24 * hour * 1.1)
      }),
    )
  })

  it("honours Retry-After, with any status, up to a day, and never makes a wait shorter", () => {
    const delayFor = (status: number, retryAfter: string, number = 1) =>
      (consequenceOf(failed(status, retryAfter), situation({ number })).nextAttemptAt ?? 0) - now
    expect(delayFor(429, "120")).toBe(120 * second)
    expect(delayFor(503, "Wed, 25 Nov 2026 13:00:00 GMT")).toBe(hour)
    expect(delayFor(429, "1")).toBe(5 * second)
    expect(delayFor(429, "999999")).toBe(24 * hour)
    expect(delayFor(429, "60", 4)).toBe(2 * hour)
  })

  it("is spread by up to a tenth, never to before what was asked for", () => {
    const at = (random: number) => consequenceOf(failed(429, "100"), situation({ random })).nextAttemptAt
    expect([at(0), at(0.5), at(1)]).toEqual([now + 100_000, now + 105_000, now + 110_000])
  })

  it("takes 410 as a wish to be left alone", () => {
    expect(consequenceOf(failed(410), situation())).toEqual<Consequence>({
      status: "failed",
      nextAttemptAt: null,
      failingSince: now,
      disabledReason: "gone",
    })
  })

  it("disables what has been failing for three days, and not before", () => {
    const since = (ms: number) => consequenceOf(failed(null), situation({ failingSince: now - ms }))
    expect(since(failingAtMost - 1)).toMatchObject({ status: "pending", disabledReason: null })
    expect(since(failingAtMost)).toMatchObject({ status: "failed", disabledReason: "failing" })
    expect(consequenceOf(failed(204), situation({ failingSince: now - 9 * day }))).toMatchObject({
      disabledReason: null,
    })
  })

  it("is a failure for a redirect", () => {
    expect(consequenceOf(failed(302), situation()).status).toBe("pending")
  })
})
