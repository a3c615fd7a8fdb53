import { and, asc, desc, eq, getTableColumns, type SQL, type SQLWrapper, sql } from "drizzle-orm"
import type {
  AttemptView,
  DeliveryDetailsView,
  DeliveryQueryInput,
  DeliveryView,
  NewReplayInput,
  ReplayedView,
} from "../contracts/webhooks.ts"
import type { LogEntry } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import { messageIdOf } from "../lib/webhook-signature.ts"
import { levelIn, namedLevel } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid, notFound } from "./errors.ts"
import { commit, commitNothing, untilUncontested } from "./events.ts"
import { cutPage, examinedRows, formatCursor, parseCursor } from "./lists.ts"
import { permit } from "./permissions.ts"
import { attemptOf, replayed } from "./webhook-outcomes.ts"
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

// What people see of deliveries, and have sent again.

type Delivery = Row<"webhookDeliveries">

/** How many attempts are shown with a delivery. */
const shownAttempts = 50
/** How many numbers of the log one request looks at: as many as a page of it has at the most. */
export const replayedAtMost = 200

function deliveryView(delivery: Delivery): DeliveryView {
  const { webhookId, seq, type, status, attempts, nextAttemptAt, lastStatus, createdAt, updatedAt } = delivery
  const { attempt, replay } = attemptOf(attempts)
  return {
    seq,
    messageId: messageIdOf(webhookId, seq),
    type,
    status,
    attempts: attempt,
    replays: replay,
    nextAttemptAt: rfc3339OrNull(nextAttemptAt),
    lastStatus,
    createdAt: rfc3339(createdAt),
    updatedAt: rfc3339(updatedAt),
  }
}

function attemptView(row: Row<"webhookAttempts">): AttemptView {
  const { attempt, at, durationMs, status, error, request, response } = row
  return {
    ...attemptOf(attempt),
    at: rfc3339(at),
    durationMs,
    status,
    error,
    // Written by webhook-attempts.ts, whose types they have; a request is {} until it is known what was sent.
    request: "url" in request ? (request as AttemptView["request"]) : null,
    response: response as AttemptView["response"],
  }
}

/** Newest first: one page in one round trip. */
export async function listDeliveries(
  ctx: Ctx,
  webhookId: string,
  { status, limit, cursor }: DeliveryQueryInput,
): Promise<{ data: DeliveryView[]; next: string | null }> {
  permit(ctx, "webhook:manage")
  const { db, workspaceId } = ctx
  const { webhookDeliveries: deliveries } = db.tables
  const list = `${workspaceId} ${webhookId} deliveries ${status ?? ""}`
  const place = parseCursor(list, "number", cursor)
  const range = place ? sql`and d.seq < ${place.k}` : sql``
  const page = db.scanPage({
    entries: (most, isNarrow) =>
      sql`select d.seq as id, d.seq as k ${isNarrow ? sql`` : sql`, d.status`} from ${deliveries} d where d.workspace_id = ${workspaceId} and d.webhook_id = ${webhookId} ${range} order by d.seq desc limit ${most}`,
    residual: status ? sql`entry.status = ${status}` : null,
    isById: true,
    direction: "desc",
    limit,
    window: Math.max(limit + 1, examinedRows - 2 * limit),
  })
  const [[webhook], rows] = await db.read(
    selectManaged(ctx, webhookId),
    db.sql
      .select({
        ...getTableColumns(deliveries),
        k: sql<number>`page.k`.as("k"),
        isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
      })
      .from(sql`${page} page`)
      .innerJoin(deliveries, and(isOf(ctx, webhookId), eq(deliveries.seq, sql`page.id`))),
  )
  expectManaged(webhook)
  const placed = rows.map((row) => ({ ...row, k: Number(row.k), id: "" }))
  const cut = cutPage(placed, limit, "desc")
  return { data: cut.rows.map(deliveryView), next: cut.next && formatCursor(list, cut.next) }
}

function isOf({ db, workspaceId }: Ctx, webhookId: string) {
  const { webhookDeliveries: deliveries } = db.tables
  return and(eq(deliveries.workspaceId, workspaceId), eq(deliveries.webhookId, webhookId))
}

/** The number in a path; what is none names no delivery. */
function seqIn(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw notFound("delivery")
  return Number(text)
}

function selectDelivery(ctx: Ctx, webhookId: string, seq: number) {
  const { webhookDeliveries: deliveries } = ctx.db.tables
  return ctx.db.sql
    .select()
    .from(deliveries)
    .where(and(isOf(ctx, webhookId), eq(deliveries.seq, seq)))
}

/** A delivery with its attempts. */
export async function getDelivery(ctx: Ctx, webhookId: string, seqText: string): Promise<DeliveryDetailsView> {
  permit(ctx, "webhook:manage")
  const seq = seqIn(seqText)
  const { webhookAttempts: attempts } = ctx.db.tables
  const [[webhook], [delivery], projects, log] = await ctx.db.read(
    selectManaged(ctx, webhookId),
    selectDelivery(ctx, webhookId, seq),
    selectProjectsOf(ctx, seq),
    ctx.db.sql
      .select()
      .from(attempts)
      .where(and(eq(attempts.workspaceId, ctx.workspaceId), eq(attempts.webhookId, webhookId), eq(attempts.seq, seq)))
      .orderBy(desc(attempts.attempt))
      .limit(shownAttempts),
  )
  expectManaged(webhook)
  if (!delivery) throw notFound("delivery")
  // A project may have become private since, or the webhook have named it once: what it was sent is not for everybody.
  const isSeen = projects.every((project) => levelIn(ctx.actor.role, project) > 0)
  const shown = isSeen ? log : log.map((each) => ({ ...each, request: {}, response: null }))
  return { ...deliveryView(delivery), log: shown.map(attemptView) }
}

/** The projects that an event is about. */
function selectProjectsOf(ctx: Ctx, seq: number) {
  const { events, projects } = ctx.db.tables
  const of = (column: SQL) =>
    sql`(select ${column} from ${events} e where e.workspace_id = ${ctx.workspaceId} and e.seq = ${seq})`
  const isOf = sql`${projects.id} in (${of(sql`e.project_id`)}, ${of(sql`e.previous_project_id`)})`
  return ctx.db.sql
    .select({ visibility: projects.visibility, named: namedLevel(ctx, sql`${projects.id}`).as("named_level") })
    .from(projects)
    .where(and(eq(projects.workspaceId, ctx.workspaceId), isOf))
}

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
