import type { Context } from "hono"
import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { isApiKeyLike } from "../lib/api-key.ts"
import { newId } from "../lib/ids.ts"
import { policies } from "../limits/policies.ts"
import { admitKey } from "./admit-key.ts"
import { chargeFailure } from "./limit-rate.ts"

/** Establishes who is calling and hands every verb its `ctx`: by an API key, or by an access token, which asks no backend. */
export const authenticate = () =>
  createMiddleware<AppEnv>(async function authenticate(c, next) {
    const apiKey = apiKeyOf(c)
    if (apiKey !== null) return admitKey(c, apiKey, next)
    const { instance, db } = c.var
    const token = bearerToken(c.req.header("authorization"))
    const claims = token && (await instance.tokens.verify(token, instance.now()))
    if (!claims) {
      await chargeFailure(c, policies.anonymousByAddress)
      throw new DomainError(
        "unauthenticated",
        token
          ? "This access token is not valid (any more)"
          : "Send an access token (Authorization: Bearer …) or an API key (X-API-Key)",
      )
    }

    const { userId, workspaceId, role, sessionId } = claims
    const actor = { userId, role, sessionId, apiKey: null }
    c.set("ctx", { db, now: instance.now, newId, actor, workspaceId, source: sourceOf(c), idempotency: null })
    await next()
  })

/** What a program may call itself in the log; the app is told by saying nothing. */
const namedSources = ["import"]

function sourceOf(c: Context): string {
  const named = c.req.header("edgewise-source") ?? ""
  return namedSources.includes(named) ? named : "api"
}

function apiKeyOf(c: Context): string | null {
  const header = c.req.header("x-api-key")
  if (header !== undefined) return header
  const token = bearerToken(c.req.header("authorization"))
  return token !== null && isApiKeyLike(token) ? token : null
}

/** RFC 6750, 2.1. Null for a missing header or another scheme. */
export const bearerToken = (header: string | undefined): string | null =>
  /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1] ?? null
