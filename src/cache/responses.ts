import { Lru } from "../lib/lru.ts"
import { keptLife } from "./rev.ts"

/** An answer as it goes out: its ETag, where the next page is, and the JSON. */
export type Shown = { etag: string; link: string | null; body: string }

/** What this isolate has answered to GETs, by who looked, what they asked for and how far the log was. */
export type Responses = {
  find(key: string): Shown | null
  keep(key: string, shown: Shown): void
}

type Options = {
  now: () => number
  /** How many characters are kept at most, keys included. What was used longest ago makes room. */
  capacity: number
}

/**
 * Not in the colo, too: that costs everybody a look and a write, and what comes over one connection comes to one
 * isolate anyway.
 */
export function responsesOf({ now, capacity }: Options): Responses {
  const kept = new Lru<string, { shown: Shown; until: number }>(
    capacity,
    ({ shown }, key) => shown.body.length + key.length,
  )
  return {
    find(key) {
      const found = kept.get(key)
      return found && now() < found.until ? found.shown : null
    },
    keep: (key, shown) => kept.set(key, { shown, until: now() + keptLife }),
  }
}
