import { type Context, Hono } from "hono"
import { EmailChangeRequest, MailedToken, PasswordChange, Reset, ResetRequest } from "../contracts/account.ts"
import * as account from "../domain/account.ts"
import { noDelivery } from "../domain/mail.ts"
import * as passwords from "../domain/passwords.ts"
import { admitCaller } from "../gateway/admit-caller.ts"
import { limitAddress, limitRate } from "../gateway/limit-rate.ts"
import type { AppEnv } from "../http/context.ts"
import { body, operation } from "../http/contract.ts"
import { mailLater } from "../http/later.ts"
import { sha256 } from "../lib/hmac.ts"
import { policies } from "../limits/policies.ts"

/** What people do with their address and their password. `authRoutes` has told who asks. */
export const accountRoutes = new Hono<AppEnv>()

const open = { isPublic: true }
const byUser = (c: Context<AppEnv>) => c.var.ctx.actor.userId

// ---- verification ----

accountRoutes.post(
  "/auth/verification",
  admitCaller(),
  operation("Mail me a token that verifies my e-mail address", null, 202, {
    description: "Registering does so too. Nothing is mailed when it is verified already.",
  }),
  limitRate(policies.verificationByUser, byUser),
  async (c) => {
    await account.requestVerification(c.var.identity, c.var.ctx.actor)
    return c.body(null, 202)
  },
)

accountRoutes.put(
  "/auth/verification",
  operation("Verify an e-mail address", null, 204, open),
  limitAddress(policies.mailedTokenByAddress),
  body(MailedToken),
  async (c) => {
    await account.verifyEmail(c.var.identity, c.req.valid("json").token)
    return c.body(null, 204)
  },
)

// ---- password ----

accountRoutes.post(
  "/auth/password-reset",
  operation("Mail a token for a new password to an account's address", null, 202, {
    ...open,
    description: "The answer is the same whether or not there is such an account.",
  }),
  limitAddress(policies.resetByAddress),
  body(ResetRequest),
  limitRate<{ out: { json: { email: string } } }>(policies.resetByAccount, (c) => sha256(c.req.valid("json").email)),
  (c) => {
    const { identity } = c.var
    if (!identity.mail.delivers) throw noDelivery()
    const { email } = c.req.valid("json")
    // Even the look into the directory waits: the time that an answer takes does not tell.
    mailLater(c, () => passwords.mailReset(identity, email))
    return c.body(null, 202)
  },
)

accountRoutes.put(
  "/auth/password-reset",
  operation("Choose a new password with a mailed token", null, 204, {
    ...open,
    description: "The token works once. Every session of the user ends, and the address counts as verified.",
  }),
  limitAddress(policies.mailedTokenByAddress),
  body(Reset),
  async (c) => {
    const { identity } = c.var
    const changed = await passwords.resetPassword(identity, c.req.valid("json"))
    if (identity.mail.delivers) mailLater(c, () => passwords.mailPasswordNotice(identity, changed))
    return c.body(null, 204)
  },
)

accountRoutes.put(
  "/auth/password",
  admitCaller(),
  operation("Change my password", null, 204, { description: "My other sessions end." }),
  body(PasswordChange),
  limitRate(policies.passwordByUser, byUser),
  async (c) => {
    const { identity, ctx } = c.var
    const changed = await passwords.changePassword(identity, ctx.actor, c.req.valid("json"))
    if (identity.mail.delivers) mailLater(c, () => passwords.mailPasswordNotice(identity, changed))
    return c.body(null, 204)
  },
)

// ---- another address ----

accountRoutes.post(
  "/auth/email-change",
  admitCaller(),
  operation("Mail a token to the e-mail address that shall be mine", null, 202, {
    description: "Until it is used, the address of before is mine.",
  }),
  body(EmailChangeRequest),
  limitRate(policies.emailChangeByUser, byUser),
  async (c) => {
    await account.requestEmailChange(c.var.identity, c.var.ctx.actor, c.req.valid("json"))
    return c.body(null, 202)
  },
)

accountRoutes.put(
  "/auth/email-change",
  operation("Change an account's e-mail address with a mailed token", null, 204, {
    ...open,
    description: "The address of before is told of it.",
  }),
  limitAddress(policies.mailedTokenByAddress),
  body(MailedToken),
  async (c) => {
    const { identity } = c.var
    const before = await account.confirmEmailChange(identity, c.req.valid("json").token)
    if (identity.mail.delivers) mailLater(c, () => account.mailChangeNotice(identity, before))
    return c.body(null, 204)
  },
)
