import type { Context } from "hono"
import { conditional } from "./conditional.ts"
import type { AppEnv } from "./context.ts"

type Page = { data: object[]; next: string | null; seq: number }

/** Answers with a page, its ETag, and where the next one is (RFC 8288). */
export function page(c: Context<AppEnv>, { data, next, seq }: Page): Response {
  if (next !== null) {
    const url = new URL(c.req.url)
    url.searchParams.set("cursor", next)
    c.header("link", `<${url.pathname}${url.search}>; rel="next"`)
  }
  return conditional(c, { data, next }, { revision: 0, seq })
}
