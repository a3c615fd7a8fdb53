/**
 * Keeps text by key for a while. It may forget at any time, and where it fails it has forgotten: nothing here throws.
 */
export type Store = {
  get(key: string): Promise<string | null>
  /** Resolves once whoever asks finds it. False: it may not be kept. */
  put(key: string, text: string, lifeMs: number): Promise<boolean>
  /** False: it may still be there. */
  forget(key: string): Promise<boolean>
}

/** What was kept as JSON; null for what is none. */
export function parsed<Entry>(text: string | null): Entry | null {
  try {
    return text === null ? null : (JSON.parse(text) as Entry)
  } catch {
    return null
  }
}
