import { Lru } from "../lib/lru.ts"
import type { Store } from "./store.ts"

type Options = {
  now: () => number
  /** How many characters are kept at most, keys included. What was used longest ago makes room. */
  capacity: number
}

/** What this isolate keeps. */
export function memoryStore({ now, capacity }: Options): Store {
  const kept = new Lru<string, { text: string; until: number }>(capacity, ({ text }, key) => text.length + key.length)
  return {
    get(key) {
      const found = kept.get(key)
      return Promise.resolve(found && now() < found.until ? found.text : null)
    },
    put(key, text, lifeMs) {
      kept.set(key, { text, until: now() + lifeMs })
      return Promise.resolve(true)
    },
    forget(key) {
      kept.delete(key)
      return Promise.resolve(true)
    },
  }
}
