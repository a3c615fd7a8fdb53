import { and, asc, count, eq, getTableColumns, isNotNull, isNull, lte, type SQL, sql } from "drizzle-orm"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { insertRows } from "../db/rows.ts"
import { minute, second } from "../lib/time.ts"
import { type MadeWebhook, madeSeqOf } from "./webhook-rows.ts"
import { mayConcern, selectSurroundings, sentOf, surroundingsIn } from "./webhook-sight.ts"
import { webhooksAtMost } from "./webhooks.ts"

// What is owed to webhooks: rows that outlive whatever carries them.

/** One attempt that is due: its number tells it from every other one. */
export type DueAttempt = { webhookId: string; seq: number; number: number }
/** Whoever is told has it until then; after that it is somebody else's. */
export type LeasedAttempt = DueAttempt & { until: number }

/** How long whoever took something has for it, before it is taken to be lost: longer than a queue and an attempt take. */
export const lease = 2 * minute
/** How many are leased in one sweep. */
export const sweptAtMost = 200
/**
 * How many of one webhook are under way, so that one that hangs does not fill the queue that all share. Consumers take 20
 * at a time: enough for several of them, and to have some at hand until the next sweep.
 */
export const underWayAtMost = 100
/** The same for one that failed last: enough to learn that it takes something again. */
export const underWayWhileFailing = 2
/** Beside those that there may be, some that have been deleted and are still owed something. */
const sweptWebhooks = 2 * webhooksAtMost

type Scope = { db: Db; workspaceId: string; now: () => number }

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

/**
 * How many of a webhook are under way. What waits for its next attempt for a shorter time than a lease counts as well:
 * that endpoint is busy, or not there.
 */
function underWay({ db, workspaceId }: Scope, webhookId: SQL, at: number) {
  const { webhookDeliveries } = db.tables
  const leased = sql`select 1 from ${webhookDeliveries} u where u.workspace_id = ${workspaceId} and u.webhook_id = ${webhookId} and u.next_attempt_at > ${at} and u.next_attempt_at <= ${at + lease} limit ${underWayAtMost}`
  return sql<number>`(select ${count()} from (${leased}) leased)`.mapWith(Number).as("under_way")
}

type Load = { failingSince: number | null; underWay: number }

/** How many more of a webhook may be under way. */
function roomFor(load: Load | undefined): number {
  const most = load && load.failingSince !== null ? underWayWhileFailing : underWayAtMost
  return Math.max(most - (load?.underWay ?? 0), 0)
}

/**
 * Writes down what is owed of these entries, and tells what is to be attempted: leased already, to whoever is told. What
 * there is no room for is due, and leased by a sweep. What was written down before is not touched.
 */
export async function owe(
  scope: Scope,
  webhooks: readonly MadeWebhook[],
  entries: readonly LogEntry[],
): Promise<LeasedAttempt[]> {
  const { db, workspaceId, now } = scope
  const concerning = entries.filter((entry) => webhooks.some((webhook) => mayConcern(entry, webhook)))
  if (concerning.length === 0) return []
  const at = now()
  const ids = webhooks.map(({ id }) => id)
  const [loads, ...surroundings] = await db.read(
    selectLoads(scope, ids, at),
    ...selectSurroundings(db, workspaceId, concerning),
  )
  const around = surroundingsIn(surroundings)
  const until = at + lease
  const owed = webhooks.flatMap((webhook) => {
    const room = roomFor(loads.find(({ id }) => id === webhook.id))
    return (
      concerning
        // What happened before a webhook was made is not for it, however late it is read.
        .filter(({ seq }) => seq > webhook.madeSeq)
        .flatMap((entry) => {
          const told = sentOf(entry, webhook, around)
          return told ? [{ webhookId: webhook.id, seq: entry.seq, type: told.type }] : []
        })
        .map((row, index) => ({ ...row, nextAttemptAt: index < room ? until : at }))
    )
  })
  if (owed.length === 0) return []
  const fresh = { workspaceId, status: "pending", attempts: 0, lastStatus: null, createdAt: at, updatedAt: at } as const
  const rows = owed.map((row) => ({ ...row, ...fresh }))
  const { webhookDeliveries } = db.tables
  // Without a condition SQLite would take `on conflict` for that of a join.
  const insert = insertRows(db, webhookDeliveries, rows, { tail: sql`where true` }).onConflictDoNothing()
  await db.write(insert)
  const leased = owed.filter(({ nextAttemptAt }) => nextAttemptAt === until)
  return leased.map(({ webhookId, seq }) => ({ webhookId, seq, number: 1, until }))
}

function selectLoads(scope: Scope, ids: readonly string[], at: number) {
  const { sql: builder, tables, oneOf } = scope.db
  const { webhooks } = tables
  return builder
    .select({
      id: webhooks.id,
      failingSince: webhooks.failingSince,
      underWay: underWay(scope, sql`${webhooks}.id`, at),
    })
    .from(webhooks)
    .where(and(eq(webhooks.workspaceId, scope.workspaceId), oneOf(webhooks.id, ids)))
}

/**
 * Leases what is due, to be attempted by whoever is told, of each webhook as much as there is room for; and tells when to
 * look again: null when nothing is owed. What was leased and not settled is due again when its lease ends.
 */
