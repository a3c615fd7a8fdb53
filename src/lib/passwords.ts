import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"

/** The slow, memory-hard one-way function behind passwords. An interface, so that a Worker of its own can take it over. */
export type PasswordHasher = {
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

/**
 * scrypt. It holds the isolate's thread while it computes (about 0.2 s), so one runs at a time and at most
 * `queueLength` wait; beyond that it throws HasherBusy.
 */
export function scryptHasher({ cost = defaultCost, queueLength = 8 } = {}): PasswordHasher {
  if (2 ** cost.ln * cost.r * cost.p > platformCap) throw new RangeError("scrypt cost beyond the platform's cap")
  let waiting = 0
  let last: Promise<unknown> = Promise.resolve()

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (waiting > queueLength) return Promise.reject(new HasherBusy())
    waiting += 1
    const turn = last.then(work).finally(() => {
      waiting -= 1
    })
    last = turn.catch(() => undefined)
    return turn
  }

  return {
    hash: (password) =>
      inTurn(async () => {
        const salt = randomBytes(saltBytes)
        return format(cost, salt, await derive(password, salt, cost))
      }),
    verify: (password, hash) =>
      inTurn(async () => {
        const stored = parse(hash)
        return timingSafeEqual(stored.key, await derive(password, stored.salt, stored.cost))
      }),
    pretend: (password) =>
      inTurn(async () => {
        await derive(password, randomBytes(saltBytes), cost)
        return false as const
      }),
    isOutdated(hash) {
      const stored = parse(hash).cost
      return stored.ln !== cost.ln || stored.r !== cost.r || stored.p !== cost.p
    },
  }
}

function derive(password: string, salt: Uint8Array, { ln, r, p }: Cost): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const N = 2 ** ln
  // Normalised, because two keyboards may compose the same character differently (NIST SP 800-63B-4, 3.1.1.2).
  scrypt(password.normalize("NFKC"), salt, keyBytes, { N, r, p, maxmem: 2 * 128 * N * r }, (error, key) =>
    error ? reject(error) : resolve(key),
  )
  return promise
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
