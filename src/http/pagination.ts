import type { Context } from "hono"
import { whole } from "./conditional.ts"
import type { AppEnv } from "./context.ts"

type Page = { data: object[]; next: string | null }

/** Answers with a page, its ETag, and where the next one is (RFC 8288). */
export function page(c: Context<AppEnv>, { data, next }: Page): Response {
  if (next === null) return whole(c, { data, next })
  const url = new URL(c.req.url)
  url.searchParams.set("cursor", next)
  return whole(c, { data, next }, `<${url.pathname}${url.search}>; rel="next"`)
}
