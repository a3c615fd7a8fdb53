import { day, hour, minute } from "./time.ts"

const pattern = /^P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?$/

/** `PT30M` or `P1DT12H` in milliseconds: weeks, days of 24 hours, hours and minutes of ISO 8601. Null for what is none. */
export function parseDuration(text: string): number | null {
  const [, ...parts] = pattern.exec(text) ?? []
  if (parts.every((part) => part === undefined) || text.endsWith("T")) return null
  const [weeks = 0, days = 0, hours = 0, minutes = 0] = parts.map((part) => Number(part ?? 0))
  return (weeks * 7 + days) * day + hours * hour + minutes * minute
}

/** Whole minutes as `parseDuration` reads them, in days, hours and minutes. */
export function formatDuration(ms: number): string {
  const [days, hours, minutes] = [Math.floor(ms / day), Math.floor(ms / hour) % 24, Math.floor(ms / minute) % 60]
  const time = `${hours ? `${hours}H` : ""}${minutes ? `${minutes}M` : ""}`
  if (!days && !time) return "PT0M"
  return `P${days ? `${days}D` : ""}${time && `T${time}`}`
}
