import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto"
import { second } from "./time.ts"

/** The slow, memory-hard one-way function behind passwords. An interface, so that a Worker of its own can take it over. */
export type PasswordHasher = {
  /** Holds a place in the short queue for the hasher while `work` runs; throws HasherBusy when there is none. */
  admit<T>(now: number, work: () => Promise<T>): Promise<T>
  /** A hash in PHC string form, with its parameters and salt. */
  hash(password: string): Promise<string>
  verify(password: string, hash: string): Promise<boolean>
  /** Spends the time that `verify` spends, for accounts that do not exist. */
  pretend(password: string): Promise<false>
  /** Whether a stored hash has other parameters than today's. */
  isOutdated(hash: string): boolean
}

/** Thrown when the queue for the hasher is full. */
export class HasherBusy extends Error {
  override name = "HasherBusy"
}

type Cost = { ln: number; r: number; p: number }

// OWASP ASVS 5.0, appendix C. Cloudflare refuses scrypt beyond N·r·p = 2^20, which local workerd does not, so it is
// asserted here.
const defaultCost: Cost = { ln: 15, r: 8, p: 3 }
const platformCap = 2 ** 20
const keyBytes = 32
const saltBytes = 16
const longestWait = 30 * second

/**
 * scrypt, which holds the isolate's thread while it computes (about 0.2 s): one runs at a time by nature, and whoever
 * comes meanwhile waits. `admit` bounds how many may; it must be entered before the first I/O of a sign-in, for after
 * it they all arrive at the thread one by one and the queue could not be seen.
 */
export function scryptHasher({ cost = defaultCost, queueLength = 8 } = {}): PasswordHasher {
  if (2 ** cost.ln * cost.r * cost.p > platformCap) throw new RangeError("scrypt cost beyond the platform's cap")
  // A seat also lapses with time: a request that its client abandons is dropped by the runtime and frees nothing.
  const seats = new Map<symbol, number>()

  return {
    async admit(now, work) {
      for (const [seat, taken] of seats) if (now - taken > longestWait) seats.delete(seat)
      if (seats.size >= queueLength) throw new HasherBusy()
      const seat = Symbol("seat")
      seats.set(seat, now)
      try {
        return await work()
      } finally {
        seats.delete(seat)
      }
    },
    hash(password) {
      const salt = randomBytes(saltBytes)
      return Promise.resolve(format(cost, salt, derive(password, salt, cost)))
    },
    verify(password, hash) {
      const stored = parse(hash)
      return Promise.resolve(timingSafeEqual(stored.key, derive(password, stored.salt, stored.cost)))
    },
    pretend(password) {
      derive(password, randomBytes(saltBytes), cost)
      return Promise.resolve(false)
    },
    isOutdated(hash) {
      const stored = parse(hash).cost
      return stored.ln !== cost.ln || stored.r !== cost.r || stored.p !== cost.p
    },
  }
}

function derive(password: string, salt: Uint8Array, { ln, r, p }: Cost): Buffer {
  const N = 2 ** ln
  // Normalised, because two keyboards may compose the same character differently (NIST SP 800-63B-4, 3.1.1.2).
  return scryptSync(password.normalize("NFKC"), salt, keyBytes, { N, r, p, maxmem: 2 * 128 * N * r })
}

const format = ({ ln, r, p }: Cost, salt: Buffer, key: Buffer) =>
  `$scrypt$ln=${ln},r=${r},p=${p}$${salt.toString("base64url")}$${key.toString("base64url")}`

function parse(hash: string): { cost: Cost; salt: Buffer; key: Buffer } {
  const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([\w-]+)\$([\w-]+)$/.exec(hash)
  if (!match) throw new TypeError("Not a scrypt hash")
  const [, ln, r, p, salt = "", key = ""] = match
  return {
    cost: { ln: Number(ln), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, "base64url"),
    key: Buffer.from(key, "base64url"),
  }
}
