import type * as z from "zod"
import type { Session } from "../contracts/auth.ts"
import { idPattern } from "../lib/ids.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Actor, IdentityCtx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import { permitSession } from "./permissions.ts"

/** The actor's signed-in devices, most recently used first. */
export async function listSessions(ctx: IdentityCtx, actor: Actor): Promise<z.output<typeof Session>[]> {
  permitSession(actor)
  const sessions = await ctx.sessions.list(actor.userId)
  return sessions.map(({ id, userAgent, address, createdAt, lastUsedAt, expiresAt }) => ({
    id,
    current: id === actor.sessionId,
    userAgent,
    address,
    createdAt: rfc3339(createdAt),
    lastUsedAt: rfc3339(lastUsedAt),
    expiresAt: rfc3339(expiresAt),
  }))
}

/** Ends one of the actor's sessions. Its access token lives out its ten minutes; nothing renews it. */
export async function endSession(ctx: IdentityCtx, actor: Actor, sessionId: string): Promise<void> {
  permitSession(actor)
  const isEnded = idPattern("session").test(sessionId) && (await ctx.sessions.end(actor.userId, sessionId))
  if (!isEnded) throw notFound("session")
}

/** Ends the session of an access token, or of a refresh token. Signing out twice is no mistake. */
export async function logout(ctx: IdentityCtx, accessToken: string | null, refreshToken?: string): Promise<void> {
  if (refreshToken !== undefined) return ctx.sessions.endByToken(refreshToken)
  const claims = accessToken && (await ctx.tokens.verify(accessToken, ctx.now()))
  if (!claims) throw new DomainError("unauthenticated", "Send the access token, or the refresh token in the body")
  await ctx.sessions.end(claims.userId, claims.sessionId)
}
