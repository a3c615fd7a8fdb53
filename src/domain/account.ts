import { and, eq } from "drizzle-orm"
import { isUnique } from "../db/db.ts"
import { formatMailToken, isGenuine, parseMailToken } from "../lib/mail-token.ts"
import { day } from "../lib/time.ts"
import { changedLetter, changeLetter, verificationLetter } from "./account-mail.ts"
import type { Actor, IdentityCtx } from "./ctx.ts"
import { DomainError, invalid } from "./errors.ts"
import { untilUncontested } from "./events.ts"
import { expectPassword, passwordErrors, refused, stateOf } from "./passwords.ts"
import { permitSession } from "./permissions.ts"
import { type Account, findAccountOf, saveUser } from "./user-rows.ts"

const verificationLife = 7 * day
const changeLife = day

// ---- that an address is the user's ----

/** Mails a token to the user's address. */
export async function mailVerification(
  { mail, instanceKey, now }: Pick<IdentityCtx, "mail" | "instanceKey" | "now">,
  { id, email }: { id: string; email: string },
): Promise<void> {
  const token = { purpose: "verification", userId: id, expiresAt: now() + verificationLife, email: "" } as const
  const text = await formatMailToken(instanceKey, token, [email])
  await mail.send(verificationLetter(mail, email, text, verificationLife))
}

/** Mails another token to the actor, unless their address is verified already. */
export async function requestVerification(ctx: IdentityCtx, actor: Actor): Promise<void> {
  permitSession(actor)
  const account = await findAccountOf(ctx, actor.userId)
  if (account && account.user.emailVerifiedAt === null) await mailVerification(ctx, account.user)
}

/** Notes that the user reads mail at their address. Doing it again changes nothing. */
export async function verifyEmail(ctx: IdentityCtx, text: string): Promise<void> {
  const token = parseMailToken("verification", text)
  if (!token) throw refused()
  await untilUncontested(async () => {
    const account = await findAccountOf(ctx, token.userId)
    if (!account) throw refused()
    const { user } = account
    if (!(await isGenuine(ctx.instanceKey, token, [user.email], ctx.now()))) throw refused()
    if (user.emailVerifiedAt !== null) return
    const note = { type: "user.email_verified", data: { email: user.email } }
    await saveUser(ctx, user, { emailVerifiedAt: ctx.now() }, note)
  })
}

// ---- another address ----

/** Mails a token to the new address. Whether somebody else has it is told to nobody who does not read mail there. */
export async function requestEmailChange(
  ctx: IdentityCtx,
  actor: Actor,
  { email, password }: { email: string; password: string },
): Promise<void> {
  permitSession(actor)
  const account = await ctx.hasher.admit(ctx.now(), async () =>
    expectPassword(ctx, await findAccountOf(ctx, actor.userId), { password, pointer: "/password" }),
  )
  if (email === account.user.email) throw invalid({ pointer: "/email", detail: "is your e-mail address already" })
  if (passwordErrors({ email, password }).length > 0) {
    throw invalid({ pointer: "/email", detail: "must not be your password" })
  }
  const token = { purpose: "change", userId: actor.userId, expiresAt: ctx.now() + changeLife, email } as const
  const text = await formatMailToken(ctx.instanceKey, token, await stateOf(account))
  await ctx.mail.send(changeLetter(ctx.mail, email, text, changeLife))
}

/** Makes the address that the token was mailed to the user's. Returns the one of before. */
export async function confirmEmailChange(ctx: IdentityCtx, text: string): Promise<string> {
  const token = parseMailToken("change", text)
  if (!token) throw refused()
  let before: string | null = null
  return untilUncontested(async () => {
    const account = await findAccountOf(ctx, token.userId)
    // An earlier attempt of ours landed and its answer was lost, or the same link was opened twice at once.
    if (before !== null && account?.user.email === token.email) return before
    if (!account || !(await isGenuine(ctx.instanceKey, token, await stateOf(account), ctx.now()))) throw refused()
    before = account.user.email
    await moveAccount(ctx, account, token.email)
    return before
  })
}

async function moveAccount(ctx: IdentityCtx, { user }: Account, email: string): Promise<void> {
  const { sql: db, tables } = ctx.db
  const { identities } = tables
  const at = ctx.now()
  const move = db
    .update(identities)
    .set({ subject: email, updatedAt: at })
    .where(and(eq(identities.provider, "password"), eq(identities.subject, user.email)))
  const data = { before: { email: user.email }, after: { email } }
  try {
    await saveUser(ctx, user, { email, emailVerifiedAt: at }, { type: "user.email_changed", data }, [move])
  } catch (error) {
    // What of the user's own stands in the way has been told from this by saveUser.
    if (!isUnique(error)) throw error
    throw new DomainError("conflict", "This e-mail address belongs to another account", { cause: error })
  }
}

/** Tells whoever reads the old address, who may not be the one who asked. */
export async function mailChangeNotice({ mail }: Pick<IdentityCtx, "mail">, email: string): Promise<void> {
  await mail.send(changedLetter(email))
}
