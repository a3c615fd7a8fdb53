import { and, desc, eq, getTableColumns, type SQL, sql } from "drizzle-orm"
import type { AttemptView, DeliveryDetailsView, DeliveryQueryInput, DeliveryView } from "../contracts/webhooks.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import { messageIdOf } from "../lib/webhook-signature.ts"
import { levelIn, namedLevel } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { cutPage, examinedRows, formatCursor, parseCursor } from "./lists.ts"
import { permit } from "./permissions.ts"
import { attemptOf } from "./webhook-outcomes.ts"
import { expectManaged, selectManaged } from "./webhook-rows.ts"

// What people see of deliveries.

type Delivery = Row<"webhookDeliveries">

/** How many attempts are shown with a delivery. */
const shownAttempts = 50

export function deliveryView(delivery: Delivery): DeliveryView {
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

export function isOf({ db, workspaceId }: Ctx, webhookId: string) {
  const { webhookDeliveries: deliveries } = db.tables
  return and(eq(deliveries.workspaceId, workspaceId), eq(deliveries.webhookId, webhookId))
}

/** The number in a path; what is none names no delivery. */
export function seqIn(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw notFound("delivery")
  return Number(text)
}

export function selectDelivery(ctx: Ctx, webhookId: string, seq: number) {
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
