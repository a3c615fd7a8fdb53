import * as z from "zod"
import { Cursor, id, Limit, page, pathId, Revision, Time, text } from "./common.ts"

/** What a webhook can ask for: what every member of the workspace may see, and no more. */
export const webhookEvents = [
  "workspace.updated",
  "workspace.deleted",
  "workspace.restored",
  "member.added",
  "member.updated",
  "member.removed",
  "label.created",
  "label.updated",
  "label.deleted",
  "label.merged",
  "project.created",
  "project.updated",
  "project.deleted",
  "project.member_added",
  "project.member_updated",
  "project.member_removed",
  "task.created",
  "task.updated",
  "task.closed",
  "task.reopened",
  "task.deleted",
  "task.moved",
  "task.related",
  "task.unrelated",
  "comment.created",
  "comment.updated",
  "comment.deleted",
  "comment.reacted",
  "comment.unreacted",
] as const

/** Why a webhook is disabled: somebody did it, it answered 410, or nothing came through for days. */
export const disabledReasons = ["user", "gone", "failing"] as const

const url = text(1, 2_000).meta({ description: "Where to: https, and an address that is public" })
const description = text(0, 500)
const events = z.array(z.enum(webhookEvents)).max(webhookEvents.length)
const projectIds = z.array(id("project")).min(1).max(100).nullable()
const labelIds = z.array(id("label")).min(1).max(100).nullable()
const eventsNote = "Types of events; empty for all"
const projectsNote = "Only what happens in these projects; null for every project that is open to the workspace"
const labelsNote = "Only what is about tasks that have, had or get one of these labels; null for everything"

export const Webhook = z
  .object({
    id: id("webhook"),
    url: z.string(),
    description: z.string(),
    events: z.array(z.string()).meta({ description: eventsNote }),
    projectIds: z.array(z.string()).nullable().meta({ description: projectsNote }),
    labelIds: z.array(z.string()).nullable().meta({ description: labelsNote }),
    status: z.enum(["active", "disabled"]),
    disabledReason: z.enum(disabledReasons).nullable(),
    failingSince: Time.nullable().meta({ description: "Since when nothing has come through" }),
    previousSecretUntil: Time.nullable().meta({ description: "Until when the secret before the newest signs as well" }),
    createdBy: id("user"),
    createdAt: Time,
    updatedAt: Time,
    revision: Revision,
  })
  .meta({ id: "Webhook" })

export type WebhookView = z.output<typeof Webhook>

export const NewWebhook = z.strictObject({
  url,
  description: description.default(""),
  events: events.default([]).meta({ description: eventsNote }),
  projectIds: projectIds.default(null).meta({ description: `${projectsNote}. You must manage each of them` }),
  labelIds: labelIds.default(null).meta({ description: labelsNote }),
})

export type NewWebhookInput = z.output<typeof NewWebhook>

export const WebhookPatch = z.strictObject({
  url: url.optional(),
  description: description.optional(),
  events: events.optional(),
  projectIds: projectIds.optional(),
  labelIds: labelIds.optional(),
  revision: Revision.optional(),
})

export type WebhookPatchInput = Omit<z.output<typeof WebhookPatch>, "revision">

export const WebhookPath = z.object({ webhookId: pathId("webhook") })
export const WebhookQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type WebhookQueryInput = z.output<typeof WebhookQuery>
export const WebhookPage = page(Webhook)

export const WebhookSecrets = z
  .object({
    data: z.array(
      z.object({
        secret: z.string().meta({ description: "whsec_…, as libraries for Standard Webhooks take it" }),
        until: Time.nullable().meta({ description: "When it stops signing; null for the newest" }),
      }),
    ),
  })
  .meta({ id: "WebhookSecrets", description: "Newest first. Each of them signs every message" })

export type WebhookSecretsView = z.output<typeof WebhookSecrets>

// ---- deliveries ----

export const deliveryStatuses = ["pending", "delivered", "failed"] as const

