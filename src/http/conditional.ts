import type { Context } from "hono"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import type { Shown } from "../cache/responses.ts"
import { DomainError, invalid } from "../domain/errors.ts"
import type { Expected, Known } from "../domain/revisions.ts"
import { fnv1a } from "../lib/hash.ts"
import { sha256 } from "../lib/hmac.ts"
import type { AppEnv } from "./context.ts"

// ETags: `"<revision>"` for a row, `"<revision>.<hash>"` for one that shows what changes without its revision (a task's
// labels, one's own role), `"<revision>.<seq>.<hash>"` for what depends on more than the row, and
// `"0.<seq>.<hash>"` for lists. If-Match looks at what stands before the first dot. The CDN makes ETags weak when it
// compresses, so `W/` means nothing here.

type Tagged = {
  revision: number
  // What a task and a user show that is not of their row.
  labelIds?: string[] | null | undefined
  workspace?: { id: string; role: string }
  defaultProjectId?: string | null
}

/** The ETag of a row that everybody sees the same. */
export function tagOfRow({ revision, labelIds, workspace, defaultProjectId = null }: Tagged): string {
  const others = workspace ? [workspace.id, workspace.role, defaultProjectId] : (labelIds ?? [])
  return others.length > 0 ? `"${revision}.${fnv1a(others.join(" "))}"` : `"${revision}"`
}

/** What is asked for, in whatever order its parameters come. */
export function addressOf(c: Context): string {
  const { pathname, searchParams } = new URL(c.req.url)
  searchParams.sort()
  return `${pathname}?${searchParams}`
}

/** The hash tells apart what one URL shows to different viewers, and the projections of one row. */
function tagOfLog(c: Context<AppEnv>, revision: number): string {
  const { db, ctx } = c.var
  const { workspaceId, actor } = ctx
  const seen = db.seen()
  if (!seen) throw new Error("Nobody has read how far the log is: this takes a cachedOperation")
  return `"${revision}.${seen.seq}.${fnv1a([workspaceId, actor.userId, actor.role, addressOf(c)].join(" "))}"`
}

/**
 * Answers with a view and its ETag, or 304 when the caller has it already. `ofLog`: it shows more than its row, so
 * anything that happens in the workspace may change it.
 */
export function conditional(
  c: Context<AppEnv>,
  view: object,
  { ofLog = false, ...tag }: Tagged & { ofLog?: boolean },
  status: ContentfulStatusCode = 200,
): Response {
  const etag = ofLog ? tagOfLog(c, tag.revision) : tagOfRow(tag)
  return show(c, { etag, link: null, body: JSON.stringify(view) }, status)
}

/** Answers with what has no revision of its own, such as a page of a list; `link` is its Link header. */
export const whole = (c: Context<AppEnv>, view: object, link: string | null = null): Response =>
  show(c, { etag: tagOfLog(c, 0), link, body: JSON.stringify(view) })

/** Answers with what no log tells the changes of: its ETag follows from what it says. */
export async function wholeByContent(c: Context<AppEnv>, view: object, link: string | null = null): Promise<Response> {
  const body = JSON.stringify(view)
  return show(c, { etag: `"0.${await sha256(body)}"`, link, body })
}

/** Answers with it, or 304, and leaves it to whoever keeps answers. */
export function show(c: Context<AppEnv>, shown: Shown, status: ContentfulStatusCode = 200): Response {
  const known = isRead(c) && tagsIn(c.req.header("if-none-match"))
  c.set("shown", shown)
  c.header("etag", shown.etag)
  if (shown.link) c.header("link", shown.link)
  c.header("cache-control", "private, no-cache")
  c.header("vary", "Authorization, X-API-Key", { append: true })
  if (known && (known === "*" || known.includes(shown.etag.slice(1, -1)))) {
    // Whoever has been refused before it is given may have set one.
    c.header("content-type", undefined)
    return c.body(null, 304)
  }
  return c.body(shown.body, status, { "content-type": "application/json" })
}

/** Whether the request asks for something to be told, and for nothing to be done. */
export const isRead = ({ req: { method } }: Context): boolean => method === "GET" || method === "HEAD"

/** The revisions that the caller will accept to change: those of If-Match, or the one in the body. */
export function expectedRevision(c: Context, revision?: number): Expected {
  const tags = tagsIn(c.req.header("if-match"))
  const stated = revision === undefined ? null : [revision]
  if (!tags || tags === "*") return stated
  const revisions = tags
    .map((tag) => tag.split(".")[0] ?? "")
    .map((text) => (/^\d{1,15}$/.test(text) ? Number(text) : -1))
  return stated ? revisions.filter((tag) => stated.includes(tag)) : revisions
}

/** The same, or the revision on which the change is to be merged. Throws `invalid_input` for both. */
export function knownRevision(
  c: Context,
  { revision, base }: { revision?: number | undefined; base?: number | undefined },
): Known {
  const expected = expectedRevision(c, revision)
  if (base === undefined) return expected
  if (!expected) return { base }
  throw invalid({ pointer: "/base", detail: "does not go with revision or If-Match" })
}

/** The opaque tags of a list (RFC 9110, 8.8.3). Throws `malformed` for what is none. */
function tagsIn(value: string | undefined): string[] | "*" | null {
  const text = value?.trim()
  if (!text) return null
  if (text === "*") return "*"
  const tags = [...text.matchAll(/(?:W\/)?"([^"]*)"\s*(?:,\s*|$)/gy)]
  if (tags.map(([whole]) => whole).join("") !== text)
    throw new DomainError("malformed", "If-Match and If-None-Match take quoted ETags")
  return tags.map(([, tag]) => tag ?? "")
}
