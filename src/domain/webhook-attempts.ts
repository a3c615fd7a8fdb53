import { and, eq, isNotNull, isNull, lte, sql } from "drizzle-orm"
import type { AttemptView } from "../contracts/webhooks.ts"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { classify } from "../db/errors.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { IdKind } from "../lib/ids.ts"
import { untilUncontested } from "./events.ts"
import { type Consequence, consequenceOf, type Situation } from "./webhook-outcomes.ts"
import { type DueAttempt, lease } from "./webhook-queue.ts"
import { changeOfWebhook, isLive, replaceWebhook, type Webhook, webhookView } from "./webhook-rows.ts"

// One attempt at a delivery, from the side of the database: taken by one, and settled with what follows from it.

export type AttemptCtx = {
  db: Db
  workspaceId: string
  now: () => number
  newId: (kind: IdKind) => string
  /** 0 to 1. */
  random: () => number
  waits: readonly number[]
}

type Found = { webhook: Webhook; entry: LogEntry | null }

/** The webhook and the event of an attempt; null for one that is not to be made (any more). */
export async function findAttempt({ db, workspaceId }: AttemptCtx, { webhookId, seq, number }: DueAttempt) {
  const { webhooks, webhookDeliveries: deliveries, events } = db.tables
  const [[webhook], [delivery], [event]] = await db.read(
    db.sql
      .select()
      .from(webhooks)
      .where(and(eq(webhooks.workspaceId, workspaceId), eq(webhooks.id, webhookId))),
    db.sql
      .select({ seq: deliveries.seq })
      .from(deliveries)
      .where(isDue({ db, workspaceId }, { webhookId, seq, number })),
    db.sql
      .select()
      .from(events)
      .where(and(eq(events.workspaceId, workspaceId), eq(events.seq, seq))),
  )
  if (!webhook || !delivery) return null
  return { webhook, entry: event ?? null } satisfies Found
}

type Scope = Pick<AttemptCtx, "db" | "workspaceId">

function isDue({ db, workspaceId }: Scope, { webhookId, seq, number }: DueAttempt) {
  const { webhookDeliveries: deliveries } = db.tables
  return and(
    eq(deliveries.workspaceId, workspaceId),
    eq(deliveries.webhookId, webhookId),
    eq(deliveries.seq, seq),
    eq(deliveries.status, "pending"),
    eq(deliveries.attempts, number - 1),
  )
}

/**
 * Takes an attempt, so that of all who are told of it one makes it. False: another one has it. Whoever takes it and is
 * never heard of again leaves an attempt without an outcome, and the next one is due when the lease ends.
 */
export async function takeAttempt({ db, workspaceId, now }: AttemptCtx, due: DueAttempt): Promise<boolean> {
  const { webhookDeliveries: deliveries, webhookAttempts } = db.tables
  const { webhookId, seq, number } = due
  const at = now()
  const blank = { status: null, error: "No outcome was recorded", request: {}, response: null }
  const attempt = { workspaceId, webhookId, seq, attempt: number, at, durationMs: 0, ...blank }
  // Null, which the column does not take, for an attempt that is not due any more.
  const isStill = sql`(select ${db.given("at")} from ${deliveries} where ${isDue({ db, workspaceId }, due)})`
  try {
    await db.write(
      insertRows(db, webhookAttempts, [attempt], { computed: { at: isStill } }),
      db.sql
        .update(deliveries)
        .set({ attempts: number, nextAttemptAt: at + lease, updatedAt: at })
        .where(isDue({ db, workspaceId }, due)),
    )
    return true
  } catch (error) {
    const { kind } = classify(error)
    if (kind === "unique" || kind === "not_null") return false
    throw error
  }
}

/** What was tried and what came of it. `isFinal`: nothing was sent, and nothing is to be sent. */
export type Attempted = Pick<AttemptView, "durationMs" | "status" | "error" | "request" | "response"> & {
  retryAfter: string | null
  isFinal: boolean
}

const givenUp = (failingSince: number | null): Consequence => ({
  status: "failed",
  nextAttemptAt: null,
  failingSince,
  disabledReason: null,
})

/** `isMore`: something else is due to the same webhook, for which there is room now. */
export type Settled = Consequence & { isMore: boolean }

