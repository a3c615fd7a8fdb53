import type { Context } from "hono"
import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { AppEnv } from "./context.ts"

// What scripts/assets.ts has made: files whose names tell what is in them.

const deadline = 5 * second

let manifest: Record<string, string> | undefined

/** The path of a file by the name that it has in the sources, such as `pages/pages.css`. */
export async function assetPaths(c: Context<AppEnv>): Promise<(name: string) => string> {
  if (!manifest) {
    const answer = await within(deadline, c.env.ASSETS.fetch(new URL("/manifest.json", c.req.url)))
    manifest = await answer.json<Record<string, string>>()
  }
  const paths = manifest
  return (name) => paths[name] ?? `/${name}`
}

/** Answers with the file that the request names, or 304. The headers are those of dist/assets/_headers. */
export async function asset(c: Context<AppEnv>): Promise<Response> {
  const asked = new Request(c.req.url, { headers: c.req.raw.headers })
  const answer = await within(deadline, c.env.ASSETS.fetch(asked))
  return answer.status === 404 ? c.notFound() : new Response(answer.body, answer)
}
