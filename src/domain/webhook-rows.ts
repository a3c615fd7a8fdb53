import { and, eq, getTableColumns, isNull, sql } from "drizzle-orm"
import type { disabledReasons, WebhookView } from "../contracts/webhooks.ts"
import type { Db } from "../db/db.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import { reachesAll } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import type { DomainChange } from "./events.ts"
import { permit } from "./permissions.ts"

// How a webhook stands in the database, in the log, and outside.

export type Webhook = Row<"webhooks">
type Scope = { db: Db; workspaceId: string }

/** What a webhook is read with that is owed something: what is for it comes behind this number of the log. */
export type MadeWebhook = Webhook & { madeSeq: number }

/**
 * Where the log tells that a webhook was made, to be read with it: clocks differ, and a commit may have waited, so times
 * do not tell what came later.
 */
export function madeSeqOf({ db, workspaceId }: Scope) {
  const { events, webhooks } = db.tables
  const told = sql`select e.seq from ${events} e where e.workspace_id = ${workspaceId} and e.subject_id = ${webhooks}.id and e.revision = 1`
  return sql<number>`coalesce((${told}), 0)`.mapWith(Number).as("made_seq")
}

export function webhookView(webhook: Webhook): WebhookView {
  const { id, url, description, events, projectIds, labelIds, status, createdBy, revision } = webhook
  return {
    id,
    url,
    description,
    events,
    projectIds,
    labelIds,
    status,
    disabledReason: webhook.disabledReason as (typeof disabledReasons)[number] | null,
    failingSince: rfc3339OrNull(webhook.failingSince),
    previousSecretUntil: rfc3339OrNull(webhook.previousUntil),
    createdBy,
    createdAt: rfc3339(webhook.createdAt),
    updatedAt: rfc3339(webhook.updatedAt),
    revision,
  }
}

export function isLive({ db, workspaceId }: Scope, id: string) {
  const { webhooks } = db.tables
  return and(eq(webhooks.workspaceId, workspaceId), eq(webhooks.id, id), isNull(webhooks.deletedAt))
}

/** Brings a webhook for `expectWebhook`. */
export function selectWebhook(ctx: Ctx, id: string) {
  permit(ctx, "webhook:manage")
  if (!idPattern("webhook").test(id)) throw notFound("webhook")
  const { webhooks } = ctx.db.tables
  return ctx.db.sql.select().from(webhooks).where(isLive(ctx, id))
}

export function expectWebhook(row: Webhook | undefined): Webhook {
  if (!row) throw notFound("webhook")
  return row
}

/** Brings a webhook for `expectManaged`, in the same row with whether the actor manages all that it names. */
export function selectManaged(ctx: Ctx, id: string) {
  permit(ctx, "webhook:manage")
  if (!idPattern("webhook").test(id)) throw notFound("webhook")
  const { webhooks } = ctx.db.tables
  const projectIds = sql`${webhooks.projectIds}`
  const isManaged = reachesAll(ctx, { permission: "webhook:manage", level: "manage", projectIds }).as("is_managed")
  return ctx.db.sql
    .select({ ...getTableColumns(webhooks), isManaged })
    .from(webhooks)
    .where(isLive(ctx, id))
}

/**
 * A webhook to whoever manages every project that it names. Others who manage webhooks could lead it to themselves, or
 * read what it was sent: they see that it is there, and can stop and delete it.
 */
export function expectManaged(row: (Webhook & { isManaged: number | boolean }) | undefined): Webhook {
  if (!row) throw notFound("webhook")
  const { isManaged, ...webhook } = row
  if (isManaged) return webhook
  throw new DomainError("forbidden", "It takes webhook:manage, and managing every project that the webhook names")
}

export async function getManaged(ctx: Ctx, id: string): Promise<Webhook> {
  const [[row]] = await ctx.db.read(selectManaged(ctx, id))
  return expectManaged(row)
}

/** What a commit asks for that does more to a webhook than to end it. */
export const managing = (...named: (readonly string[] | null | undefined)[]) => ({
  projectIds: [...new Set(named.flatMap((projectIds) => projectIds ?? []))],
  level: "manage" as const,
})

export async function getWebhookRow(ctx: Ctx, id: string): Promise<Webhook> {
  const [[row]] = await ctx.db.read(selectWebhook(ctx, id))
  return expectWebhook(row)
}

export function replaceWebhook(scope: Scope, before: Webhook, set: Partial<Webhook>): Statement {
  const { webhooks } = scope.db.tables
  return scope.db.sql
    .update(webhooks)
    .set({ ...set, revision: before.revision + 1 })
    .where(and(isLive(scope, before.id), eq(webhooks.revision, before.revision)))
}

/** `webhook` as it is after the change. */
export const changeOfWebhook = (
  { id, revision }: Pick<Webhook, "id" | "revision">,
  type: DomainChange["type"],
  data: DomainChange["data"],
): DomainChange => ({ type, subject: "webhook", subjectId: id, revision, projectId: null, data })
