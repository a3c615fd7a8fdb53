import { Hono } from "hono"
import {
  Delivery,
  DeliveryDetails,
  DeliveryPage,
  DeliveryPath,
  DeliveryQuery,
  NewReplay,
  NewWebhook,
  Replayed,
  Webhook,
  WebhookPage,
  WebhookPatch,
  WebhookPath,
  WebhookQuery,
  WebhookSecrets,
} from "../contracts/webhooks.ts"
import * as deliveries from "../domain/webhook-deliveries.ts"
import * as replays from "../domain/webhook-replays.ts"
import * as webhooks from "../domain/webhooks.ts"
import { conditional, expectedRevision, tagOfRow } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"

export const webhookRoutes = new Hono<AppEnv>()

// Whether something comes through changes without a revision, so these have no 304.
const uncached = { "cache-control": "private, no-cache" }

webhookRoutes.post(
  "/webhooks",
  operation("Make a webhook", Webhook, 201, {
    description:
      "The URL must be https and lead to public addresses only. What is sent follows Standard Webhooks; the secret stands at /webhooks/{webhookId}/secrets.",
  }),
  body(NewWebhook),
  async (c) => created(c, await webhooks.createWebhook(c.var.ctx, c.var.instance.targets, c.req.valid("json"))),
)

webhookRoutes.get("/webhooks", operation("List webhooks", WebhookPage), query(WebhookQuery), async (c) =>
  c.json(await webhooks.listWebhooks(c.var.ctx, c.req.valid("query")), 200, uncached),
)

webhookRoutes.get("/webhooks/:webhookId", operation("Get a webhook", Webhook), params(WebhookPath), async (c) => {
  const webhook = await webhooks.getWebhook(c.var.ctx, c.req.valid("param").webhookId)
  return c.json(webhook, 200, { ...uncached, etag: tagOfRow(webhook) })
})

webhookRoutes.patch(
  "/webhooks/:webhookId",
  operation("Change a webhook", Webhook),
  params(WebhookPath),
  body(WebhookPatch),
  async (c) => {
    const { revision, ...patch } = c.req.valid("json")
    const { ctx, instance } = c.var
    const { webhookId } = c.req.valid("param")
    const expected = expectedRevision(c, revision)
    const webhook = await webhooks.updateWebhook(ctx, instance.targets, webhookId, patch, expected)
    return conditional(c, webhook, webhook)
  },
)

webhookRoutes.delete("/webhooks/:webhookId", operation("Delete a webhook"), params(WebhookPath), async (c) => {
  await webhooks.deleteWebhook(c.var.ctx, c.req.valid("param").webhookId, expectedRevision(c))
  return c.body(null, 204)
})

webhookRoutes.put(
  "/webhooks/:webhookId/activation",
  operation("Send to a webhook again", Webhook, 200, {
    description:
      "What it missed while it was disabled is sent when that range is replayed, with the status failed or none.",
  }),
  params(WebhookPath),
  async (c) => {
    const { webhookId } = c.req.valid("param")
    const webhook = await webhooks.setActivation(c.var.ctx, webhookId, true, expectedRevision(c))
    return conditional(c, webhook, webhook)
  },
)

webhookRoutes.delete(
  "/webhooks/:webhookId/activation",
  operation("Send to a webhook no longer", Webhook),
  params(WebhookPath),
  async (c) => {
    const { webhookId } = c.req.valid("param")
    const webhook = await webhooks.setActivation(c.var.ctx, webhookId, false, expectedRevision(c))
    return conditional(c, webhook, webhook)
  },
)

webhookRoutes.get(
  "/webhooks/:webhookId/secrets",
  operation("Get the secrets that sign", WebhookSecrets),
  params(WebhookPath),
  async (c) => {
    const { ctx, instance } = c.var
    const secrets = await webhooks.getSecrets(ctx, instance.instanceKey, c.req.valid("param").webhookId)
    return c.json(secrets, 200, { "cache-control": "no-store" })
  },
)

webhookRoutes.post(
  "/webhooks/:webhookId/secrets",
  operation("Make a new secret", WebhookSecrets, 201, {
    description:
      "The one before signs as well for 24 hours. A repeat with the same Idempotency-Key is 409 already_done: GET tells the secrets.",
  }),
  params(WebhookPath),
  async (c) => {
    const { ctx, instance } = c.var
    const { webhookId } = c.req.valid("param")
    const secrets = await webhooks.rotateSecret(ctx, instance.instanceKey, webhookId, expectedRevision(c))
    return c.json(secrets, 201, { "cache-control": "no-store" })
  },
)

webhookRoutes.post(
  "/webhooks/:webhookId/pings",
  operation("Send a test message", null, 204, {
    description: "webhook.pinged, whatever the webhook asks for. Its deliveries tell what came of it.",
  }),
  params(WebhookPath),
  async (c) => {
    await webhooks.pingWebhook(c.var.ctx, c.req.valid("param").webhookId, expectedRevision(c))
    return c.body(null, 204)
  },
)

webhookRoutes.get(
  "/webhooks/:webhookId/deliveries",
  operation("List what was sent to a webhook, newest first", DeliveryPage),
  params(WebhookPath),
  query(DeliveryQuery),
  async (c) => {
    const { webhookId } = c.req.valid("param")
    return c.json(await deliveries.listDeliveries(c.var.ctx, webhookId, c.req.valid("query")), 200, uncached)
  },
)

webhookRoutes.get(
  "/webhooks/:webhookId/deliveries/:seq",
  operation("Get a delivery with its attempts", DeliveryDetails),
  params(DeliveryPath),
  async (c) => {
    const { webhookId, seq } = c.req.valid("param")
    return c.json(await deliveries.getDelivery(c.var.ctx, webhookId, seq), 200, uncached)
  },
)

webhookRoutes.post(
  "/webhooks/:webhookId/deliveries/:seq/replays",
  operation("Send an event again", Delivery, 200, { description: "At once, and then as often as a new one." }),
  params(DeliveryPath),
  async (c) => {
    const { webhookId, seq } = c.req.valid("param")
    return c.json(await replays.replayDelivery(c.var.ctx, webhookId, seq))
  },
)

webhookRoutes.post(
  "/webhooks/:webhookId/replays",
  operation("Send a range of events again", Replayed, 200, {
    description:
      "From one number of the log to another, both included: what was sent, and what the webhook asks for and missed while it was disabled. One request looks at up to 200 numbers, and nextSeq says where to go on.",
  }),
  params(WebhookPath),
  body(NewReplay),
  async (c) => {
    const { webhookId } = c.req.valid("param")
    return c.json(await replays.replayRange(c.var.ctx, webhookId, c.req.valid("json")))
  },
)
