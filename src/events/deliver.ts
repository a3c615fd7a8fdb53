import * as z from "zod"
import { type Db, type Landed, openDb } from "../db/db.ts"
import type { Database } from "../db/engine.ts"
import { type AttemptCtx, type Attempted, findAttempt, settleAttempt, takeAttempt } from "../domain/webhook-attempts.ts"
import { LookupFailed, type Targets } from "../domain/webhook-filters.ts"
import { putBack } from "../domain/webhook-queue.ts"
import type { Webhook } from "../domain/webhook-rows.ts"
import { findSurroundings, messageOf, viewFor } from "../domain/webhook-sight.ts"
import { liveGenerations } from "../domain/webhooks.ts"
import { newId } from "../lib/ids.ts"
import { eachInParallel } from "../lib/parallel.ts"
import { second } from "../lib/time.ts"
import { messageIdOf, secretBytes, signatureOf } from "../lib/webhook-signature.ts"
import { logFailure } from "../observability/log.ts"
import type { DeliveryMessage } from "./reader.ts"
import { sendMessage } from "./send-message.ts"

/** What delivering takes, beside the messages. */
export type Delivering = {
  database: Database
  instanceKey: CryptoKey
  targets: Targets
  hubs: { tell(landed: readonly Landed[]): Promise<void>; owe(workspaceId: string, at: number): Promise<void> }
  now: () => number
  /** What the header user-agent says. */
  agent: string
  timeoutMs: number
  waits: readonly number[]
  /** Nothing is written, so nothing is taken: messages come again, and then the hub's sweep. */
  isReadOnly: boolean
  random?: () => number
  send?: typeof fetch
}

// A Worker has six connections at a time, of which the database may take one; what waits for one is not yet under way,
// but its time runs. And one endpoint that hangs leaves room for the others.
const atOnce = { total: 4, perKey: 3 }

const messageSchema = z.object({
  workspaceId: z.string(),
  webhookId: z.string(),
  seq: z.int(),
  number: z.int(),
  until: z.int(),
})

/** What one batch has learned on its way. */
type Learned = {
  /** Webhooks that took long to answer, or never did: the rest of the batch does not wait for them. */
  slow: Set<string>
  left: DeliveryMessage[]
  /** Workspaces in which there is room now for what is due. */
  waiting: Set<string>
}

/** An answer that takes this share of the time that it has holds up what is behind it. */
const slowShare = 1 / 3

/** Makes the attempts that are due, and settles each message alone. */
export async function deliverBatch(batch: MessageBatch<DeliveryMessage>, parts: Delivering): Promise<void> {
  const db = openDb(parts.database.connect(), { isReadOnly: parts.isReadOnly })
  const learned: Learned = { slow: new Set(), left: [], waiting: new Set() }
  try {
    const keyOf = ({ body }: Message<DeliveryMessage>) => String(body?.webhookId)
    await eachInParallel(batch.messages, { ...atOnce, keyOf }, (message) => settle(db, message, learned, parts))
    await goOn(db, learned, parts)
  } finally {
    await db.close()
  }
}

/** Puts back what was left, and has the hubs look for what there is room for. What fails here a lease's end mends. */
async function goOn(db: Db, { left, waiting }: Learned, { hubs, now, random = Math.random }: Delivering) {
  const back = Map.groupBy(left, ({ workspaceId }) => workspaceId)
  for (const workspaceId of new Set([...waiting, ...back.keys()])) {
    try {
      if (waiting.has(workspaceId)) await hubs.owe(workspaceId, now())
      const leased = back.get(workspaceId)
      if (leased) await hubs.owe(workspaceId, await putBack({ db, workspaceId, now, random }, leased))
    } catch (error) {
      logFailure(workspaceId, "go on", error)
    }
  }
}

