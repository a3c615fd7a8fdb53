import { second } from "../lib/time.ts"

// Of a large quota an isolate takes a part at a time and spends it without asking anybody. So the limit is never
// exceeded, and what may go unused is what the live isolates hold: this file is the whole of that argument, without a
// clock or a network, and test/limits/leasing.test.ts plays it through.

/** A part of a quota. Times are epoch milliseconds by the isolate's own clock. */
export type Lease = {
  /** How many requests it is good for. */
  held: number
  /** Until when it may be spent: never beyond the end of its window. */
  until: number
  /** When its window ends, at the earliest. */
  endsAt: number
  /** Which of the engine's windows it is a part of. */
  window: number
  /** What the engine had left when it gave the last part. */
  left: number
}

/** What an engine says to somebody who asks for a part. */
export type Grant = {
  isAllowed: boolean
  /** What is left of the quota afterwards, by the engine's knowledge. */
  remaining: number
  /** How long until the window ends, when the engine looked. */
  resetMs: number
  /** Names the window, and is never used for another one of the same key. */
  window: number
}

/** Smaller quotas are asked for one by one: a hundredth of them is not worth a lease. */
export const leasedFrom = 1_000
export const leaseLife = 5 * second
// A runtime's clock stands still while it computes: what it takes for now may be a little earlier than it is.
const clockMargin = 250

/** How many requests an isolate takes at once. */
export const partOf = (quota: number): number => (quota >= leasedFrom ? Math.floor(quota / 100) : 1)

/** The lease with so many less, or null when it does not hold as many: then it takes the engine. */
export function spend(lease: Lease | null, now: number, count = 1): Lease | null {
  if (!lease || lease.held < count || now >= lease.until) return null
  return { ...lease, held: lease.held - count }
}

/** The lease with one more that was spent in that window, or null when it is of another one, or over. */
export function unspend(lease: Lease | null, window: number, now: number): Lease | null {
  return lease?.window === window && now < lease.until ? { ...lease, held: lease.held + 1 } : null
}

/**
 * What an isolate holds once the engine has granted `count`, of which `spent` are spent at once. `askedAt` is when it was
 * asked and not when it answered: however long the answer takes, the window then ends no earlier than it is thought to.
 */
export function extend(
  lease: Lease | null,
  { grant, count, askedAt, spent = 1 }: { grant: Grant; count: number; askedAt: number; spent?: number },
): Lease {
  const endsAt = askedAt + grant.resetMs - clockMargin
  // What is left of an earlier window is worth nothing in this one.
  const kept = lease?.window === grant.window ? lease.held : 0
  const until = Math.min(askedAt + leaseLife, endsAt)
  return { held: kept + count - spent, until, endsAt, window: grant.window, left: grant.remaining }
}

/** How much of a lease that has run out can be given back: nothing once its window may have ended. */
export function leftover(lease: Lease, now: number): number {
  return now >= lease.until && now < lease.endsAt ? lease.held : 0
}
