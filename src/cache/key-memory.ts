import { Lru } from "../lib/lru.ts"
import type { Role } from "../lib/roles.ts"
import { second } from "../lib/time.ts"
import { inTime, parsed, type Store } from "./store.ts"

/** An API key as the database had it, and the role of its user. Times in epoch milliseconds. */
export type KnownKey = {
  id: string
  userId: string
  workspaceId: string
  scopes: string[]
  role: Role
  expiresAt: number | null
  lastUsedAt: number | null
}

/** What the database said, or that it knew no such live key, and when it was asked. */
export type Finding = { key: KnownKey | null; at: number }

/** What is known of API keys, by the hash of the key, without asking the database. It may forget at any time. */
export type KeyMemory = {
  recall(hash: string): Promise<Finding | null>
  remember(hash: string, finding: Finding): Promise<void>
  /** From now on the key is known to be none, whatever an older finding says that arrives later. */
  forget(hash: string): Promise<void>
}

/** How long a finding is believed. */
export const keyLife = 60 * second
/** How long it is believed that there is no such key: guessing one again and again asks the database once. */
export const noKeyLife = 10 * second
// Other isolates of the colo learn of a revocation when they ask the colo again.
const isolateLife = 10 * second

const capacity = 2_000

type Options = {
  now: () => number
  /** What the isolates of a colo share. */
  colo: Store
}

/** Remembers in the isolate, and behind it in the colo. Where that keeps nothing it works all the same. */
export function keyMemory({ now, colo }: Options): KeyMemory {
  const isolate = new Lru<string, Finding & { since: number }>(capacity)

  const nameOf = (hash: string) => `key ${hash}`

  const isLive = ({ key, at }: Finding) => now() - at < (key ? keyLife : noKeyLife)

  async function fromColo(hash: string): Promise<Finding | null> {
    return parsed<Finding>(await inTime(colo.get(nameOf(hash)), null))
  }

  async function store(hash: string, finding: Finding, lifeMs: number): Promise<void> {
    isolate.set(hash, { ...finding, since: now() })
    await inTime(colo.put(nameOf(hash), JSON.stringify(finding), lifeMs), false)
  }

  return {
    async recall(hash) {
      const own = isolate.get(hash)
      if (own && isLive(own) && now() - own.since < isolateLife) return own
      const finding = await fromColo(hash)
      if (!finding || !isLive(finding)) return null
      isolate.set(hash, { ...finding, since: now() })
      return finding
    },

    async remember(hash, finding) {
      // What was asked before a revocation may arrive after it.
      const known = [isolate.get(hash), await fromColo(hash)]
      if (known.some((other) => other && isNewer(other, finding))) return
      await store(hash, finding, finding.key ? keyLife : noKeyLife)
    },

    // Kept longer than it is believed: as long as an older finding would be that came after it.
    forget: (hash) => store(hash, { key: null, at: now() }, keyLife),
  }
}

const isNewer = (a: Finding, b: Finding) => (a.key ? a.at > b.at : a.at >= b.at)
