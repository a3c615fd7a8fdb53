import { second } from "./time.ts"

// The three forms of a date that HTTP has (RFC 9110, 5.6.7): `Date.parse` alone takes much more.
const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [\w -]+\d{2}:\d{2}:\d{2}(?: GMT| \d{4})$/

/** How long a Retry-After asks to wait, in milliseconds from `now`; null for what is none. */
export function parseRetryAfter(value: string | null, now: number): number | null {
  const text = value?.trim() ?? ""
  if (/^\d{1,10}$/.test(text)) return Number(text) * second
  if (!httpDate.test(text)) return null
  const at = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
