import { Ratelimit } from "@upstash/ratelimit"
import { Redis } from "@upstash/redis/cloudflare"
import { second } from "../lib/time.ts"
import type { Grant } from "./leasing.ts"
import type { Engine } from "./limiter.ts"
import type { Policy } from "./policies.ts"

/** A Redis behind Upstash's REST protocol. */
export type UpstashSettings = { url: string; token: string }

const deadline = 2 * second
// What is given back must not arrive in a later window, and the script cannot be told which one it is for.
const returnMargin = 5 * second

type Limits = { one: Ratelimit; many: Ratelimit }

/**
 * Limits counted in one Redis for all places, by the token bucket of `@upstash/ratelimit`, filled once per window: of its
 * algorithms the one that takes nothing when it refuses a part. Exact but for the clocks of those who ask.
 */
export function upstashEngine({ url, token }: UpstashSettings): Engine {
  const redis = new Redis({
    url,
    token,
    // By itself it waits for ever, and tries again for seconds: whoever asks has a deadline, and decides what then.
    signal: () => AbortSignal.timeout(deadline),
    retry: false,
    enableTelemetry: false,
    readYourWrites: false,
  })
  const limits = new Map<string, Limits>()

  function limitsOf({ name, quota, windowMs }: Policy): Limits {
    const id = `${name} ${quota} ${windowMs}`
    const known = limits.get(id)
    if (known) return known
    const limiter = Ratelimit.tokenBucket(quota, `${windowMs} ms`, quota)
    const terms = { redis, limiter, prefix: `edgewise:limit:${name}`, analytics: false, timeout: deadline }
    const made = {
      // Remembers who is refused until the window ends, and asks no more for them.
      one: new Ratelimit({ ...terms, ephemeralCache: new Map() }),
      // Who gets no whole part may still get one.
      many: new Ratelimit({ ...terms, ephemeralCache: false }),
    }
    limits.set(id, made)
    return made
  }

  return {
    async take(policy, key, count): Promise<Grant> {
      const { one, many } = limitsOf(policy)
      const askedAt = Date.now()
      const answer = await (count === 1 ? one.limit(key) : many.limit(key, { rate: count }))
      // Its own way of giving up lets everybody in.
      if (answer.reason === "timeout") throw new Error(`Upstash has not answered in ${deadline} ms`)
      const { success: isAllowed, remaining, reset } = answer
      // Of a part that is refused it does not tell how much is left: there may be one.
      const left = isAllowed || count === 1 ? remaining : 1
      return { isAllowed, remaining: left, resetMs: Math.max(reset - askedAt, 0), window: reset }
    },

    async giveBack(policy, key, count, window) {
      if (Date.now() >= window - returnMargin) return
      await limitsOf(policy).many.limit(key, { rate: -count })
    },
  }
}