/** Writes down what came of an attempt, and tells what follows: once in one trip, with the webhook if that changes. */
export async function settleAttempt(ctx: AttemptCtx, due: DueAttempt, attempted: Attempted): Promise<Settled> {
  const { db, workspaceId } = ctx
  const { webhooks, webhookDeliveries: deliveries } = db.tables
  const isOf = and(eq(deliveries.workspaceId, workspaceId), eq(deliveries.webhookId, due.webhookId))
  const others = db.sql
    .select({ nextAttemptAt: deliveries.nextAttemptAt })
    .from(deliveries)
    .where(and(isOf, isNotNull(deliveries.nextAttemptAt), lte(deliveries.nextAttemptAt, ctx.now())))
    .limit(1)
  return untilUncontested(async () => {
    const [[webhook], [other]] = await db.read(
      db.sql.select().from(webhooks).where(isLive({ db, workspaceId }, due.webhookId)),
      others,
    )
    const now = ctx.now()
    const failingSince = webhook?.failingSince ?? null
    const situation: Situation = { number: due.number, now, failingSince, waits: ctx.waits, random: ctx.random() }
    const consequence = attempted.isFinal ? givenUp(failingSince) : consequenceOf(attempted, situation)
    const rows = [logAttempt(ctx, due, attempted), moveDelivery(ctx, due, attempted, consequence, now)] as const
    const { disabledReason } = consequence
    if (disabledReason && webhook?.status === "active") {
      await disable(ctx, webhook, { reason: disabledReason, failingSince: consequence.failingSince }, rows, now)
      return { ...consequence, isMore: other !== undefined }
    }
    await db.write(...rows, ...markFailing(ctx, webhook, consequence))
    // One that fails is left alone until something of it is due.
    const isMore = other !== undefined && consequence.status !== "pending"
    return { ...consequence, disabledReason: null, isMore }
  })
}

function logAttempt(ctx: AttemptCtx, due: DueAttempt, attempted: Attempted): Statement {
  const { webhookAttempts: attempts } = ctx.db.tables
  const { durationMs, status, error, request, response } = attempted
  const { webhookId, seq, number } = due
  return ctx.db.sql
    .update(attempts)
    .set({ durationMs, status, error, request: request ?? {}, response })
    .where(
      and(
        eq(attempts.workspaceId, ctx.workspaceId),
        eq(attempts.webhookId, webhookId),
        eq(attempts.seq, seq),
        eq(attempts.attempt, number),
      ),
    )
}

/** Only as long as this attempt is the last: after a replay its outcome is history. */
function moveDelivery(
  ctx: AttemptCtx,
  due: DueAttempt,
  { status: lastStatus }: Attempted,
  { status, nextAttemptAt }: Consequence,
  updatedAt: number,
): Statement {
  const { webhookDeliveries: deliveries } = ctx.db.tables
  return ctx.db.sql
    .update(deliveries)
    .set({ status, nextAttemptAt, lastStatus, updatedAt })
    .where(isDue(ctx, { ...due, number: due.number + 1 }))
}

/** Since when nothing comes through: written when that begins or ends, because every row is billed. */
function markFailing(ctx: AttemptCtx, webhook: Webhook | undefined, { failingSince }: Consequence): Statement[] {
  const isSame = (webhook?.failingSince === null) === (failingSince === null)
  if (!webhook || isSame) return []
  const { webhooks } = ctx.db.tables
  const isOther = failingSince === null ? isNotNull(webhooks.failingSince) : isNull(webhooks.failingSince)
  return [
    ctx.db.sql
      .update(webhooks)
      .set({ failingSince })
      .where(and(isLive(ctx, webhook.id), isOther)),
  ]
}

type Disabling = { reason: "gone" | "failing"; failingSince: number | null }

/** Nobody did it, so it is the system's: the event is the log's all the same. */
async function disable(
  ctx: AttemptCtx,
  before: Webhook,
  { reason, failingSince }: Disabling,
  rows: readonly Statement[],
  at: number,
): Promise<void> {
  const { db, workspaceId } = ctx
  const set = { status: "disabled", disabledReason: reason, failingSince, updatedAt: at } as const
  const { status, disabledReason } = webhookView({ ...before, ...set })
  const data = { before: { status: before.status, disabledReason: null }, after: { status, disabledReason } }
  const change = changeOfWebhook({ id: before.id, revision: before.revision + 1 }, "webhook.disabled", data)
  await db.commit({
    id: ctx.newId("commit"),
    workspaceId,
    at,
    actor: { id: "system", source: "webhooks", roles: "any", access: [] },
    rows: [...rows, replaceWebhook(ctx, before, set)],
    changes: [{ previousProjectId: null, ...change }],
    receipt: null,
  })
}
