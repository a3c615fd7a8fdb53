import { and, asc, count, eq, gt, isNull, sql } from "drizzle-orm"
import type {
  NewWebhookInput,
  WebhookPatchInput,
  WebhookQueryInput,
  WebhookSecretsView,
  WebhookView,
} from "../contracts/webhooks.ts"
import { insertRows } from "../db/rows.ts"
import { day, rfc3339OrNull } from "../lib/time.ts"
import { formatSecret, secretBytes } from "../lib/webhook-signature.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"
import { commit, commitNothing, difference, untilUncontested } from "./events.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import { expectTarget, findFiltered, refuseFilters, type Targets } from "./webhook-filters.ts"
import {
  changeOfWebhook,
  expectManaged,
  getManaged,
  getWebhookRow,
  managing,
  replaceWebhook,
  selectManaged,
  type Webhook,
  webhookView,
} from "./webhook-rows.ts"

/** How many a workspace may have: every one of them is looked at for every event. */
export const webhooksAtMost = 50
/** How long the secret before the newest signs as well. */
export const rotationGrace = day

const tooMany = () => new DomainError("conflict", `A workspace has at most ${webhooksAtMost} webhooks`)

export async function createWebhook(ctx: Ctx, targets: Targets, input: NewWebhookInput): Promise<WebhookView> {
  permit(ctx, "webhook:manage")
  await expectTarget(targets, input.url)
  const id = ctx.newId("webhook")
  return untilUncontested(async () => {
    const { db, workspaceId } = ctx
    const { webhooks } = db.tables
    const ofWorkspace = and(eq(webhooks.workspaceId, workspaceId), isNull(webhooks.deletedAt))
    const held = db.sql.select({ id: webhooks.id }).from(webhooks).where(ofWorkspace).limit(webhooksAtMost)
    const [others, projects, labels] = await db.read(held, ...findFiltered(ctx, input))
    refuseFilters(input, { projects, labels })
    if (others.length >= webhooksAtMost) throw tooMany()
    const at = ctx.now()
    const row: Webhook = {
      workspaceId,
      id,
      ...input,
      generation: 1,
      previousUntil: null,
      status: "active",
      disabledReason: null,
      failingSince: null,
      revision: 1,
      createdBy: ctx.actor.userId,
      createdAt: at,
      updatedAt: at,
      deletedAt: null,
    }
    // Another one may have been made since: then this one is not, and what is left is looked at again.
    const isRoom = sql`where (select ${count()} from ${webhooks} w where w.workspace_id = ${workspaceId} and w.deleted_at is null) < ${webhooksAtMost}`
    await commit(ctx, {
      permission: "webhook:manage",
      beside: managing(input.projectIds),
      at,
      rows: [insertRows(db, webhooks, [row], { tail: isRoom })],
      changes: [changeOfWebhook(row, "webhook.created", { before: null, after: webhookView(row) })],
      answer: { kind: "created" },
    })
    return webhookView(row)
  })
}

/** Oldest first: one page in one round trip. */
export async function listWebhooks(
  ctx: Ctx,
  { limit, cursor }: WebhookQueryInput,
): Promise<{ data: WebhookView[]; next: string | null }> {
  permit(ctx, "webhook:manage")
  const { db, workspaceId } = ctx
  const { webhooks } = db.tables
  const list = `${workspaceId} webhooks`
  const place = parseCursor(list, "string", cursor)
  const beyond = place ? gt(webhooks.id, place.id) : undefined
  const [rows] = await db.read(
    db.sql
      .select()
      .from(webhooks)
      .where(and(eq(webhooks.workspaceId, workspaceId), isNull(webhooks.deletedAt), beyond))
      .orderBy(asc(webhooks.id))
      .limit(limit + 1),
  )
  const page = cutRows(rows, limit, list, ({ id }) => placeOfId(id))
  return { data: page.rows.map(webhookView), next: page.next }
}

export async function getWebhook(ctx: Ctx, id: string): Promise<WebhookView> {
  permit(ctx, "webhook:manage")
  return webhookView(await getWebhookRow(ctx, id))
}

type Change = {
  type: "webhook.updated" | "webhook.disabled" | "webhook.enabled" | "webhook.pinged"
  set: Partial<Webhook>
  /** What the log tells, where it is more than what a view shows. */
  data?: { before: Record<string, unknown> | null; after: Record<string, unknown> | null }
}

export async function updateWebhook(
  ctx: Ctx,
  targets: Targets,
  id: string,
  patch: WebhookPatchInput,
  expected: Expected,
): Promise<WebhookView> {
  permit(ctx, "webhook:manage")
  if (patch.url !== undefined) await expectTarget(targets, patch.url)
  return untilUncontested(async () => {
    const [[row], projects, labels] = await ctx.db.read(selectManaged(ctx, id), ...findFiltered(ctx, patch))
    const before = expectManaged(row)
    expectRevision(expected, before.revision)
    refuseFilters(patch, { projects, labels })
    const set = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
    return save(ctx, before, { type: "webhook.updated", set })
  })
}

