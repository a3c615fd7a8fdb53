import { and, asc, eq, getTableColumns, isNotNull, isNull, lte, sql } from "drizzle-orm"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { insertRows } from "../db/rows.ts"
import { minute } from "../lib/time.ts"
import { type MadeWebhook, madeSeqOf } from "./webhook-rows.ts"
import { findSurroundings, mayConcern, sentOf } from "./webhook-sight.ts"
import { webhooksAtMost } from "./webhooks.ts"

// What is owed to webhooks: rows that outlive whatever carries them.

/** One attempt that is due: its number tells it from every other one. */
export type DueAttempt = { webhookId: string; seq: number; number: number }

/** How long whoever took something has for it, before it is taken to be lost: longer than a queue and an attempt take. */
export const lease = 2 * minute
/** How many are looked at in one sweep. */
export const sweptAtMost = 200

/** The webhooks of a workspace that are sent to. */
export async function findActiveWebhooks(db: Db, workspaceId: string): Promise<MadeWebhook[]> {
  const { webhooks } = db.tables
  const [rows] = await db.read(
    db.sql
      .select({ ...getTableColumns(webhooks), madeSeq: madeSeqOf({ db, workspaceId }) })
      .from(webhooks)
      .where(and(eq(webhooks.workspaceId, workspaceId), isNull(webhooks.deletedAt), eq(webhooks.status, "active")))
      .limit(webhooksAtMost),
  )
  return rows
}

type Scope = { db: Db; workspaceId: string; now: () => number }

/**
 * Writes down what is owed of these entries, and tells what is to be attempted: leased already, to whoever is told. What
 * was written down before is not touched and not told again.
 */
export async function owe(
  { db, workspaceId, now }: Scope,
  webhooks: readonly MadeWebhook[],
  entries: readonly LogEntry[],
): Promise<DueAttempt[]> {
  const concerning = entries.filter((entry) => webhooks.some((webhook) => mayConcern(entry, webhook)))
  if (concerning.length === 0) return []
  const around = await findSurroundings(db, workspaceId, concerning)
  const at = now()
  const rows = concerning.flatMap((entry) =>
    webhooks
      // What happened before a webhook was made is not for it, however late it is read.
      .filter(({ madeSeq }) => entry.seq > madeSeq)
      .flatMap((webhook) => {
        const told = sentOf(entry, webhook, around)
        return told ? [{ webhookId: webhook.id, seq: entry.seq, type: told.type }] : []
      }),
  )
  if (rows.length === 0) return []
  const fresh = { status: "pending", attempts: 0, nextAttemptAt: at + lease, lastStatus: null } as const
  const owed = rows.map((row) => ({ workspaceId, ...row, ...fresh, createdAt: at, updatedAt: at }))
  const { webhookDeliveries } = db.tables
  // Without a condition SQLite would take `on conflict` for that of a join.
  const insert = insertRows(db, webhookDeliveries, owed, { tail: sql`where true` }).onConflictDoNothing()
  await db.write(insert)
  return rows.map(({ webhookId, seq }) => ({ webhookId, seq, number: 1 }))
}

/**
 * Leases what is due, to be attempted by whoever is told; and tells when to look again: null when nothing is owed. What
 * was leased and not settled is due again when its lease ends.
 */
export async function leaseDue({ db, workspaceId, now }: Scope): Promise<{ due: DueAttempt[]; nextAt: number | null }> {
  const { webhookDeliveries: deliveries } = db.tables
  const isOwed = and(eq(deliveries.workspaceId, workspaceId), isNotNull(deliveries.nextAttemptAt))
  const [rows] = await db.read(
    db.sql
      .select({
        webhookId: deliveries.webhookId,
        seq: deliveries.seq,
        attempts: deliveries.attempts,
        nextAttemptAt: deliveries.nextAttemptAt,
      })
      .from(deliveries)
      .where(isOwed)
      .orderBy(asc(deliveries.nextAttemptAt), asc(deliveries.webhookId), asc(deliveries.seq))
      .limit(sweptAtMost),
  )
  const at = now()
  const isDue = (row: { nextAttemptAt: number | null }) => (row.nextAttemptAt ?? 0) <= at
  const due = rows.filter(isDue)
  const later = rows.find((row) => !isDue(row))?.nextAttemptAt ?? null
  if (due.length === 0) return { due: [], nextAt: later }
  const given = db.givenRows(due, { webhookId: "text", seq: "integer", attempts: "integer" })
  const key = sql`(${deliveries.webhookId}, ${deliveries.seq}, ${deliveries.attempts})`
  const isGiven = sql`${key} in (select ${db.given("webhookId")}, ${db.given("seq")}, ${db.given("attempts")} from ${given})`
  await db.write(
    db.sql
      .update(deliveries)
      .set({ nextAttemptAt: at + lease })
      .where(and(eq(deliveries.workspaceId, workspaceId), lte(deliveries.nextAttemptAt, at), isGiven)),
  )
  // A full sweep may have left some: they are looked for at once.
  const nextAt = due.length === sweptAtMost ? at : Math.min(later ?? at + lease, at + lease)
  return { due: due.map(({ webhookId, seq, attempts }) => ({ webhookId, seq, number: attempts + 1 })), nextAt }
}
