import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { formatDuration, parseDuration } from "../../src/lib/duration.ts"
import { day, hour, minute } from "../../src/lib/time.ts"

describe("a duration", () => {
  const known: [string, number][] = [
    ["PT0M", 0],
    ["PT30M", 30 * minute],
    ["PT90M", 90 * minute],
    ["P1D", day],
    ["P1W", 7 * day],
    ["P1W2DT3H4M", 9 * day + 3 * hour + 4 * minute],
  ]
  for (const [text, ms] of known) it(`is read: ${text}`, () => expect(parseDuration(text)).toBe(ms))

  const none = [
    "",
    "P",
    "PT",
    "P1DT",
    "30M",
    "PT30",
    "PT1.5H",
    "-PT30M",
    "P1Y",
    "P1M",
    "PT5S",
    "pt30m",
    "PT30M\n",
    "PT 1H",
  ]
  for (const text of none) it(`is none: ${JSON.stringify(text)}`, () => expect(parseDuration(text)).toBeNull())

  it("is written as it is read, whatever it is", () => {
    fc.assert(fc.property(fc.nat({ max: 1_000_000 }), (n) => parseDuration(formatDuration(n * minute)) === n * minute))
  })

  it("is a number of whole minutes or nothing, whatever is read", () => {
    const letters = fc.string({ unit: fc.constantFrom(..."PTWDHM0123456789-. \u0000é"), maxLength: 14 })
    fc.assert(
      fc.property(fc.oneof(letters, fc.string()), (text) => {
        const ms = parseDuration(text)
        expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0 && ms % minute === 0)).toBe(true)
        if (ms !== null) expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
      { numRuns: 2_000 },
    )
  })
})
