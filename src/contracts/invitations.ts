import * as z from "zod"
import { Email } from "./auth.ts"
import { Cursor, id, Limit, page, pathId, Revision, Time } from "./common.ts"
import { Role } from "./members.ts"

export const Invitation = z
  .object({
    id: id("invitation"),
    email: z.string(),
    role: Role,
    status: z.enum(["pending", "accepted", "revoked"]),
    expiresAt: Time.meta({ description: "RFC 3339, in UTC. Sending it again gives it another week" }),
    revision: Revision,
    createdBy: id("user"),
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Invitation" })

export type InvitationView = z.output<typeof Invitation>

export const SentInvitation = Invitation.extend({
  mailSent: z.boolean().nullable().meta({
    description: "False: it stands, and should be sent again. Null in a repeated answer, which does not know",
  }),
}).meta({ id: "SentInvitation" })

export type SentInvitationView = z.output<typeof SentInvitation>

export const NewInvitation = z.strictObject({ email: Email, role: Role })
export type NewInvitationInput = z.output<typeof NewInvitation>

export const InvitationPath = z.object({ invitationId: pathId("invitation") })
export const InvitationQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type InvitationQueryInput = z.output<typeof InvitationQuery>
export const InvitationPage = page(Invitation)

export const Acceptance = z.strictObject({
  token: z.string().max(512).meta({ description: "From the mail" }),
})

const workspace = z.object({ id: id("workspace"), name: z.string() })

export const Joined = z
  .object({ workspace, role: Role })
  .meta({ id: "Joined", description: "POST /auth/switch gives tokens for this workspace" })

export type JoinedView = z.output<typeof Joined>

export const ReceivedInvitation = z
  .object({ id: id("invitation"), workspace, role: Role, expiresAt: Time, createdAt: Time })
  .meta({ id: "ReceivedInvitation" })

export type ReceivedInvitationView = z.output<typeof ReceivedInvitation>

export const ReceivedInvitationPage = page(ReceivedInvitation)
