import type { Context } from "hono"
import { createMiddleware } from "hono/factory"
import { bookmarkForms } from "../db/engine.ts"
import { invalid } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"

const name = "edgewise-bookmark"

/** Of whichever database: callers may have one from before a move, which is no mistake of theirs. */
const isBookmark = (header: string) => Object.values(bookmarkForms).some((form) => form.test(header))

/** What the database must have reached that answers this request; null: ask the primary. */
export function bookmarkIn(c: Context): string | null {
  const header = c.req.header(name)
  return header && isBookmark(header) && !asksPrimary(c) ? header : null
}

/**
 * Whether the caller wants to know from the source, whatever anybody has kept (RFC 9111, 5.2.1). With If-None-Match fetch
 * sends no-cache by itself (Fetch, "HTTP-network-or-cache fetch"), which says nothing about what the caller wants.
 */
export function asksPrimary(c: Context): boolean {
  const wanted = c.req.header("cache-control") ?? ""
  if (/\bmax-age=0\b/i.test(wanted)) return true
  return /\bno-cache\b/i.test(wanted) && c.req.header("if-none-match") === undefined
}

export function tellBookmark(c: Context, bookmark: string | null): void {
  if (bookmark) c.header(name, bookmark)
}

/**
 * Tells how far the database was, for the next request to bring along: then it may be answered by a replica near its
 * caller, and still sees what they have seen and written.
 */
export const keepBookmark = () =>
  createMiddleware<AppEnv>(async function keepBookmark(c, next) {
    const header = c.req.header(name)
    if (header !== undefined && !isBookmark(header)) {
      throw invalid({ pointer: "Edgewise-Bookmark", detail: "must be one that an answer has had" })
    }
    await next()
    if (c.var.db.meter.trips > 0) tellBookmark(c, c.var.db.bookmark())
  })
