import type { Context } from "hono"
import { every } from "hono/combine"
import { createMiddleware } from "hono/factory"
import type { AppEnv } from "../http/context.ts"
import type { Verdict } from "../limits/limiter.ts"
import { policies } from "../limits/policies.ts"
import { logFailure } from "../observability/log.ts"
import { authenticate } from "./authenticate.ts"
import { heed, tellLimit } from "./limit-rate.ts"

async function charge(c: Context<AppEnv>, count: number): Promise<{ verdict: Verdict | null; key: string }> {
  const { instance, ctx, later, requestId } = c.var
  const { apiKey, userId } = ctx.actor
  const [policy, key] = apiKey ? [policies.requestsByKey, apiKey.id] : [policies.requestsByUser, userId]
  const verdict = await instance.limiter.take(policy, key, later, count).catch((error: unknown) => {
    logFailure(requestId, "rate limit", error)
    return null
  })
  return { verdict, key }
}

/** Counts the commands of a request, of which one has been counted as the request. All are counted, or it is refused. */
export async function chargeCommands(c: Context<AppEnv>, commands: number): Promise<void> {
  if (commands === 1) return
  const { verdict } = await charge(c, commands - 1)
  if (!verdict) return
  for (const name of ["ratelimit", "ratelimit-policy"]) c.header(name, undefined)
  heed(c, verdict)
}

/**
 * Counts what somebody asks for: through a key by the key, else by the person. Fails open: they have shown who they
 * are, and without its engine the service is worth more than its limit.
 */
const limitCaller = () =>
  createMiddleware<AppEnv>(async function limitCaller(c, next) {
    const { instance } = c.var
    const { verdict, key } = await charge(c, 1)
    if (verdict) heed(c, verdict)
    await next()
    // Who asks whether anything has happened, and is told no without asking anybody, is not counted.
    const isFree = c.res.status === 304 && c.var.cache?.how === "HIT" && c.var.db.meter.trips === 0
    const taken = isFree && verdict && instance.limiter.takeBack(verdict, key)
    if (taken) tellLimit(c, taken)
  })

/** For everything but what anybody may ask: who is calling, and whether they have asked for too much. */
export const admitCaller = () => every(authenticate(), limitCaller())