/** Sends to it again, or no longer, which is for whoever manages webhooks. What is owed to a disabled one is given up, and can be replayed. */
export async function setActivation(ctx: Ctx, id: string, isWanted: boolean, expected: Expected): Promise<WebhookView> {
  permit(ctx, "webhook:manage")
  const find = isWanted ? getManaged : getWebhookRow
  return changeWebhook(ctx, { find, id, expected }, ({ status }) => {
    const type = isWanted ? "webhook.enabled" : "webhook.disabled"
    if ((status === "active") === isWanted) return { type, set: {} }
    const enabled = { status: "active", disabledReason: null, failingSince: null } as const
    return { type, set: isWanted ? enabled : { status: "disabled", disabledReason: "user" } }
  })
}

/** Has a message of type webhook.pinged sent, which goes the way of all others. */
export async function pingWebhook(ctx: Ctx, id: string, expected: Expected): Promise<void> {
  permit(ctx, "webhook:manage")
  await changeWebhook(ctx, { find: getManaged, id, expected }, ({ status }) => {
    if (status === "disabled") throw new DomainError("conflict", "This webhook is disabled: activate it first")
    return { type: "webhook.pinged", set: {}, data: { before: null, after: {} } }
  })
}

export async function deleteWebhook(ctx: Ctx, id: string, expected: Expected): Promise<void> {
  permit(ctx, "webhook:manage")
  await untilUncontested(async () => {
    const before = await getWebhookRow(ctx, id)
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const data = { before: webhookView(before), after: null }
    await commit(ctx, {
      permission: "webhook:manage",
      at,
      rows: [replaceWebhook(ctx, before, { updatedAt: at, deletedAt: at })],
      changes: [changeOfWebhook({ id, revision: before.revision + 1 }, "webhook.deleted", data)],
      answer: { kind: "empty" },
    })
  })
}

type Changed = { find: typeof getWebhookRow; id: string; expected: Expected }

const changeWebhook = (ctx: Ctx, { find, id, expected }: Changed, decide: (before: Webhook) => Change) =>
  untilUncontested(async () => {
    const before = await find(ctx, id)
    expectRevision(expected, before.revision)
    return save(ctx, before, decide(before))
  })

async function save(ctx: Ctx, before: Webhook, { type, set, data }: Change): Promise<WebhookView> {
  const at = ctx.now()
  const after: Webhook = { ...before, ...set, updatedAt: at, revision: before.revision + 1 }
  const told = data ?? difference(webhookView(before), webhookView(after))
  const isSame = !data && Object.keys(told.after ?? {}).length === 0
  if (isSame) {
    await commitNothing(ctx, "webhook:manage", { kind: "changed", body: webhookView(before) })
    return webhookView(before)
  }
  const isEnding = type === "webhook.disabled"
  await commit(ctx, {
    permission: "webhook:manage",
    ...(isEnding ? {} : { beside: managing(before.projectIds, after.projectIds) }),
    at,
    rows: [replaceWebhook(ctx, before, { ...set, updatedAt: at })],
    changes: [changeOfWebhook(after, type, told)],
    answer: type === "webhook.pinged" ? { kind: "empty" } : { kind: "changed", body: webhookView(after) },
  })
  return webhookView(after)
}

// ---- secrets ----

/** The generations that sign at this moment, newest first. */
export const liveGenerations = ({ generation, previousUntil }: Webhook, now: number): number[] =>
  previousUntil !== null && previousUntil > now ? [generation, generation - 1] : [generation]

export async function getSecrets(ctx: Ctx, instanceKey: CryptoKey, id: string): Promise<WebhookSecretsView> {
  permit(ctx, "webhook:manage")
  return secretsOf(ctx, instanceKey, await getManaged(ctx, id))
}

/** Makes a new secret. The one before signs as well for a day; the one before that no more. */
export async function rotateSecret(
  ctx: Ctx,
  instanceKey: CryptoKey,
  id: string,
  expected: Expected,
): Promise<WebhookSecretsView> {
  permit(ctx, "webhook:manage")
  const rotated = await untilUncontested(async () => {
    const before = await getManaged(ctx, id)
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const set = { generation: before.generation + 1, previousUntil: at + rotationGrace, updatedAt: at }
    const after: Webhook = { ...before, ...set, revision: before.revision + 1 }
    await commit(ctx, {
      permission: "webhook:manage",
      beside: managing(before.projectIds),
      at,
      rows: [replaceWebhook(ctx, before, set)],
      changes: [changeOfWebhook(after, "webhook.updated", difference(webhookView(before), webhookView(after)))],
      // The answer can be had again with GET, from whoever may.
      answer: { kind: "secret", body: { id } },
    })
    return after
  })
  return secretsOf(ctx, instanceKey, rotated)
}

async function secretsOf(ctx: Ctx, instanceKey: CryptoKey, webhook: Webhook): Promise<WebhookSecretsView> {
  const live = liveGenerations(webhook, ctx.now())
  const data = live.map(async (generation, index) => ({
    secret: formatSecret(await secretBytes(instanceKey, webhook, generation)),
    until: index === 0 ? null : rfc3339OrNull(webhook.previousUntil),
  }))
  return { data: await Promise.all(data) }
}
