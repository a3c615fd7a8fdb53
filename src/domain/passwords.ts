import { and, eq } from "drizzle-orm"
import { isCommonPassword } from "../lib/common-passwords.ts"
import { sha256 } from "../lib/hmac.ts"
import { formatMailToken, isGenuine, parseMailToken } from "../lib/mail-token.ts"
import { minute } from "../lib/time.ts"
import { passwordLetter, resetLetter } from "./account-mail.ts"
import type { Actor, IdentityCtx } from "./ctx.ts"
import { type FieldError, invalid } from "./errors.ts"
import { untilUncontested } from "./events.ts"
import { permitSession } from "./permissions.ts"
import { type Account, findAccountAt, findAccountOf, saveUser } from "./user-rows.ts"

const resetLife = 30 * minute

/** Why a password is refused, if it is. Its length has been checked already. */
export function passwordErrors({ email, password }: { email: string; password: string }): FieldError[] {
  const told = (detail: string) => [{ pointer: "/password", detail }]
  // In the form that is hashed: full-width letters make no other password.
  const plain = password.normalize("NFKC")
  if (plain.toLowerCase() === email) return told("must not be the e-mail address")
  if (isCommonPassword(plain)) return told("is one of the most common passwords")
  return []
}

// ---- forgotten ----

/** The present password and address: whatever changes one of them takes back the tokens that were asked for before. */
export const stateOf = async ({ user, secret }: Account) => [user.email, await sha256(secret)]

/** Mails a token to whoever has an account at this address, and nothing to others. */
export async function mailReset(ctx: IdentityCtx, email: string): Promise<void> {
  const account = await findAccountAt(ctx, email)
  if (!account) return
  const token = { purpose: "reset", userId: account.user.id, expiresAt: ctx.now() + resetLife, email: "" } as const
  const text = await formatMailToken(ctx.instanceKey, token, await stateOf(account))
  await ctx.mail.send(resetLetter(ctx.mail, email, text, resetLife))
}

export const refused = () => invalid({ pointer: "/token", detail: "is not valid (any more): ask for another one" })

/** Sets the password of whoever read the mail, which proves their address too, and signs all their devices out. */
export async function resetPassword(
  ctx: IdentityCtx,
  { token, password }: { token: string; password: string },
): Promise<Account> {
  const presented = parseMailToken("reset", token)
  if (!presented) throw refused()
  return ctx.hasher.admit(ctx.now(), () =>
    replacePassword(ctx, presented.userId, {
      password,
      type: "user.password_reset",
      keptSession: null,
      async authorize(account) {
        if (!account) throw refused()
        const isOurs = await isGenuine(ctx.instanceKey, presented, await stateOf(account), ctx.now())
        if (!isOurs) throw refused()
        return { emailVerifiedAt: account.user.emailVerifiedAt ?? ctx.now() }
      },
    }),
  )
}

// ---- known ----

/** Throws `invalid_input` at `pointer` unless the password is the account's present one. */
export async function expectPassword(
  ctx: IdentityCtx,
  account: Account | null,
  { password, pointer }: { password: string; pointer: string },
): Promise<Account> {
  if (account && (await ctx.hasher.verify(password, account.secret))) return account
  throw invalid({ pointer, detail: "is not your present password" })
}

/** Gives the actor a new password. Their other devices are signed out; the one that asks stays. */
export async function changePassword(
  ctx: IdentityCtx,
  actor: Actor,
  { current, password }: { current: string; password: string },
): Promise<Account> {
  permitSession(actor)
  return ctx.hasher.admit(ctx.now(), () =>
    replacePassword(ctx, actor.userId, {
      password,
      type: "user.password_changed",
      keptSession: actor.sessionId,
      async authorize(account) {
        await expectPassword(ctx, account, { password: current, pointer: "/current" })
        return {}
      },
    }),
  )
}

type Replacement = {
  password: string
  type: string
  keptSession: string | null
  /** Throws unless the caller may; returns what of the user changes as well. */
  authorize(account: Account | null): Promise<{ emailVerifiedAt?: number }>
}

async function replacePassword(
  ctx: IdentityCtx,
  userId: string,
  { password, type, keptSession, authorize }: Replacement,
): Promise<Account> {
  const { sql: db, tables } = ctx.db
  const { identities } = tables
  let hash: string | null = null
  const account = await untilUncontested(async () => {
    const found = await findAccountOf(ctx, userId)
    // Ours, from an attempt whose answer was lost: no other has this salt.
    if (found && found.secret === hash) return found
    const changes = await authorize(found)
    if (!found) throw refused()
    const { user } = found
    const errors = passwordErrors({ email: user.email, password })
    if (errors.length > 0) throw invalid(...errors)
    if (hash === null) {
      hash = await ctx.hasher.hash(password)
      // Before the write: if the sessions cannot be ended, nothing is used up and all may be tried again.
      await ctx.sessions.endAll(userId, keptSession)
    }
    const replace = db
      .update(identities)
      .set({ secret: hash, updatedAt: ctx.now() })
      .where(and(eq(identities.provider, "password"), eq(identities.userId, userId)))
    await saveUser(ctx, user, changes, { type, data: {} }, [replace])
    return found
  })
  // And after it, for whoever signed in with the old password meanwhile.
  await ctx.sessions.endAll(userId, keptSession)
  return account
}

/** Tells the account's owner, who may not be the one who did it. */
export async function mailPasswordNotice(ctx: IdentityCtx, { user }: Account): Promise<void> {
  await ctx.mail.send(passwordLetter(user.email))
}
