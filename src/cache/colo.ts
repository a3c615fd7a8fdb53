import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { Store } from "./store.ts"

// A cache that takes longer is no faster than what is behind it.
const deadlineMs = 500

/**
 * What the isolates of one colo share, by Cloudflare's Cache API. Where that does nothing (workers.dev), nothing is
 * kept. `scope`: deployments of one zone share its cache, and nothing that is kept in it.
 */
export function coloStore(cache: Pick<Cache, "match" | "put" | "delete">, scope: string): Store {
  // Nobody can ask for a host that does not exist, so only this code reads what is stored under it.
  const urlOf = (key: string) => `https://cache.edgewise.invalid/1/${scope}/${encodeURIComponent(key)}`
  const done = (work: Promise<unknown>) =>
    within(deadlineMs, work).then(
      () => true,
      () => false,
    )
  return {
    async get(key) {
      const answer = await within(deadlineMs, cache.match(urlOf(key))).catch(() => undefined)
      return (await answer?.text().catch(() => null)) ?? null
    },
    put(key, text, lifeMs) {
      const headers = { "cache-control": `public, max-age=${Math.ceil(lifeMs / second)}` }
      return done(cache.put(urlOf(key), new Response(text, { headers })))
    },
    forget: (key) => done(cache.delete(urlOf(key))),
  }
}
