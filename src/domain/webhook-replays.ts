import { and, asc, eq, type SQLWrapper, sql } from "drizzle-orm"
import type { DeliveryView, NewReplayInput, ReplayedView } from "../contracts/webhooks.ts"
import type { LogEntry } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid, notFound } from "./errors.ts"
import { commit, commitNothing, untilUncontested } from "./events.ts"
import { permit } from "./permissions.ts"
import { deliveryView, isOf, selectDelivery, seqIn } from "./webhook-deliveries.ts"
import { replayed } from "./webhook-outcomes.ts"
import {
  changeOfWebhook,
  expectManaged,
  isLive,
  managing,
  replaceWebhook,
  selectManaged,
  type Webhook,
} from "./webhook-rows.ts"
import { findSurroundings, mayConcern, sentOf } from "./webhook-sight.ts"

// What people have sent again, and what was missed with it.

/** How many numbers of the log one request looks at: as many as a page of it has at the most. */
export const replayedAtMost = 200

/** Has one event sent again at once, with the whole schedule before it, whatever became of it before. */
export async function replayDelivery(ctx: Ctx, webhookId: string, seqText: string): Promise<DeliveryView> {
  permit(ctx, "webhook:manage")
  const seq = seqIn(seqText)
  return untilUncontested(async () => {
    const [[row], [delivery]] = await ctx.db.read(selectManaged(ctx, webhookId), selectDelivery(ctx, webhookId, seq))
    const webhook = expectManaged(row)
    expectActive(webhook)
    if (!delivery) throw notFound("delivery")
    const at = ctx.now()
    const set = { status: "pending", attempts: replayed(delivery.attempts), nextAttemptAt: at, updatedAt: at } as const
    const view = deliveryView({ ...delivery, ...set })
    await sendAgain(ctx, webhook, [seq], { at, told: { fromSeq: seq, toSeq: seq, replayed: 1 }, body: view })
    return view
  })
}

/**
 * Has a range of the log sent again, as much of it as one request may: what was sent, and what was missed. What the
 * webhook asks for now and was never owed, because it was disabled then, counts as given up.
 */
export async function replayRange(ctx: Ctx, webhookId: string, input: NewReplayInput): Promise<ReplayedView> {
  permit(ctx, "webhook:manage")
  const { fromSeq, toSeq, status } = input
  if (toSeq < fromSeq) throw invalid({ pointer: "/toSeq", detail: "must not be before fromSeq" })
  return untilUncontested(async () => {
    const { webhook, rows, missed, first, last, end } = await findRange(ctx, webhookId, input)
    const owed = rows.filter((each) => !status || each.status === status).map(({ seq }) => seq)
    const count = owed.length + missed.length
    const view = { replayed: count, nextSeq: last < Math.min(toSeq, end) ? last + 1 : null }
    const told = { fromSeq: first, toSeq: last, replayed: count }
    if (count > 0) await sendAgain(ctx, webhook, owed, { at: ctx.now(), told, body: view, missed })
    else await commitNothing(ctx, "webhook:manage", { kind: "changed", body: view })
    return view
  })
}

type Missed = { seq: number; type: string }

