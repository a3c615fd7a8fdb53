import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { Engine } from "./limiter.ts"
import type { RateLimiter } from "./rate-limiter.ts"

const deadline = 2 * second

/** Exact limits, counted in one Durable Object per policy and key. */
export function durableEngine(objects: DurableObjectNamespace<RateLimiter>): Engine {
  const objectOf = (policy: string, key: string) => objects.getByName(`${policy}:${key}`)
  return {
    take: ({ name, quota, windowMs }, key, count) => within(deadline, objectOf(name, key).take(quota, windowMs, count)),
    giveBack: ({ name }, key, count, window) => within(deadline, objectOf(name, key).giveBack(count, window)),
  }
}
