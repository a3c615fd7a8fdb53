import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { day, hour, minute } from "../../src/lib/time.ts"
import { zonedTime, zonedTimes } from "../../src/lib/zoned-time.ts"

const iso = (date: string, time: string, zone: string) => new Date(zonedTime(date, time, zone)).toISOString()

/** What a zone's clocks show. */
const shown = (at: number, timeZone: string) =>
  new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" }).format(at)

const zones = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "Europe/London",
  "America/New_York",
  "America/St_Johns",
  "America/Sao_Paulo",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Asia/Tehran",
  "Africa/Casablanca",
  "Pacific/Chatham",
  "Pacific/Kiritimati",
  "Pacific/Apia",
  "Etc/GMT+12",
)

const wallTimes = fc.record({ days: fc.integer({ min: 0, max: 36_500 }), minutes: fc.integer({ min: 0, max: 1_439 }) })

function wall({ days, minutes }: { days: number; minutes: number }) {
  const text = new Date(Date.UTC(1990, 0, 1) + days * day + minutes * minute).toISOString()
  return { date: text.slice(0, 10), time: text.slice(11, 16) }
}

/** Every minute at which the clocks show it, within the day on either side. */
function instantsOf(date: string, time: string, zone: string): number[] {
  const naive = Date.parse(`${date}T${time}:00Z`)
  const found: number[] = []
  // Every offset since 1990 is of whole quarters of an hour.
  for (let at = naive - 15 * hour; at <= naive + 13 * hour; at += 15 * minute) {
    if (shown(at, zone) === `${date} ${time}`) found.push(at)
  }
  return found
}

describe("the time on a zone's clocks", () => {
  it("is the first instant at which they show it, and where they never do, the gap's length later", () => {
    fc.assert(
      fc.property(wallTimes, zones, (when, zone) => {
        const { date, time } = wall(when)
        const at = zonedTime(date, time, zone)
        const [first] = instantsOf(date, time, zone)
        if (first !== undefined) expect(at).toBe(first)
        else expect(shown(at, zone) > `${date} ${time}`).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  const turns: [what: string, date: string, time: string, zone: string, instant: string][] = [
    ["a gap, east of Greenwich", "2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:30:00.000Z"],
    ["a gap, west of Greenwich", "2026-03-08", "02:30", "America/New_York", "2026-03-08T07:30:00.000Z"],
    ["right before a gap", "2026-03-08", "01:59", "America/New_York", "2026-03-08T06:59:00.000Z"],
    ["right after a gap", "2026-03-08", "03:00", "America/New_York", "2026-03-08T07:00:00.000Z"],
    ["a gap of half an hour", "2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:45:00.000Z"],
    ["a day that never was", "2011-12-30", "09:00", "Pacific/Apia", "2011-12-30T19:00:00.000Z"],
    ["an overlap, east", "2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z"],
    ["an overlap, west", "2026-11-01", "01:30", "America/New_York", "2026-11-01T05:30:00.000Z"],
    ["the morning after a turn", "2026-10-25", "09:00", "Europe/Berlin", "2026-10-25T08:00:00.000Z"],
    ["the morning of a gap", "2026-03-29", "09:00", "Europe/Berlin", "2026-03-29T07:00:00.000Z"],
  ]
  for (const [what, date, time, zone, instant] of turns) {
    it(`is told for ${what}`, () => expect(iso(date, time, zone)).toBe(instant))
  }

  it("is UTC's in a zone that nobody knows", () => {
    expect(iso("2026-01-31", "09:00", "Atlantis/Capital")).toBe("2026-01-31T09:00:00.000Z")
  })

  it("comes for nobody before the first of all people, and for nobody after the last", () => {
    fc.assert(
      fc.property(wallTimes, zones, (when, zone) => {
        const { date } = wall(when)
        const { first, last } = zonedTimes(date, "09:00")
        const at = zonedTime(date, "09:00", zone)
        expect(at >= first && at <= last).toBe(true)
      }),
    )
    const { first, last } = zonedTimes("2026-01-31", "09:00")
    expect([first, last]).toEqual([
      zonedTime("2026-01-31", "09:00", "Pacific/Kiritimati"),
      zonedTime("2026-01-31", "09:00", "Etc/GMT+12"),
    ])
  })
})