export const Delivery = z
  .object({
    seq: z.int().meta({ description: "The number of the event in the workspace's log" }),
    messageId: z.string().meta({ description: "The header webhook-id of every attempt" }),
    type: z.string(),
    status: z.enum(deliveryStatuses).meta({ description: "failed: it was given up, and can be replayed" }),
    attempts: z.int().meta({ description: "Since it was last replayed" }),
    replays: z.int(),
    nextAttemptAt: Time.nullable(),
    lastStatus: z.int().nullable().meta({ description: "The HTTP status of the last answer; null when none came" }),
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Delivery" })

export type DeliveryView = z.output<typeof Delivery>

const headers = z.record(z.string(), z.string())

export const attemptRequest = z.object({
  url: z.string(),
  headers,
  bytes: z.int().meta({ description: "How long the body was" }),
  body: z.string().meta({ description: "How it begins" }),
})

export const attemptResponse = z.object({
  headers,
  body: z.string().meta({ description: "How it begins" }),
})

export const Attempt = z
  .object({
    attempt: z.int(),
    replay: z.int().meta({ description: "0 before it was replayed for the first time" }),
    at: Time,
    durationMs: z.int(),
    status: z.int().nullable(),
    error: z.string().nullable().meta({ description: "Why no answer came" }),
    request: attemptRequest.nullable().meta({
      description:
        "null while it is under way, when nothing was sent, or when it is about a project that you do not see",
    }),
    response: attemptResponse.nullable().meta({
      description: "null when no answer came, or when it is about a project that you do not see",
    }),
  })
  .meta({ id: "DeliveryAttempt" })

export type AttemptView = z.output<typeof Attempt>

export const DeliveryDetails = Delivery.extend({
  log: z.array(Attempt).meta({ description: "The newest 50 attempts, newest first" }),
}).meta({ id: "DeliveryDetails" })

export type DeliveryDetailsView = z.output<typeof DeliveryDetails>

export const DeliveryPath = WebhookPath.extend({ seq: z.string().meta({ description: "The number of the event" }) })

export const DeliveryQuery = z.strictObject({
  status: z.enum(deliveryStatuses).optional(),
  limit: Limit,
  cursor: Cursor.optional(),
})
export type DeliveryQueryInput = z.output<typeof DeliveryQuery>
export const DeliveryPage = page(Delivery)

const seq = z.int().min(1)

export const NewReplay = z.strictObject({
  fromSeq: seq,
  toSeq: seq,
  status: z.enum(deliveryStatuses).optional().meta({
    description:
      "Only those; all of them, when omitted. What was missed while the webhook was disabled counts as failed",
  }),
})
export type NewReplayInput = z.output<typeof NewReplay>

export const Replayed = z
  .object({
    replayed: z.int().meta({ description: "How many will be sent again" }),
    nextSeq: z.int().nullable().meta({ description: "Where to go on with another request; null: the range is done" }),
  })
  .meta({ id: "Replayed" })
export type ReplayedView = z.output<typeof Replayed>

// ---- what is sent ----

const fields = z.record(z.string(), z.unknown()).nullable()

/** The body of what a webhook is sent. */
export const WebhookMessage = z
  .object({
    type: z.string().meta({
      description:
        "task.created, …; task.hidden and project.hidden for what the webhook sees no more; webhook.pinged when somebody asked for it",
    }),
    timestamp: Time.meta({ description: "When it happened" }),
    data: z.object({
      workspaceId: id("workspace"),
      seq: z.int().meta({ description: "Its number in the workspace's log. Messages may come out of this order" }),
      subjectId: z.string(),
      subjectKey: z.string().nullable(),
      revision: z.int().meta({ description: "Of the subject: of two messages the one with the higher is the newer" }),
      actorId: z.string(),
      actorRole: z.string(),
      source: z.string(),
      projectId: id("project").nullable(),
      previousProjectId: id("project").nullable(),
      before: fields.meta({ description: "The changed fields as they were; null for something new" }),
      after: fields.meta({ description: "The changed fields as they are; null for something gone" }),
      cut: z
        .array(z.string())
        .meta({ description: "JSON Pointers to the texts that end early, because they are long" }),
    }),
  })
  .meta({ id: "WebhookMessage" })

export type WebhookMessageView = z.output<typeof WebhookMessage>
