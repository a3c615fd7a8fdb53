import type { Grant } from "./leasing.ts"
import { type Policy, relaxation } from "./policies.ts"

/** `resetMs`: how long until the window ends. `window`: which it was counted in, if it can be taken back. */
export type Verdict = {
  policy: Policy
  isAllowed: boolean
  remaining: number
  resetMs: number
  window: number | null
}

export type Limiter = {
  /**
   * Takes `count`, or one, from the quota of `key` under a policy; nothing when less than that is left. `later` gets
   * work that may follow the answer. Throws when the engine does not answer.
   */
  take(policy: Policy, key: string, later?: (work: () => Promise<unknown>) => void, count?: number): Promise<Verdict>
  /** Takes back what turned out to cost nothing, where that costs nothing either. Null: it stays counted. */
  takeBack(verdict: Verdict, key: string): Verdict | null
}

/** Counts for everybody. */
export type Engine = {
  /** Takes `count` from the quota, or nothing when less than that is left. */
  take(policy: Policy, key: string, count: number): Promise<Grant>
  /** Gives back what was taken in that window and not spent. Nothing happens when the window has ended. */
  giveBack(policy: Policy, key: string, count: number, window: number): Promise<void>
}

/** A limiter whose quotas are wider than the policies say, and tell so. */
export function relaxed(limiter: Limiter): Limiter {
  const wider = (policy: Policy) => ({ ...policy, quota: policy.quota * relaxation })
  return {
    take: (policy, key, later, count) => limiter.take(wider(policy), key, later, count),
    takeBack: (verdict, key) => limiter.takeBack(verdict, key),
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
