import { minute } from "./time.ts"

/** How far a zone's clocks are ahead of UTC at an instant, in milliseconds. */
function offsetAt(zone: string, at: number): number {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(at)
  const of = (type: string) => parts.find((part) => part.type === type)?.value ?? "0"
  const local = Date.parse(`${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}:${of("second")}Z`)
  return local - Math.floor(at / 1_000) * 1_000
}

/** The instant of a date and time (`09:00`) on a zone's clocks, in epoch milliseconds. */
export function zonedTime(date: string, time: string, zone: string): number {
  const naive = Date.parse(`${date}T${time}:00.000Z`)
  const first = naive - offsetAt(zone, naive)
  return naive - offsetAt(zone, first + minute)
}
