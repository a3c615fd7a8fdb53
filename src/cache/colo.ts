import { second } from "../lib/time.ts"
import type { Store } from "./store.ts"

type Options = {
  /** Where this deployment is, if it is known: Cloudflare advises against names of other hosts. */
  origin?: string | undefined
  /** What nobody else knows: deployments of one zone share its cache, and nothing that is kept in it. */
  scope: string
}

/** What the isolates of one colo share, by Cloudflare's Cache API. Where that does nothing (workers.dev), nothing is kept. */
export function coloStore(
  cache: Pick<Cache, "match" | "put" | "delete">,
  { origin = "https://cache.edgewise.invalid", scope }: Options,
): Store {
  // Requests come to the Worker and not to this cache, so only this code reads what is stored under it.
  const urlOf = (key: string) => `${origin}/.kept/${scope}/${encodeURIComponent(key)}`
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
