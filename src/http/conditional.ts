import type { Context } from "hono"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { DomainError } from "../domain/errors.ts"
import type { Expected } from "../domain/revisions.ts"
import { fnv1a } from "../lib/hash.ts"
import type { AppEnv } from "./context.ts"

// ETags: `"<revision>"` for a row, `"<revision>.<hash>"` for one that shows what changes without its revision (a task's
// labels, one's own role), `"<revision>.<seq>.<hash>"` for what depends on more than the row, and
// `"0.<seq>.<hash>"` for lists. If-Match looks at what stands before the first dot. The CDN makes ETags weak when it
// compresses, so `W/` means nothing here.

type Tagged = {
  revision: number
  seq?: number | null
  // What a task and a user show that is not of their row.
  labelIds?: string[] | undefined
  workspace?: { id: string; role: string }
  defaultProjectId?: string | null
}

/** The ETag of a row that everybody sees the same. */
export function tagOfRow({ revision, labelIds = [], workspace, defaultProjectId = null }: Tagged): string {
  const others = workspace ? [workspace.id, workspace.role, defaultProjectId] : labelIds
  return others.length > 0 ? `"${revision}.${fnv1a(others.join(" "))}"` : `"${revision}"`
}

/** The hash tells apart what one URL shows to different viewers, and the projections of one row. */
function etagOf(c: Context<AppEnv>, tag: Tagged): string {
  const { revision, seq } = tag
  if (seq === undefined || seq === null) return tagOfRow(tag)
  const { workspaceId, actor } = c.var.ctx
  return `"${revision}.${seq}.${fnv1a([workspaceId, actor.userId, actor.role, c.req.url].join(" "))}"`
}

/** Answers with a view and its ETag, or 304 when the caller has it already. */
export function conditional(
  c: Context<AppEnv>,
  view: object,
  tag: Tagged,
  status: ContentfulStatusCode = 200,
): Response {
  const etag = etagOf(c, tag)
  c.header("etag", etag)
  c.header("cache-control", "private, no-cache")
  c.header("vary", "Authorization, X-API-Key", { append: true })
  const known = tagsIn(c.req.header("if-none-match"))
  const isRead = c.req.method === "GET" || c.req.method === "HEAD"
  if (isRead && known && (known === "*" || known.includes(etag.slice(1, -1)))) return c.body(null, 304)
  return c.json(view, status)
}

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