/** What one request looks at: the numbers from `first` to `last`, of a log that ends with `end`. */
async function findRange(ctx: Ctx, webhookId: string, { fromSeq, toSeq, status }: NewReplayInput) {
  const { db, workspaceId } = ctx
  const { events, heads, webhookDeliveries: deliveries, webhooks } = db.tables
  const made = sql`(select e.seq from ${events} e where e.workspace_id = ${workspaceId} and e.subject_id = ${webhookId} and e.revision = 1)`
  // What was before a webhook is not for it: the range begins behind that, so that nobody walks through it.
  const first = sql`(select case when coalesce(${made}, 0) >= ${fromSeq} then coalesce(${made}, 0) + 1 else ${fromSeq} end)`
  const isLooked = (seq: SQLWrapper) =>
    sql`${seq} >= ${first} and ${seq} < ${first} + ${replayedAtMost} and ${seq} <= ${toSeq}`
  const isMissing = status === undefined || status === "failed"
  const [[row], [begin], [head], rows, entries] = await db.read(
    selectManaged(ctx, webhookId),
    db.sql
      .select({ seq: sql<number>`${first}`.mapWith(Number).as("first_seq") })
      .from(webhooks)
      .where(isLive(ctx, webhookId)),
    db.sql.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId)),
    db.sql
      .select({ seq: deliveries.seq, status: deliveries.status })
      .from(deliveries)
      .where(and(isOf(ctx, webhookId), isLooked(deliveries.seq)))
      .orderBy(asc(deliveries.seq)),
    db.sql
      .select()
      .from(events)
      .where(and(eq(events.workspaceId, workspaceId), isLooked(events.seq), isMissing ? undefined : sql`1 = 0`))
      .orderBy(asc(events.seq)),
  )
  const webhook = expectManaged(row)
  expectActive(webhook)
  const from = begin?.seq ?? fromSeq
  const known = new Set(rows.map(({ seq }) => seq))
  const asked = entries.filter((entry) => !known.has(entry.seq) && mayConcern(entry, webhook))
  return {
    webhook,
    rows,
    missed: await chosenOf(ctx, webhook, asked),
    first: from,
    last: Math.min(from + replayedAtMost - 1, Math.max(toSeq, from)),
    end: head?.seq ?? 0,
  }
}

async function chosenOf({ db, workspaceId }: Ctx, webhook: Webhook, entries: LogEntry[]): Promise<Missed[]> {
  if (entries.length === 0) return []
  const around = await findSurroundings(db, workspaceId, entries)
  return entries.flatMap((entry) => {
    const told = sentOf(entry, webhook, around)
    return told ? [{ seq: entry.seq, type: told.type }] : []
  })
}

function expectActive({ status }: Webhook): void {
  if (status === "disabled") throw new DomainError("conflict", "This webhook is disabled: activate it first")
}

type Replay = { at: number; told: Record<string, number>; body: Record<string, unknown>; missed?: Missed[] }

/**
 * Makes deliveries due, and tells the log, whose reader sends them. What is under way for one of them ends as an attempt
 * of before: its outcome decides nothing any more.
 */
async function sendAgain(
  ctx: Ctx,
  webhook: Webhook,
  seqs: number[],
  { at, told, body, missed = [] }: Replay,
): Promise<void> {
  const { webhookDeliveries: deliveries } = ctx.db.tables
  const again = ctx.db.sql
    .update(deliveries)
    .set({
      status: "pending",
      // As `replayed` of webhook-outcomes.ts.
      attempts: sql`(${deliveries.attempts} / 100 + 1) * 100`,
      nextAttemptAt: at,
      updatedAt: at,
    })
    .where(and(isOf(ctx, webhook.id), ctx.db.oneOf(deliveries.seq, seqs)))
  const change = { id: webhook.id, revision: webhook.revision + 1 }
  await commit(ctx, {
    permission: "webhook:manage",
    beside: managing(webhook.projectIds),
    at,
    rows: [again, ...oweMissed(ctx, webhook, missed, at), replaceWebhook(ctx, webhook, { updatedAt: at })],
    changes: [changeOfWebhook(change, "webhook.replayed", { before: null, after: told })],
    answer: { kind: "changed", body },
  })
}

/** What is missed is owed as if it had just happened, and due: its message has the id that it would have had. */
function oweMissed({ db, workspaceId }: Ctx, { id: webhookId }: Webhook, missed: Missed[], at: number): Statement[] {
  if (missed.length === 0) return []
  const fresh = { status: "pending", attempts: 0, nextAttemptAt: at, lastStatus: null } as const
  const rows = missed.map((each) => ({ workspaceId, webhookId, ...each, ...fresh, createdAt: at, updatedAt: at }))
  // The reader of the log may have come to it in this moment: then it is owed already.
  return [insertRows(db, db.tables.webhookDeliveries, rows, { tail: sql`where true` }).onConflictDoNothing()]
}
