import { Hono } from "hono"
import {
  ApiKey,
  ApiKeyPage,
  ApiKeyPatch,
  ApiKeyPath,
  ApiKeyQuery,
  MadeApiKey,
  NewApiKey,
} from "../contracts/api-keys.ts"
import * as apiKeys from "../domain/api-keys.ts"
import { conditional, expectedRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"

export const apiKeyRoutes = new Hono<AppEnv>()

const managed = "For people who are signed in: no key manages keys."

apiKeyRoutes.post(
  "/api-keys",
  operation("Make an API key", MadeApiKey, 201, {
    description: `${managed} The answer holds the key, once: a repeat with the same Idempotency-Key is 409 already_done.`,
  }),
  body(NewApiKey),
  async (c) => {
    const key = await apiKeys.createApiKey(c.var.ctx, c.var.instance.sessions, c.req.valid("json"))
    c.header("cache-control", "no-store")
    return created(c, key)
  },
)

// When a key was last used changes without a revision, so these have no 304.

apiKeyRoutes.get(
  "/api-keys",
  operation("List API keys", ApiKeyPage, 200, { description: managed }),
  query(ApiKeyQuery),
  async (c) => {
    c.header("cache-control", "private, no-cache")
    return c.json(await apiKeys.listApiKeys(c.var.ctx, c.req.valid("query")))
  },
)

apiKeyRoutes.get(
  "/api-keys/:keyId",
  operation("Get an API key", ApiKey, 200, { description: managed }),
  params(ApiKeyPath),
  async (c) => {
    const key = await apiKeys.getApiKey(c.var.ctx, c.req.valid("param").keyId)
    c.header("cache-control", "private, no-cache")
    c.header("etag", `"${key.revision}"`)
    return c.json(key)
  },
)

apiKeyRoutes.patch(
  "/api-keys/:keyId",
  operation("Rename an API key", ApiKey, 200, { description: managed }),
  params(ApiKeyPath),
  body(ApiKeyPatch),
  async (c) => {
    const { name, revision } = c.req.valid("json")
    const { keyId } = c.req.valid("param")
    const key = await apiKeys.renameApiKey(c.var.ctx, keyId, name, expectedRevision(c, revision))
    return conditional(c, key, key)
  },
)

apiKeyRoutes.delete(
  "/api-keys/:keyId",
  operation("Revoke an API key", null, 204, {
    description: `${managed} It writes nothing from then on, and may be remembered for reading for up to a minute.`,
  }),
  params(ApiKeyPath),
  async (c) => {
    const { ctx, instance } = c.var
    await apiKeys.revokeApiKey(ctx, instance.keys, c.req.valid("param").keyId, expectedRevision(c))
    return c.body(null, 204)
  },
)
