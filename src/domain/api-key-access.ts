import { and, eq, isNull, lte, or, sql } from "drizzle-orm"
import type { Finding, KeyMemory, KnownKey } from "../cache/key-memory.ts"
import type { Db } from "../db/db.ts"
import { parseApiKey } from "../lib/api-key.ts"
import { sha256 } from "../lib/hmac.ts"
import { hour } from "../lib/time.ts"

/** What identifies a caller by their key: there is no actor yet. */
type KeyCtx = { db: Db; keys: KeyMemory; now: () => number }

/** How far behind `lastUsedAt` may be: it is written this often at most. */
export const usePrecision = hour

type Identified = {
  key: KnownKey
  hash: string
  /** Whether its use is to be noted, after the answer: see `noteUse`. */
  isUseDue: boolean
}

/** Whose key this is; null for what is none (any more). Asks the database only for what the colo does not know. */
export async function identifyKey({ db, keys, now }: KeyCtx, text: string): Promise<Identified | null> {
  const parsed = parseApiKey(text)
  if (!parsed) return null
  const hash = await sha256(text)
  const known = await keys.recall(hash)
  const { key, at } = known ?? (await lookUp(db, parsed.workspaceId, hash, now()))
  const isUsable = key !== null && (key.expiresAt === null || key.expiresAt > now())
  const isUseDue = isUsable && (key.lastUsedAt === null || key.lastUsedAt <= now() - usePrecision)
  // Noted here at once, so that the next request does not write it too.
  const noted = isUseDue ? { ...key, lastUsedAt: now() } : key
  if (!known || isUseDue) await keys.remember(hash, { key: noted, at })
  return isUsable ? { key, hash, isUseDue } : null
}

/** The live key with this hash, of a user who is a member of a workspace that is there. */
async function lookUp(db: Db, workspaceId: string, hash: string, at: number): Promise<Finding> {
  const { apiKeys, members, profiles } = db.tables
  const isDeleted = sql`(select 1 from ${profiles} w where w.workspace_id = ${workspaceId} and w.deleted_at is not null)`
  const [[row]] = await db.read(
    db.sql
      .select({
        id: apiKeys.id,
        userId: apiKeys.userId,
        scopes: apiKeys.scopes,
        expiresAt: apiKeys.expiresAt,
        lastUsedAt: apiKeys.lastUsedAt,
        role: members.role,
      })
      .from(apiKeys)
      .innerJoin(
        members,
        and(
          eq(members.workspaceId, workspaceId),
          eq(members.userId, apiKeys.userId),
          isNull(members.removedAt),
          sql`${isDeleted} is null`,
        ),
      )
      .where(and(eq(apiKeys.workspaceId, workspaceId), eq(apiKeys.hash, hash), isNull(apiKeys.revokedAt))),
  )
  return { key: row ? { ...row, workspaceId } : null, at }
}

/** When a key ends by itself, null for one that does not; undefined for one that has been revoked. Never a memory. */
export async function findKeyEnd(db: Db, workspaceId: string, id: string): Promise<number | null | undefined> {
  const { apiKeys } = db.tables
  const [[key]] = await db.read(
    db.sql
      .select({ expiresAt: apiKeys.expiresAt })
      .from(apiKeys)
      .where(and(eq(apiKeys.workspaceId, workspaceId), eq(apiKeys.id, id), isNull(apiKeys.revokedAt))),
  )
  return key?.expiresAt
}

/** Writes that a key has been used. Of those who write it at the same time, one does. */
export async function noteUse(db: Db, { workspaceId, id }: KnownKey, at: number): Promise<void> {
  const { apiKeys } = db.tables
  await db.write(
    db.sql
      .update(apiKeys)
      .set({ lastUsedAt: at })
      .where(
        and(
          eq(apiKeys.workspaceId, workspaceId),
          eq(apiKeys.id, id),
          or(isNull(apiKeys.lastUsedAt), lte(apiKeys.lastUsedAt, at - usePrecision)),
        ),
      ),
  )
}
