import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { addressKey } from "../limits/limiter.ts"

// As in wrangler.toml, which the platform reads and this code cannot.
const periodSeconds = 60

/**
 * Refuses what one network sends in masses, before anything is done for it. The platform counts in each place by itself,
 * roughly and at no cost; what is exact comes later. Where nobody says who asks, there is no edge to be flooded.
 */
export const guardFlood = () =>
  createMiddleware<AppEnv>(async function guardFlood(c, next) {
    const address = c.req.header("cf-connecting-ip")
    const isRelaxed = c.var.instance.settings.RATE_LIMITS === "relaxed"
    if (address && c.env.FLOOD_GUARD && !isRelaxed) {
      const { success } = await c.env.FLOOD_GUARD.limit({ key: addressKey(address) }).catch(() => ({ success: true }))
      if (!success) {
        throw new DomainError("rate_limited", "Too many requests from your network", { retryAfter: periodSeconds })
      }
    }
    await next()
  })
