import { second } from "../lib/time.ts"
import type { Store } from "./store.ts"

/**
 * What the isolates of one colo share, by Cloudflare's Cache API. Where that does nothing (workers.dev), nothing is
 * kept. `scope`: deployments of one zone share its cache, and nothing that is kept in it.
 */
export function coloStore(cache: Pick<Cache, "match" | "put" | "delete">, scope: string): Store {
  // Nobody can ask for a host that does not exist, so only this code reads what is stored under it.
  const urlOf = (key: string) => `https://cache.edgewise.invalid/1/${scope}/${encodeURIComponent(key)}`
  const isDone = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => false,
    )
  return {
    async get(key) {
      try {
        return (await (await cache.match(urlOf(key)))?.text()) ?? null
      } catch {
        return null
      }
    },
    put(key, text, lifeMs) {
      const headers = { "cache-control": `public, max-age=${Math.ceil(lifeMs / second)}` }
      return isDone(cache.put(urlOf(key), new Response(text, { headers })))
    },
    forget: (key) => isDone(cache.delete(urlOf(key))),
  }
}
