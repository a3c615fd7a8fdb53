import { and, asc, eq, gt, isNull } from "drizzle-orm"
import type { KeyMemory } from "../cache/key-memory.ts"
import type { ApiKeyQueryInput, ApiKeyView, MadeApiKeyView, NewApiKeyInput } from "../contracts/api-keys.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { hintOf, makeApiKey } from "../lib/api-key.ts"
import { sha256 } from "../lib/hmac.ts"
import { idPattern } from "../lib/ids.ts"
import type { Role } from "../lib/roles.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, type FieldError, invalid, notFound } from "./errors.ts"
import { commit, commitNothing, type DomainChange, untilUncontested } from "./events.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { allPermissions, type Permission, permit, permitSession, rolesThatMay } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import type { Sessions } from "./sessions.ts"

type ApiKey = Row<"apiKeys">

const apiKeyView = (key: ApiKey): ApiKeyView => {
  const { id, name, hint, scopes, userId, createdAt, expiresAt, lastUsedAt, revision } = key
  const times = {
    createdAt: rfc3339(createdAt),
    expiresAt: rfc3339OrNull(expiresAt),
    lastUsedAt: rfc3339OrNull(lastUsedAt),
  }
  return { id, name, hint, scopes, userId, ...times, revision }
}

/** A person manages keys; a key that could make keys would outlive its own revocation. */
function permitKeys(ctx: Ctx): void {
  permitSession(ctx.actor)
  permit(ctx, "key:manage")
}

/** Makes a key that acts as the actor in this workspace. The key itself is in this answer and nowhere else. */
export async function createApiKey(
  ctx: Ctx,
  sessions: Pick<Sessions, "list">,
  input: NewApiKeyInput,
): Promise<MadeApiKeyView> {
  permitKeys(ctx)
  const { db, workspaceId, actor } = ctx
  const at = ctx.now()
  const expiresAt = input.expiresAt === null ? null : Date.parse(input.expiresAt)
  const scopes = [...new Set(input.scopes)].filter(isPermission)
  const errors = scopeErrors(input.scopes, actor.role)
  if (expiresAt !== null && expiresAt <= at) errors.push({ pointer: "/expiresAt", detail: "must be in the future" })
  if (errors.length > 0) throw invalid(...errors)
  // An access token outlives its session by minutes; what it made would outlive it by years.
  const live = await sessions.list(actor.userId)
  if (!live.some(({ id }) => id === actor.sessionId)) throw new DomainError("unauthenticated", "This session has ended")

  const key = makeApiKey(workspaceId)
  const row: ApiKey = {
    workspaceId,
    id: ctx.newId("apiKey"),
    userId: actor.userId,
    name: input.name,
    hash: await sha256(key),
    hint: hintOf(key),
    scopes,
    expiresAt,
    lastUsedAt: null,
    revision: 1,
    createdAt: at,
    updatedAt: at,
    revokedAt: null,
  }
  await commit(ctx, {
    permission: "key:manage",
    also: scopes,
    at,
    rows: [insertRows(db, db.tables.apiKeys, [row])],
    changes: [changeOfKey(row, "api_key.created", { before: null, after: apiKeyView(row) })],
    answer: { kind: "secret", body: { id: row.id } },
  })
  return { ...apiKeyView(row), key }
}

/** What of the scopes is no permission, or none that this role has. */
const scopeErrors = (scopes: string[], role: Role): FieldError[] =>
  scopes.flatMap((scope, index) => {
    const pointer = `/scopes/${index}`
    if (!isPermission(scope)) return [{ pointer, detail: `must be a permission: ${allPermissions.join(", ")}` }]
    return rolesThatMay(scope).includes(role) ? [] : [{ pointer, detail: "is more than you may do yourself" }]
  })

const isPermission = (scope: string): scope is Permission => (allPermissions as string[]).includes(scope)

const mayManageOthers = ({ actor }: Ctx) => rolesThatMay("member:manage").includes(actor.role)

/** The live and the expired keys of one user, oldest first. */
export async function listApiKeys(
  ctx: Ctx,
  { user, limit, cursor }: ApiKeyQueryInput,
): Promise<{ data: ApiKeyView[]; next: string | null }> {
  permitKeys(ctx)
  const { db, workspaceId, actor } = ctx
  const userId = user ?? actor.userId
  if (userId !== actor.userId) permit(ctx, "member:manage")
  const list = `${workspaceId} api keys ${userId}`
  const place = parseCursor(list, "string", cursor)
  const { apiKeys } = db.tables
  const [rows] = await db.read(
    db.sql
      .select()
      .from(apiKeys)
      .where(
        and(
          eq(apiKeys.workspaceId, workspaceId),
          eq(apiKeys.userId, userId),
          isNull(apiKeys.revokedAt),
          place ? gt(apiKeys.id, place.id) : undefined,
        ),
      )
      .orderBy(asc(apiKeys.id))
      .limit(limit + 1),
  )
  const page = cutRows(rows, limit, list, ({ id }) => placeOfId(id))
  return { data: page.rows.map(apiKeyView), next: page.next }
}

