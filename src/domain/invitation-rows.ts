import { and, eq, type SQL, sql } from "drizzle-orm"
import type { InvitationView } from "../contracts/invitations.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import type { DomainChange } from "./events.ts"

// How an invitation stands in the database and in the log.

export type Invitation = Row<"invitations">

export function invitationView(invitation: Invitation): InvitationView {
  const { id, email, role, status, expiresAt, revision, createdBy, createdAt, updatedAt } = invitation
  const times = { createdAt: rfc3339(createdAt), updatedAt: rfc3339(updatedAt) }
  return { id, email, role, status, expiresAt: rfc3339(expiresAt), revision, createdBy, ...times }
}

// As it stands in the conditions of the indexes: with a parameter in its place they would not be used.
export const isPending = ({ db: { tables } }: Ctx): SQL => sql`${tables.invitations.status} = 'pending'`

export function replaceInvitation({ db }: Ctx, before: Invitation, set: Partial<Invitation>): Statement {
  const { invitations } = db.tables
  return db.sql
    .update(invitations)
    .set({ ...set, revision: before.revision + 1 })
    .where(
      and(
        eq(invitations.workspaceId, before.workspaceId),
        eq(invitations.id, before.id),
        eq(invitations.revision, before.revision),
      ),
    )
}

export const changeOfInvitation = (
  before: Invitation,
  type: DomainChange["type"],
  data: DomainChange["data"],
): DomainChange => ({
  type,
  subject: "invitation",
  subjectId: before.id,
  revision: before.revision + 1,
  projectId: null,
  data,
})
