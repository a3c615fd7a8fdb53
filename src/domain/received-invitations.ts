import { and, eq, getTableColumns, gt, sql } from "drizzle-orm"
import type { InvitationQueryInput, JoinedView, ReceivedInvitationView } from "../contracts/invitations.ts"
import { idPattern } from "../lib/ids.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { accept, notReceived } from "./invitation-acceptance.ts"
import { isPending } from "./invitation-rows.ts"
import { beyond, cutRows, type Order, orderBy, parseCursor } from "./lists.ts"
import { permit, permitSession } from "./permissions.ts"

// The invitations for an address, as the person who reads its mail finds them, whatever workspace they are in.

/** The address of the actor, once they have proved that they read its mail; null until then. */
const provenAddress = ({ db, actor }: Ctx) => {
  const { users } = db.tables
  return sql`(select ${users.email} from ${users} where ${users.id} = ${actor.userId} and ${users.emailVerifiedAt} is not null)`
}

/**
 * The invitations that the actor can accept. The directory says where they are: one statement for the page's entries,
 * one for what the workspaces know of them, so entries that lead nowhere any more make a page shorter.
 */
export async function listReceived(
  ctx: Ctx,
  { limit, cursor }: InvitationQueryInput,
): Promise<{ data: ReceivedInvitationView[]; next: string | null }> {
  permit(ctx, "profile:write")
  permitSession(ctx.actor)
  const list = `${ctx.actor.userId} received invitations`
  const place = parseCursor(list, "string", cursor)
  const { db } = ctx
  const { invitees } = db.tables
  const order: Order = { key: sql`${invitees.workspaceId}`, id: sql`${invitees.invitationId}`, direction: "asc" }
  const [entries] = await db.read(
    db.sql
      .select({ workspaceId: invitees.workspaceId, id: invitees.invitationId, email: invitees.email })
      .from(invitees)
      .where(and(eq(invitees.email, provenAddress(ctx)), beyond(order, place)))
      .orderBy(orderBy(order))
      .limit(limit + 1),
  )
  const page = cutRows(entries, limit, list, (entry) => ({ k: entry.workspaceId, id: entry.id }))
  return { data: page.rows.length > 0 ? await describe(ctx, page.rows) : [], next: page.next }
}

type Entry = { workspaceId: string; id: string; email: string }

// By the address as well, which a workspace invites once: whichever index is taken, an entry leads to one row.
async function describe(ctx: Ctx, entries: Entry[]): Promise<ReceivedInvitationView[]> {
  const { db } = ctx
  const { invitations, profiles } = db.tables
  const { workspaceId, id, email, role, expiresAt, createdAt } = getTableColumns(invitations)
  const workspaceName = sql<string>`(select p.name from ${profiles} p where p.workspace_id = ${workspaceId} and p.deleted_at is null)`
  const [found] = await db.read(
    db.sql
      .select({ workspaceId, id, role, expiresAt, createdAt, name: workspaceName.as("name") })
      .from(sql`${db.givenRows(entries, { workspaceId: "text", id: "text", email: "text" })}`)
      .innerJoin(
        invitations,
        and(eq(workspaceId, db.given("workspaceId")), eq(id, db.given("id")), eq(email, db.given("email"))),
      )
      .where(and(isPending(ctx), gt(expiresAt, ctx.now()))),
  )
  const byId = new Map(found.map((invitation) => [invitation.id, invitation]))
  return entries.flatMap((entry) => {
    const invitation = byId.get(entry.id)
    // Of a deleted workspace, no name is found.
    if (!invitation?.name) return []
    const workspace = { id: invitation.workspaceId, name: invitation.name }
    const times = { expiresAt: rfc3339(invitation.expiresAt), createdAt: rfc3339(invitation.createdAt) }
    return [{ id: entry.id, workspace, role: invitation.role, ...times }]
  })
}

/** Accepts an invitation for the address that the actor has proved to be theirs. */
export async function acceptReceived(ctx: Ctx, invitationId: string): Promise<JoinedView> {
  permit(ctx, "profile:write")
  permitSession(ctx.actor)
  if (!idPattern("invitation").test(invitationId)) throw notReceived()
  const { db } = ctx
  const { invitees } = db.tables
  const [[entry]] = await db.read(
    db.sql
      .select({ workspaceId: invitees.workspaceId })
      .from(invitees)
      .where(and(eq(invitees.email, provenAddress(ctx)), eq(invitees.invitationId, invitationId))),
  )
  if (!entry) throw notReceived()
  return accept(ctx, { workspaceId: entry.workspaceId, invitationId, generation: null })
}