async function settle(db: Db, message: Message<DeliveryMessage>, learned: Learned, parts: Delivering): Promise<void> {
  const parsed = messageSchema.safeParse(message.body)
  try {
    if (parsed.success) await deliver(db, parsed.data, learned, parts)
    message.ack()
  } catch (error) {
    logFailure(message.id, "deliver", error)
    // What is not settled here is swept up when its lease ends: whatever becomes of this message, nothing is lost.
    message.retry({ delaySeconds: 10 })
  }
}

async function deliver(db: Db, due: DeliveryMessage, learned: Learned, parts: Delivering): Promise<void> {
  const { workspaceId, webhookId } = due
  const { now, waits, random = Math.random, hubs, timeoutMs } = parts
  // However many are queued again while a queue is behind: those whose time is over cost nothing.
  if (now() >= due.until) return
  if (learned.slow.has(webhookId)) {
    learned.left.push(due)
    return
  }
  const ctx: AttemptCtx = { db, workspaceId, now, newId, random, waits }
  const found = await findAttempt(ctx, due)
  if (!found || !(await takeAttempt(ctx, due))) return
  const { webhook, entry } = found
  const attempted = await attempt(ctx, due, { webhook, entry }, parts)
  if (attempted.durationMs >= timeoutMs * slowShare) learned.slow.add(webhookId)
  const { nextAttemptAt, disabledReason, isMore } = await settleAttempt(ctx, due, attempted)
  if (isMore) learned.waiting.add(workspaceId)
  if (nextAttemptAt !== null) {
    // Told or not: the hub looks again when the lease of this attempt would have ended.
    await hubs.owe(workspaceId, nextAttemptAt).catch((error: unknown) => logFailure(webhook.id, "owe", error))
  }
  if (!disabledReason) return
  // It is disabled, told of or not: what fails from here on is not tried again.
  const ours = db.landed.filter((landed) => landed.workspaceId === workspaceId)
  await hubs.tell(ours).catch((error: unknown) => logFailure(webhook.id, "tell hubs", error))
}

type Found = NonNullable<Awaited<ReturnType<typeof findAttempt>>>

async function attempt(
  { db, workspaceId }: AttemptCtx,
  { webhookId, seq }: DeliveryMessage,
  { webhook, entry }: Found,
  parts: Delivering,
): Promise<Attempted> {
  const { now, targets, instanceKey, timeoutMs, agent, send = (...given) => fetch(...given) } = parts
  if (webhook.status !== "active" || webhook.deletedAt !== null) return notSent("The webhook is disabled", true)
  if (!entry) return notSent("The log does not have the event any more", true)
  // Asked for is what was asked for then; seen is what is seen now.
  const told = viewFor(entry, webhook, await findSurroundings(db, workspaceId, [entry]))
  if (!told) return notSent("The webhook does not see by now what the event is about", true)
  const refusal = await refusalOf(targets, webhook)
  if (refusal !== null) return notSent(refusal, false)
  const id = messageIdOf(webhookId, seq)
  const body = JSON.stringify(messageOf(workspaceId, told, entry.at))
  const timestamp = Math.floor(now() / second)
  const generations = liveGenerations(webhook, now())
  const secrets = await Promise.all(generations.map((generation) => secretBytes(instanceKey, webhook, generation)))
  const headers = {
    "content-type": "application/json",
    "user-agent": agent,
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": await signatureOf(secrets, { id, timestamp, body }),
  }
  return sendMessage({ url: webhook.url, headers, body }, { send, timeoutMs, now })
}

/** Looked at again before every attempt: what a name means can change. */
async function refusalOf(targets: Targets, { url }: Webhook): Promise<string | null> {
  try {
    const refusal = await targets.refusal(url)
    return refusal && `The URL ${refusal}`
  } catch (error) {
    if (error instanceof LookupFailed) return `The name in the URL was not looked up: ${error.message}`
    throw error
  }
}

const notSent = (error: string, isFinal: boolean): Attempted => ({
  durationMs: 0,
  status: null,
  error,
  request: null,
  response: null,
  retryAfter: null,
  isFinal,
})
