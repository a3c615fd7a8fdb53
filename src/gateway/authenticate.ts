import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { newId } from "../lib/ids.ts"

/** Establishes who is calling and hands every verb its `ctx`, without asking any backend. */
export const authenticate = () =>
  createMiddleware<AppEnv>(async function authenticate(c, next) {
    const { instance, db } = c.var
    const token = bearerToken(c.req.header("authorization"))
    if (!token) throw new DomainError("unauthenticated", "Send an access token: Authorization: Bearer …")
    const claims = await instance.tokens.verify(token, instance.now())
    if (!claims) throw new DomainError("unauthenticated", "This access token is not valid (any more)")

    const { userId, workspaceId, role, sessionId } = claims
    const actor = { userId, role, sessionId }
    c.set("ctx", { db, now: instance.now, newId, actor, workspaceId, source: "api", idempotency: null })
    await next()
  })

/** RFC 6750, 2.1. Null for a missing header or another scheme. */
export const bearerToken = (header: string | undefined): string | null =>
  /^Bearer +(\S+) *$/i.exec(header ?? "")?.[1] ?? null
