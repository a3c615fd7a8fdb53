import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { Policy } from "./policies.ts"
import { relaxation } from "./policies.ts"
import type { RateLimiter } from "./rate-limiter.ts"

/** `resetMs`: how long until the window ends. */
export type Verdict = { policy: Policy; isAllowed: boolean; remaining: number; resetMs: number }

export type Limiter = {
  /** Takes one from the quota of `key` under a policy. Throws when its engine does not answer. */
  take(policy: Policy, key: string): Promise<Verdict>
}

const deadline = 2 * second

/** Exact limits, counted in one Durable Object per policy and key. */
export function durableLimiter(objects: DurableObjectNamespace<RateLimiter>, { isRelaxed = false } = {}): Limiter {
  return {
    async take(policy, key) {
      const quota = isRelaxed ? policy.quota * relaxation : policy.quota
      const object = objects.getByName(`${policy.name}:${key}`)
      const verdict = await within(deadline, object.take(quota, policy.windowMs))
      return { policy: { ...policy, quota }, ...verdict }
    },
  }
}

/**
 * What an address is limited by. A household or a rented server has a whole IPv6 /64 to itself, so that is what counts;
 * an IPv4 address counts alone.
 */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address
  const [head = "", tail] = address.toLowerCase().split("::")
  const left = head ? head.split(":") : []
  const right = tail ? tail.split(":") : []
  const missing = tail === undefined ? 0 : Math.max(8 - left.length - right.length, 0)
  const groups = [...left, ...Array<string>(missing).fill("0"), ...right]
  const isMappedIPv4 = groups.at(-1)?.includes(".")
  if (isMappedIPv4) return groups.at(-1) ?? address
  const prefix = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ""))
  return `${prefix.join(":")}::/64`
}
