import { and, asc, eq, gt, isNull } from "drizzle-orm"
import type {
  InvitationQueryInput,
  InvitationView,
  NewInvitationInput,
  SentInvitationView,
} from "../contracts/invitations.ts"
import { CommitRefused } from "../db/commit.ts"
import { idPattern } from "../lib/ids.ts"
import type { Role } from "../lib/roles.ts"
import { day } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import { commit, difference, untilUncontested } from "./events.ts"
import { type Sender, sendInvitation } from "./invitation-mail.ts"
import { changeOfInvitation, type Invitation, invitationView, isPending, replaceInvitation } from "./invitation-rows.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { type Permission, permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import { findAccountAt } from "./user-rows.ts"

export const invitationLife = 7 * day
/** How long after its end the directory still knows an invitation, so that sending it again is not a new entry. */
export const expiredEntryLife = 2 * day

/** Only owners make owners, and have a say in who is about to become one. */
const permissionOver = (role: Role): Permission => (role === "owner" ? "workspace:own" : "member:manage")

/** The invitations that nobody has accepted yet, those among them whose time is over; oldest first. */
export async function listInvitations(
  ctx: Ctx,
  { limit, cursor }: InvitationQueryInput,
): Promise<{ data: InvitationView[]; next: string | null }> {
  permit(ctx, "member:manage")
  const list = `${ctx.workspaceId} invitations`
  const place = parseCursor(list, "string", cursor)
  const { db, workspaceId } = ctx
  const { invitations } = db.tables
  const [rows] = await db.read(
    db.sql
      .select()
      .from(invitations)
      .where(
        and(eq(invitations.workspaceId, workspaceId), isPending(ctx), place ? gt(invitations.id, place.id) : undefined),
      )
      .orderBy(asc(invitations.id))
      .limit(limit + 1),
  )
  const page = cutRows(rows, limit, list, ({ id }) => placeOfId(id))
  return { data: page.rows.map(invitationView), next: page.next }
}

// ---- invite ----

const taken = (detail: string, cause?: unknown) =>
  new DomainError("conflict", "This address cannot be invited", { errors: [{ pointer: "/email", detail }], cause })

const invitedAlready = (cause?: unknown) => taken("has been invited: send that invitation again, or revoke it", cause)

/**
 * Invites an address for a week. The directory is written first, then the workspace: an entry there that leads to no
 * invitation misleads nobody. The mail follows; when it cannot be sent the invitation stands, and the answer says so.
 */
export async function invite(
  ctx: Ctx,
  sender: Sender,
  { email, role }: NewInvitationInput,
): Promise<SentInvitationView> {
  permit(ctx, "member:manage")
  const permission = permissionOver(role)
  permit(ctx, permission)
  const account = await findAccountAt(ctx, email)
  const { isMember, isInvited, names } = await lookUp(ctx, email, account?.user.id ?? "")
  if (isMember) throw taken("is the address of a member")
  if (isInvited) throw invitedAlready()

  const { db, workspaceId } = ctx
  const at = ctx.now()
  const invitation: Invitation = {
    workspaceId,
    id: ctx.newId("invitation"),
    email,
    role,
    status: "pending",
    generation: 1,
    expiresAt: at + invitationLife,
    revision: 1,
    createdBy: ctx.actor.userId,
    createdAt: at,
    updatedAt: at,
  }
  const view = invitationView(invitation)
  const { invitations } = db.tables
  await enterInvitee(ctx, invitation, at)
  try {
    await commit(ctx, {
      permission,
      at,
      rows: [db.sql.insert(invitations).values(invitation)],
      changes: [
        {
          type: "invitation.created",
          subject: "invitation",
          subjectId: invitation.id,
          revision: 1,
          projectId: null,
          data: { before: null, after: view },
        },
      ],
      answer: { kind: "made", body: { ...view, mailSent: null } },
    })
  } catch (error) {
    const isRefused = error instanceof CommitRefused || error instanceof DomainError
    if (isRefused) await forgetInvitee(ctx, invitation)
    // Ids are made once: what stands in the way is another invitation of the address.
    if (error instanceof CommitRefused && error.refusal.reason === "unique") throw invitedAlready(error)
    throw error
  }
  return { ...view, mailSent: await send(sender, invitation, names) }
}

