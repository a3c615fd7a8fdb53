import type { Context } from "hono"
import { whole, wholeByContent } from "./conditional.ts"
import type { AppEnv } from "./context.ts"

type Page = { data: object[]; next: string | null }

/** Answers with a page of what the workspace's log tells, its ETag, and where the next one is (RFC 8288). */
export const page = (c: Context<AppEnv>, { data, next }: Page): Response => whole(c, { data, next }, linkTo(c, next))

/** The same of what is kept elsewhere. */
export const pageByContent = (c: Context<AppEnv>, { data, next }: Page): Promise<Response> =>
  wholeByContent(c, { data, next }, linkTo(c, next))

function linkTo(c: Context, next: string | null): string | null {
  if (next === null) return null
  const url = new URL(c.req.url)
  url.searchParams.set("cursor", next)
  return `<${url.pathname}${url.search}>; rel="next"`
}
