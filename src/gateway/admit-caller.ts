import { every } from "hono/combine"
import { createMiddleware } from "hono/factory"
import type { AppEnv } from "../http/context.ts"
import { policies } from "../limits/policies.ts"
import { logFailure } from "../observability/log.ts"
import { authenticate } from "./authenticate.ts"
import { heed, tellLimit } from "./limit-rate.ts"

/**
 * Counts what somebody asks for: through a key by the key, else by the person. Fails open: they have shown who they
 * are, and without its engine the service is worth more than its limit.
 */
const limitCaller = () =>
  createMiddleware<AppEnv>(async function limitCaller(c, next) {
    const { instance, ctx, later, requestId } = c.var
    const { apiKey, userId } = ctx.actor
    const [policy, key] = apiKey ? [policies.requestsByKey, apiKey.id] : [policies.requestsByUser, userId]
    const verdict = await instance.limiter.take(policy, key, later).catch((error: unknown) => {
      logFailure(requestId, "rate limit", error)
      return null
    })
    if (verdict) heed(c, verdict)
    await next()
    // Who asks whether anything has happened, and is told no without asking anybody, is not counted.
    const isFree = c.res.status === 304 && c.var.cache?.how === "HIT" && c.var.db.meter.trips === 0
    const taken = isFree && verdict && instance.limiter.takeBack(verdict, key)
    if (taken) tellLimit(c, taken)
  })

/** For everything but what anybody may ask: who is calling, and whether they have asked for too much. */
export const admitCaller = () => every(authenticate(), limitCaller())