/** What the workspace knows of an address and its account. */
async function lookUp(ctx: Ctx, email: string, userId: string) {
  const { db, workspaceId } = ctx
  const { invitations, members } = db.tables
  const [[member], [invited], ...named] = await db.read(
    db.sql
      .select({ userId: members.userId })
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, userId), isNull(members.removedAt))),
    db.sql
      .select({ id: invitations.id })
      .from(invitations)
      .where(and(eq(invitations.workspaceId, workspaceId), eq(invitations.email, email), isPending(ctx))),
    ...selectNames(ctx),
  )
  return { isMember: member !== undefined, isInvited: invited !== undefined, names: namesIn(named) }
}

// ---- its mail ----

type Names = { workspace: string; inviter: string }

const selectNames = ({ db, workspaceId, actor }: Ctx) => {
  const { members, profiles } = db.tables
  return [
    db.sql.select({ name: profiles.name }).from(profiles).where(eq(profiles.workspaceId, workspaceId)),
    db.sql
      .select({ name: members.name })
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId))),
  ] as const
}

const namesIn = ([[profile], [member]]: [{ name: string }[], { name: string }[]]): Names => ({
  workspace: profile?.name ?? "",
  inviter: member?.name ?? "",
})

const send = (sender: Sender, { id, email, workspaceId, generation, expiresAt }: Invitation, names: Names) =>
  sendInvitation(sender, { ...names, to: email, workspaceId, invitationId: id, generation, expiresAt })

async function getPending(ctx: Ctx, id: string): Promise<{ invitation: Invitation; names: Names }> {
  if (!idPattern("invitation").test(id)) throw notFound("invitation")
  const { db, workspaceId } = ctx
  const { invitations } = db.tables
  const [[invitation], ...named] = await db.read(
    db.sql
      .select()
      .from(invitations)
      .where(and(eq(invitations.workspaceId, workspaceId), eq(invitations.id, id), isPending(ctx))),
    ...selectNames(ctx),
  )
  if (!invitation) throw notFound("pending invitation")
  permit(ctx, permissionOver(invitation.role))
  return { invitation, names: namesIn(named) }
}

/** Sends an invitation again and gives it another week. The tokens that were sent before stop working. */
export async function sendAgain(ctx: Ctx, sender: Sender, id: string, expected: Expected): Promise<SentInvitationView> {
  permit(ctx, "member:manage")
  const { invitation, names } = await untilUncontested(async () => {
    const { invitation: before, names } = await getPending(ctx, id)
    expectRevision(expected, before.revision)
    const at = ctx.now()
    // By then the directory has forgotten it, or is about to.
    if (before.expiresAt + expiredEntryLife - day <= at) await enterInvitee(ctx, before, at)
    const set = { generation: before.generation + 1, expiresAt: at + invitationLife, updatedAt: at }
    const after: Invitation = { ...before, ...set, revision: before.revision + 1 }
    const view = invitationView(after)
    await commit(ctx, {
      permission: permissionOver(before.role),
      at,
      rows: [replaceInvitation(ctx, before, set)],
      changes: [changeOfInvitation(before, "invitation.resent", difference(invitationView(before), view))],
      answer: { kind: "changed", body: { ...view, mailSent: null } },
    })
    return { invitation: after, names }
  })
  return { ...invitationView(invitation), mailSent: await send(sender, invitation, names) }
}

// ---- revoke ----

/** Takes an invitation back. */
export async function revokeInvitation(ctx: Ctx, id: string, expected: Expected): Promise<void> {
  permit(ctx, "member:manage")
  const revoked = await untilUncontested(async () => {
    const { invitation: before } = await getPending(ctx, id)
    expectRevision(expected, before.revision)
    const at = ctx.now()
    await commit(ctx, {
      permission: permissionOver(before.role),
      at,
      rows: [replaceInvitation(ctx, before, { status: "revoked", updatedAt: at })],
      changes: [
        changeOfInvitation(before, "invitation.revoked", {
          before: { status: "pending" },
          after: { status: "revoked" },
        }),
      ],
      answer: { kind: "empty" },
    })
    return before
  })
  await forgetInvitee(ctx, revoked)
}

async function enterInvitee({ db }: Ctx, { email, workspaceId, id }: Invitation, createdAt: number): Promise<void> {
  const { invitees: t } = db.tables
  await db.write(
    db.sql
      .insert(t)
      .values({ email, workspaceId, invitationId: id, createdAt })
      .onConflictDoUpdate({ target: [t.email, t.workspaceId, t.invitationId], set: { createdAt } }),
  )
}

async function forgetInvitee({ db }: Ctx, { email, workspaceId, id }: Invitation): Promise<void> {
  const { invitees } = db.tables
  await db.write(
    db.sql
      .delete(invitees)
      .where(and(eq(invitees.email, email), eq(invitees.workspaceId, workspaceId), eq(invitees.invitationId, id))),
  )
}
