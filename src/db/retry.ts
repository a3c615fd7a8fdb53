import { within } from "../lib/deadline.ts"
import { classify, DbError, isTransient } from "./errors.ts"

export type RetryRules = {
  attempts: number
  /** Milliseconds that one attempt may take. D1 has been seen to stall for a minute before it resets. */
  deadlineMs: number
  sleep: (ms: number) => Promise<void>
}

const baseMs = 50
const capMs = 2_000

/** How long to wait before attempt `n` (from 2): full jitter under a doubling bound. */
export const backoffMs = (n: number, random = Math.random): number => random() * Math.min(capMs, baseMs * 2 ** (n - 2))

/** `n`: which attempt this is, from 1. `signal`: aborted when nobody waits for it any more. */
export type Attempt = { n: number; signal: AbortSignal }

/**
 * Runs `attempt` until it answers, within a deadline each. Only what was not the work's fault is tried again (a broken
 * connection, a missed deadline, others at the same rows), so `attempt` must be safe to repeat after an unknown
 * outcome. Throws DbError for a fault that has a name, and whatever else `attempt` throws as it is.
 */
export async function withRetries<T>(rules: RetryRules, attempt: (attempt: Attempt) => Promise<T>): Promise<T> {
  for (let n = 1; ; n += 1) {
    const late = new AbortController()
    try {
      return await within(rules.deadlineMs, attempt({ n, signal: late.signal }), () => late.abort())
    } catch (error) {
      const fault = classify(error)
      if (fault.kind === "unknown" || error instanceof DbError) throw error
      if (!isTransient(fault) || n >= rules.attempts) throw new DbError(fault, error)
      await rules.sleep(backoffMs(n + 1))
    }
  }
}
