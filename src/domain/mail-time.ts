import { hour, rfc3339 } from "../lib/time.ts"
import { zonedTime } from "../lib/zoned-time.ts"
import type { Settings } from "./settings.ts"

const digestTime = "08:00"

/** When what happens at `at` is mailed to somebody who has chosen this rhythm. */
export function mailTime(rhythm: Settings["mail"], zone: string, at: number): number {
  if (rhythm === "at_once") return at
  if (rhythm === "hourly") return (Math.floor(at / hour) + 1) * hour
  // Tomorrow's, where today's is over: their date may be another one than UTC's.
  const days = [-1, 0, 1, 2].map((n) => rfc3339(at + n * 24 * hour).slice(0, 10))
  return days.map((date) => zonedTime(date, digestTime, zone)).find((time) => time > at) ?? at + 24 * hour
}
