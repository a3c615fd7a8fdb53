import { parseRetryAfter } from "../lib/retry-after.ts"
import { day, hour, minute, second } from "../lib/time.ts"

// What follows from an attempt to deliver. No I/O, no clock.

/** How long to wait after each attempt that failed, in milliseconds: ten attempts in about three days. */
export const publishedWaits: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
]

/** A webhook that nothing has reached for this long is disabled. */
export const failingAtMost = 3 * day
/** A receiver may ask for no more than this. */
const longestWait = 24 * hour
/** How much later than planned an attempt may come, as a share of the wait: so that what failed together parts. */
const jitter = 0.1

// An attempt's number tells which one it is since the last replay, and after how many replays: 203 is the third after
// two of them. So a replay has the whole schedule before it, and no attempt shares its number with another.
const perReplay = 100

export const attemptOf = (number: number) => ({
  attempt: number % perReplay,
  replay: Math.floor(number / perReplay),
})

/** What `attempts` of a delivery is once it is replayed. */
export const replayed = (attempts: number): number => (attemptOf(attempts).replay + 1) * perReplay

/** What an attempt came to. `status` null: no answer came. */
export type Outcome = { status: number | null; retryAfter: string | null }

export type Situation = {
  /** The number of the attempt. */
  number: number
  now: number
  failingSince: number | null
  waits: readonly number[]
  /** 0 to 1. */
  random: number
}

export type Consequence = {
  status: "pending" | "delivered" | "failed"
  nextAttemptAt: number | null
  failingSince: number | null
  disabledReason: "gone" | "failing" | null
}

export const isDelivered = ({ status }: Pick<Outcome, "status">): boolean =>
  status !== null && status >= 200 && status < 300

export function consequenceOf(outcome: Outcome, situation: Situation): Consequence {
  const { number, now, waits } = situation
  if (isDelivered(outcome)) {
    return { status: "delivered", nextAttemptAt: null, failingSince: null, disabledReason: null }
  }
  const failingSince = situation.failingSince ?? now
  const over = { status: "failed", nextAttemptAt: null, failingSince } as const
  if (outcome.status === 410) return { ...over, disabledReason: "gone" }
  if (now - failingSince >= failingAtMost) return { ...over, disabledReason: "failing" }
  const wait = waits[attemptOf(number).attempt - 1]
  if (wait === undefined) return { ...over, disabledReason: null }
  const asked = Math.min(parseRetryAfter(outcome.retryAfter, now) ?? 0, longestWait)
  const nextAttemptAt = now + Math.round(Math.max(wait, asked) * (1 + jitter * situation.random))
  return { status: "pending", nextAttemptAt, failingSince, disabledReason: null }
}
