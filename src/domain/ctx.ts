import type { Db } from "../db/db.ts"
import type { AccessTokens } from "../lib/access-token.ts"
import type { IdKind } from "../lib/ids.ts"
import type { PasswordHasher } from "../lib/passwords.ts"
import type { Role } from "../lib/roles.ts"
import type { Mail } from "./mail.ts"
import type { Sessions } from "./sessions.ts"

/** What every verb needs, whoever calls it. */
export type Base = {
  db: Db
  /** Epoch milliseconds. */
  now: () => number
  newId: (kind: IdKind) => string
}

/**
 * Who acts: a user, through a session or through a key of theirs (then `sessionId` is empty). `role` is what the access
 * token says, or what the colo remembers of the key; a commit asks the database again.
 */
export type Actor = { userId: string; role: Role; sessionId: string; apiKey: ActingKey | null }

/** The key through which a user acts, and the permissions that it carries. */
export type ActingKey = { id: string; scopes: readonly string[] }

/** The key and fingerprint of a request that asked to be done once. */
export type Idempotency = { key: string; fingerprint: string }

/** The first argument of every verb: built once per request. */
export type Ctx = Base & {
  actor: Actor
  workspaceId: string
  /** Through what the change came, for the log of events. */
  source: string
  idempotency: Idempotency | null
}

/** What the verbs of sign-in need: there is no actor yet. */
export type IdentityCtx = Base & {
  hasher: PasswordHasher
  tokens: AccessTokens
  sessions: Sessions
  mail: Mail
  /** Closes the tokens that are mailed. */
  instanceKey: CryptoKey
  /** The device that asks, for the list of sessions. */
  device: { userAgent: string; address: string }
}
