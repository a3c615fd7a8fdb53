import { within } from "../lib/deadline.ts"

/**
 * Keeps text by key for a while. It may forget at any time, and where it fails it has forgotten: nothing here throws.
 * Whoever waits for it waits `inTime`.
 */
export type Store = {
  get(key: string): Promise<string | null>
  /** Resolves once whoever asks finds it. False: it may not be kept. */
  put(key: string, text: string, lifeMs: number): Promise<boolean>
  /** False: it may still be there. */
  forget(key: string): Promise<boolean>
}

// A cache that takes longer is no faster than what is behind it.
const patience = 150

/** What a cache says, or `otherwise` when it takes too long. */
export const inTime = <Answer>(work: Promise<Answer>, otherwise: Answer, ms = patience): Promise<Answer> =>
  within(ms, work).catch(() => otherwise)

/** What was kept as JSON; null for what is none. */
export function parsed<Entry>(text: string | null): Entry | null {
  try {
    return text === null ? null : (JSON.parse(text) as Entry)
  } catch {
    return null
  }
}