/** A key of the actor's, or of somebody whom they manage. To everybody else it does not exist. */
async function getKeyRow(ctx: Ctx, id: string): Promise<ApiKey> {
  permitKeys(ctx)
  if (!idPattern("apiKey").test(id)) throw notFound("API key")
  const { apiKeys } = ctx.db.tables
  const [[key]] = await ctx.db.read(ctx.db.sql.select().from(apiKeys).where(isLive(ctx, id)))
  if (!key || !(key.userId === ctx.actor.userId || mayManageOthers(ctx))) throw notFound("API key")
  return key
}

const isLive = ({ db, workspaceId }: Ctx, id: string) => {
  const { apiKeys } = db.tables
  return and(eq(apiKeys.workspaceId, workspaceId), eq(apiKeys.id, id), isNull(apiKeys.revokedAt))
}

export async function getApiKey(ctx: Ctx, id: string): Promise<ApiKeyView> {
  return apiKeyView(await getKeyRow(ctx, id))
}

/** Gives a key another name. What it may do stays what it was made for. */
export async function renameApiKey(
  ctx: Ctx,
  id: string,
  name: string | undefined,
  expected: Expected,
): Promise<ApiKeyView> {
  return untilUncontested(async () => {
    const before = await getKeyRow(ctx, id)
    if (before.userId !== ctx.actor.userId) throw new DomainError("forbidden", "Only its user names a key")
    expectRevision(expected, before.revision)
    if (name === undefined || name === before.name) {
      await commitNothing(ctx, "key:manage", { kind: "changed", body: apiKeyView(before) })
      return apiKeyView(before)
    }
    const at = ctx.now()
    const after: ApiKey = { ...before, name, updatedAt: at, revision: before.revision + 1 }
    await commit(ctx, {
      permission: "key:manage",
      at,
      rows: [replaceKey(ctx, before, { name, updatedAt: at })],
      changes: [changeOfKey(after, "api_key.updated", { before: { name: before.name }, after: { name } })],
      answer: { kind: "changed", body: apiKeyView(after) },
    })
    return apiKeyView(after)
  })
}

/**
 * Ends a key. From then on nothing is written through it; where another colo remembers it, it reads for up to a minute
 * more.
 */
export async function revokeApiKey(ctx: Ctx, keys: KeyMemory, id: string, expected: Expected): Promise<void> {
  const revoked = await untilUncontested(async () => {
    const before = await getKeyRow(ctx, id)
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const after = { ...before, revision: before.revision + 1 }
    await commit(ctx, {
      permission: before.userId === ctx.actor.userId ? "key:manage" : "member:manage",
      at,
      rows: [replaceKey(ctx, before, { updatedAt: at, revokedAt: at })],
      changes: [changeOfKey(after, "api_key.revoked", { before: apiKeyView(before), after: null })],
      answer: { kind: "empty" },
    })
    return before
  })
  await keys.forget(revoked.hash)
}

function replaceKey(ctx: Ctx, before: ApiKey, set: Partial<ApiKey>): Statement {
  const { apiKeys } = ctx.db.tables
  return ctx.db.sql
    .update(apiKeys)
    .set({ ...set, revision: before.revision + 1 })
    .where(and(isLive(ctx, before.id), eq(apiKeys.revision, before.revision)))
}

/** `key` as it is after the change. */
const changeOfKey = (
  { id, revision }: ApiKey,
  type: DomainChange["type"],
  data: DomainChange["data"],
): DomainChange => ({ type, subject: "apiKey", subjectId: id, revision, projectId: null, data })

/** Ends all keys of a member who goes, so that none of them works again if they come back. */
export function revokeKeysOf({ db, workspaceId }: Ctx, userId: string, at: number): Statement {
  const { apiKeys } = db.tables
  return db.sql
    .update(apiKeys)
    .set({ revokedAt: at, updatedAt: at })
    .where(and(eq(apiKeys.workspaceId, workspaceId), eq(apiKeys.userId, userId), isNull(apiKeys.revokedAt)))
}
