import { Hono } from "hono"
import {
  Acceptance,
  InvitationPage,
  InvitationPath,
  InvitationQuery,
  Joined,
  NewInvitation,
  ReceivedInvitationPage,
  SentInvitation,
} from "../contracts/invitations.ts"
import { acceptByToken } from "../domain/invitation-acceptance.ts"
import * as invitations from "../domain/invitations.ts"
import * as received from "../domain/received-invitations.ts"
import { limitAddress, limitRate } from "../gateway/limit-rate.ts"
import { conditional, expectedRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params, query } from "../http/contract.ts"
import { page } from "../http/pagination.ts"
import { policies } from "../limits/policies.ts"

export const invitationRoutes = new Hono<AppEnv>()

/** Each of them sends a mail, so they are counted once their input is right. */
const limitMails = limitRate(policies.invitationsByUser, (c) => c.var.ctx.actor.userId)

invitationRoutes.get(
  "/invitations",
  cachedOperation("List pending invitations", InvitationPage),
  query(InvitationQuery),
  async (c) => page(c, await invitations.listInvitations(c.var.ctx, c.req.valid("query"))),
)

invitationRoutes.post(
  "/invitations",
  operation("Invite somebody by e-mail", SentInvitation, 201, {
    description: "For a week. Whoever has no account yet registers with that address first.",
  }),
  body(NewInvitation),
  limitMails,
  async (c) => {
    const sent = await invitations.invite(c.var.ctx, c.var.instance, c.req.valid("json"))
    return conditional(c, sent, sent, 201)
  },
)

invitationRoutes.post(
  "/invitations/:invitationId/mail",
  operation("Send an invitation again", SentInvitation, 200, {
    description: "It gets another week, and the tokens that were sent before stop working.",
  }),
  params(InvitationPath),
  limitMails,
  async (c) => {
    const { invitationId } = c.req.valid("param")
    const sent = await invitations.sendAgain(c.var.ctx, c.var.instance, invitationId, expectedRevision(c))
    return conditional(c, sent, sent)
  },
)

invitationRoutes.delete(
  "/invitations/:invitationId",
  operation("Revoke an invitation"),
  params(InvitationPath),
  async (c) => {
    await invitations.revokeInvitation(c.var.ctx, c.req.valid("param").invitationId, expectedRevision(c))
    return c.body(null, 204)
  },
)

// ---- for who is invited, whatever workspace is active ----

invitationRoutes.put(
  "/invitations/acceptance",
  operation("Accept an invitation with the token of its mail", Joined, 200, {
    description: "Proves the e-mail address, too. Accepting again gives the same answer.",
  }),
  limitAddress(policies.acceptanceByAddress),
  body(Acceptance),
  async (c) => {
    const { token } = c.req.valid("json")
    return c.json(await acceptByToken(c.var.ctx, c.var.instance.instanceKey, token))
  },
)

invitationRoutes.get(
  "/me/invitations",
  operation("List the invitations that I can accept", ReceivedInvitationPage, 200, {
    description: "Those for my e-mail address: none until it is verified. A page may be short and have a next one.",
  }),
  query(InvitationQuery),
  async (c) => {
    c.header("cache-control", "private, no-cache")
    return c.json(await received.listReceived(c.var.ctx, c.req.valid("query")))
  },
)

invitationRoutes.put(
  "/me/invitations/:invitationId/acceptance",
  operation("Accept an invitation for my verified e-mail address", Joined, 200, {
    description: "Accepting again gives the same answer.",
  }),
  limitAddress(policies.acceptanceByAddress),
  params(InvitationPath),
  async (c) => c.json(await received.acceptReceived(c.var.ctx, c.req.valid("param").invitationId)),
)
