import { Lru } from "./lru.ts"
import { day, hour, startOfDate } from "./time.ts"

// Making one costs a hundred times what asking it does.
const clocks = new Lru<string, Intl.DateTimeFormat>(100)

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone)
  if (known) return known
  const clock = openClock(zone)
  clocks.set(zone, clock)
  return clock
}

function openClock(timeZone: string): Intl.DateTimeFormat {
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" } as const
  const form = { ...parts, second: "2-digit", hourCycle: "h23" } as const
  try {
    return new Intl.DateTimeFormat("en-CA", { ...form, timeZone })
  } catch {
    // It was known when it was chosen. What hangs on it is better early or late than never.
    return new Intl.DateTimeFormat("en-CA", { ...form, timeZone: "UTC" })
  }
}

/** How far a zone's clocks are ahead of UTC at an instant, in milliseconds. */
function offsetAt(zone: string, at: number): number {
  const parts = clockOf(zone).formatToParts(at)
  const of = (type: string) => parts.find((part) => part.type === type)?.value ?? "0"
  const local = Date.parse(`${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}:${of("second")}Z`)
  return local - Math.floor(at / 1_000) * 1_000
}

/**
 * The instant of a date and time (`09:00`) on a zone's clocks, in epoch milliseconds. A time that the clocks show twice
 * is the first of the two; one that they skip is as long after the gap's beginning as it would have been (as in RFC 5545).
 */
export function zonedTime(date: string, time: string, zone: string): number {
  const naive = Date.parse(`${date}T${time}:00.000Z`)
  const before = offsetAt(zone, naive - day)
  if (offsetAt(zone, naive - before) === before) return naive - before
  const after = offsetAt(zone, naive + day)
  return offsetAt(zone, naive - after) === after ? naive - after : naive - before
}

// Nobody's clocks are further ahead than Kiritimati's, nor further behind than those of the ocean's ships.
const furthestAhead = 14 * hour
const furthestBehind = 12 * hour

/** When it is that time of that date for the first people, and for the last. */
export function zonedTimes(date: string, time: string): { first: number; last: number } {
  const naive = startOfDate(date) + Date.parse(`1970-01-01T${time}:00.000Z`)
  return { first: naive - furthestAhead, last: naive + furthestBehind }
}