export async function leaseDue(scope: Scope): Promise<{ due: LeasedAttempt[]; nextAt: number | null }> {
  const { db, workspaceId, now } = scope
  const { webhookDeliveries: deliveries } = db.tables
  const at = now()
  const until = at + lease
  const [owed] = await db.read(selectOwed(scope, at))
  const open = owed.filter((each) => each.isDue && roomFor(each) > 0)
  const share = Math.max(Math.floor(sweptAtMost / Math.max(open.length, 1)), 1)
  const [first, ...others] = open.map((each) => selectDue(scope, each.id, at, Math.min(roomFor(each), share)))
  const answers = first ? await db.read(first, ...others) : []
  const due = answers.flat()
  if (due.length > 0) {
    const given = db.givenRows(due, { webhookId: "text", seq: "integer", attempts: "integer" })
    const key = sql`(${deliveries.webhookId}, ${deliveries.seq}, ${deliveries.attempts})`
    const isGiven = sql`${key} in (select ${db.given("webhookId")}, ${db.given("seq")}, ${db.given("attempts")} from ${given})`
    await db.write(
      db.sql
        .update(deliveries)
        .set({ nextAttemptAt: until })
        .where(and(eq(deliveries.workspaceId, workspaceId), lte(deliveries.nextAttemptAt, at), isGiven)),
    )
  }
  // What there was room for and no share is looked for at once. For the rest somebody will have settled something, or a
  // lease has ended.
  const isCut = open.some((each, index) => answers[index]?.length === share && roomFor(each) > share)
  const times = [...owed.map(({ nextAt }) => nextAt), due.length > 0 ? until : null].filter((time) => time !== null)
  const again = isCut || owed.length === sweptWebhooks ? [at] : []
  const nextAt = [...again, ...times].reduce<number | null>((least, time) => Math.min(least ?? time, time), null)
  return { due: due.map(({ webhookId, seq, attempts }) => ({ webhookId, seq, number: attempts + 1, until })), nextAt }
}

/** The webhooks that are owed something, found one by one by their index: whatever one is owed is not read for it. */
function selectOwed(scope: Scope, at: number) {
  const { db, workspaceId } = scope
  const { webhooks, webhookDeliveries: deliveries } = db.tables
  const next = (beyond: SQL) =>
    sql`(select d.webhook_id from ${deliveries} d where d.workspace_id = ${workspaceId} and d.next_attempt_at is not null ${beyond} order by d.webhook_id limit 1)`
  const ids = sql`with recursive owed (id, n) as (
    select ${next(sql``)}, 1
    union all
    select ${next(sql`and d.webhook_id > owed.id`)}, owed.n + 1 from owed where owed.id is not null and owed.n < ${sweptWebhooks}
  ) select owed.id from owed where owed.id is not null`
  const time = (condition: SQL) =>
    sql<
      number | null
    >`(select d.next_attempt_at from ${deliveries} d where d.workspace_id = ${workspaceId} and d.webhook_id = owed.id and d.next_attempt_at ${condition} order by d.next_attempt_at limit 1)`.mapWith(
      Number,
    )
  return db.sql
    .select({
      id: sql<string>`owed.id`.as("id"),
      failingSince: sql<
        number | null
      >`(select w.failing_since from ${webhooks} w where w.workspace_id = ${workspaceId} and w.id = owed.id)`
        .mapWith(Number)
        .as("failing_since"),
      underWay: underWay(scope, sql`owed.id`, at),
      isDue: time(sql`<= ${at}`).as("due_at"),
      nextAt: time(sql`> ${at}`).as("next_at"),
    })
    .from(sql`(${ids}) owed`)
}

function selectDue({ db, workspaceId }: Scope, webhookId: string, at: number, limit: number) {
  const { webhookDeliveries: deliveries } = db.tables
  const { seq, attempts } = deliveries
  return db.sql
    .select({ webhookId: deliveries.webhookId, seq, attempts })
    .from(deliveries)
    .where(
      and(
        eq(deliveries.workspaceId, workspaceId),
        eq(deliveries.webhookId, webhookId),
        isNotNull(deliveries.nextAttemptAt),
        lte(deliveries.nextAttemptAt, at),
      ),
    )
    .orderBy(asc(deliveries.nextAttemptAt), asc(seq))
    .limit(limit)
}

/** How long what was put back waits: the shortest time, and how much longer at random, so that it parts. */
const putBackFor = { least: 5 * second, spread: 25 * second }

/** Gives back what was leased and not attempted. Resolves with when it is due again, at the latest. */
export async function putBack(
  { db, workspaceId, now, random }: Scope & { random: () => number },
  leased: readonly LeasedAttempt[],
): Promise<number> {
  const { webhookDeliveries: deliveries } = db.tables
  const nextAttemptAt = now() + putBackFor.least + Math.round(putBackFor.spread * random())
  const given = db.givenRows(leased, { webhookId: "text", seq: "integer", number: "integer", until: "integer" })
  const key = sql`(${deliveries.webhookId}, ${deliveries.seq}, ${deliveries.attempts}, ${deliveries.nextAttemptAt})`
  // Whoever has it by now, or has settled it, is not disturbed: it is due at another time then.
  const isGiven = sql`${key} in (select ${db.given("webhookId")}, ${db.given("seq")}, ${db.given("number")} - 1, ${db.given("until")} from ${given})`
  await db.write(
    db.sql
      .update(deliveries)
      .set({ nextAttemptAt })
      .where(and(eq(deliveries.workspaceId, workspaceId), isGiven)),
  )
  return nextAttemptAt
}
