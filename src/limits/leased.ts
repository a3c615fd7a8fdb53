import { extend, type Lease, leftover, partOf, spend, unspend } from "./leasing.ts"
import type { Engine, Limiter, Verdict } from "./limiter.ts"
import type { Policy } from "./policies.ts"

// Somebody whose part is forgotten loses what is left of it until the window ends.
const capacity = 5_000
// How many of those who have not come back are looked at whenever the engine is asked anyway.
const sweptAtOnce = 10

type Held = { policy: Policy; key: string; lease: Lease }

/** Asks the engine once for many requests where a quota is large, and for each one where it is not. */
export function leased(engine: Engine, now: () => number): Limiter {
  const held = new Map<string, Held>()
  const asking = new Set<string>()

  /** Gives back what has run out, of those who were not seen for the longest time. */
  function sweep(): (() => Promise<unknown>)[] {
    const returns: (() => Promise<unknown>)[] = []
    for (const [id, { policy, key, lease }] of [...held.entries().take(sweptAtOnce)]) {
      if (now() < lease.until && held.size <= capacity) continue
      held.delete(id)
      const count = leftover(lease, now())
      if (count > 0) returns.push(() => engine.giveBack(policy, key, count, lease.window))
    }
    return returns
  }

  const idOf = (policy: Policy, key: string) => `${policy.name}:${key}`

  return {
    takeBack({ policy, window }, key) {
      if (window === null) return null
      const id = idOf(policy, key)
      const lease = unspend(held.get(id)?.lease ?? null, window, now())
      if (!lease) return null
      held.set(id, { policy, key, lease })
      return verdictOf(policy, lease, now())
    },

    async take(policy, key, later = () => undefined, wanted = 1) {
      const id = idOf(policy, key)
      const known = held.get(id)?.lease ?? null
      const spent = spend(known, now(), wanted)
      if (spent) {
        held.set(id, { policy, key, lease: spent })
        return verdictOf(policy, spent, now())
      }

      for (const giveBack of sweep()) later(() => giveBack().catch(() => undefined))
      // Of those who find nothing at the same time, one takes a part and the others what they need.
      const count = asking.has(id) ? wanted : Math.max(partOf(policy.quota), wanted)
      asking.add(id)
      try {
        const { grant, granted, askedAt } = await ask(engine, now, { policy, key, count, wanted })
        if (!grant.isAllowed) return { policy, isAllowed: false, remaining: 0, resetMs: grant.resetMs, window: null }
        const lease = extend(held.get(id)?.lease ?? null, { grant, count: granted, askedAt, spent: wanted })
        held.delete(id)
        if (lease.held > 0) held.set(id, { policy, key, lease })
        const { remaining, resetMs, window } = grant
        return { policy, isAllowed: true, remaining: remaining + lease.held, resetMs, window }
      } finally {
        asking.delete(id)
      }
    },
  }
}

type Question = { policy: Policy; key: string; count: number; wanted: number }

/** A part of the quota, or what is wanted of it when no whole part is left. */
async function ask(engine: Engine, now: () => number, { policy, key, count, wanted }: Question) {
  const askedAt = now()
  const grant = await engine.take(policy, key, count)
  if (grant.isAllowed || count === wanted || grant.remaining < wanted) return { grant, granted: count, askedAt }
  const again = now()
  return { grant: await engine.take(policy, key, wanted), granted: wanted, askedAt: again }
}

const verdictOf = (policy: Policy, { held, left, endsAt, window }: Lease, now: number): Verdict => ({
  policy,
  isAllowed: true,
  remaining: left + held,
  resetMs: Math.max(endsAt - now, 0),
  window,
})
