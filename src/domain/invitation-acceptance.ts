import { and, eq } from "drizzle-orm"
import type { JoinedView } from "../contracts/invitations.ts"
import { CommitRefused } from "../db/commit.ts"
import type { Row } from "../db/tables.ts"
import { parseInvitationToken } from "../lib/invitation-token.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid, notFound } from "./errors.ts"
import { commit, untilUncontested } from "./events.ts"
import { changeOfInvitation, type Invitation, replaceInvitation } from "./invitation-rows.ts"
import { changeOfMember, type Member, replaceMember } from "./member-rows.ts"
import { forgetMembership } from "./members.ts"
import { permit, permitSession } from "./permissions.ts"
import { getUser, saveUser, type User } from "./user-rows.ts"

type Profile = Row<"profiles">

export const notReceived = () => notFound("invitation for a verified e-mail address of yours")

/** Which invitation somebody says is theirs. Generation null: by an address that they have proved before. */
type Claim = { workspaceId: string; invitationId: string; generation: number | null }

/** Accepts what the mail was about. Having its token proves that the actor reads mail at their address. */
export async function acceptByToken(ctx: Ctx, instanceKey: CryptoKey, token: string): Promise<JoinedView> {
  permit(ctx, "profile:write")
  permitSession(ctx.actor)
  const claim = await parseInvitationToken(instanceKey, token)
  if (!claim) throw invalid({ pointer: "/token", detail: "is not the token of an invitation" })
  return accept(ctx, claim)
}

/**
 * Makes the actor a member: in the directory, which says where to look for them, then in the workspace, with the
 * invitation used up in the same commit. Each half is harmless when it is done again, so a repeat completes what was
 * cut off, and tells whoever is a member by it already the same.
 */
export function accept(ctx: Ctx, claim: Claim): Promise<JoinedView> {
  // Receipts belong to a workspace; this one is not the request's, and needs none.
  const there: Ctx = { ...ctx, workspaceId: claim.workspaceId, idempotency: null }
  let isEntered = false
  return untilUncontested(async () => {
    const [user, { invitation, profile, member }] = await Promise.all([getUser(ctx), find(there, claim.invitationId)])
    if (!invitation || !profile) throw notFound("invitation")
    const isMember = member !== null && member.removedAt === null
    const refusal = refusalOf({ invitation, profile, isMember, user }, claim, ctx.now())
    if (refusal) {
      if (isEntered && !isMember) await forgetMembership(there, user.id)
      throw refusal
    }
    await enterInDirectory(there, user, claim, isMember)
    isEntered = true
    if (invitation.status === "pending") await join(there, user, { invitation, member })
    return {
      workspace: { id: profile.workspaceId, name: profile.name },
      role: isMember ? member.role : invitation.role,
    }
  })
}

type Found = { invitation: Invitation; profile: Profile; isMember: boolean; user: User }

/** Why an invitation cannot be accepted, if it cannot. */
function refusalOf({ invitation, profile, isMember, user }: Found, claim: Claim, now: number): DomainError | null {
  const conflict = (detail: string) => new DomainError("conflict", detail)
  if (invitation.email !== user.email) return conflict("This invitation is for another e-mail address")
  if (claim.generation === null && user.emailVerifiedAt === null) return notReceived()
  if (profile.deletedAt !== null) return new DomainError("not_found", "This workspace has been deleted")
  if (invitation.status === "accepted") {
    return isMember ? null : conflict("This invitation has been accepted already: ask for another one")
  }
  if (invitation.status === "revoked") return conflict("This invitation has been revoked")
  if (claim.generation !== null && claim.generation !== invitation.generation) {
    return conflict("This invitation was sent again: only the newest mail's token works")
  }
  if (invitation.expiresAt <= now) return conflict("This invitation has expired: ask for it to be sent again")
  return null
}

async function find({ db, workspaceId, actor }: Ctx, invitationId: string) {
  const { invitations, members, profiles } = db.tables
  const [[invitation], [profile], [member]] = await db.read(
    db.sql
      .select()
      .from(invitations)
      .where(and(eq(invitations.workspaceId, workspaceId), eq(invitations.id, invitationId))),
    db.sql.select().from(profiles).where(eq(profiles.workspaceId, workspaceId)),
    db.sql
      .select()
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId))),
  )
  return { invitation: invitation ?? null, profile: profile ?? null, member: member ?? null }
}

/** Where to look for the member, and that a token has proved their address. */
async function enterInDirectory(there: Ctx, user: User, { generation }: Claim, isMember: boolean): Promise<void> {
  const { db, workspaceId } = there
  const { memberships } = db.tables
  const at = there.now()
  const entry = db.sql.insert(memberships).values({ userId: user.id, workspaceId, createdAt: at })
  // One that was left behind by a removal is a new one from now on.
  const locator = isMember
    ? entry.onConflictDoNothing()
    : entry.onConflictDoUpdate({ target: [memberships.userId, memberships.workspaceId], set: { createdAt: at } })
  if (generation === null || user.emailVerifiedAt !== null) return db.write(locator)
  const note = { type: "user.email_verified", data: { email: user.email } }
  return saveUser(there, user, { emailVerifiedAt: at }, note, [locator])
}

/** The member and the accepted invitation: one commit, which the invitation entitles the actor to. */
async function join(
  there: Ctx,
  user: User,
  { invitation, member }: { invitation: Invitation; member: Member | null },
): Promise<void> {
  const at = there.now()
  const accepted = changeOfInvitation(invitation, "invitation.accepted", {
    before: { status: "pending" },
    after: { status: "accepted" },
  })
  const joining = member?.removedAt === null ? null : joinAs(there, user, { invitation, member }, at)
  try {
    await commit(there, {
      permission: "profile:write",
      at,
      rows: [
        ...(joining ? [joining.row] : []),
        replaceInvitation(there, invitation, { status: "accepted", updatedAt: at }),
      ],
      changes: [...(joining ? [joining.change] : []), accepted],
      answer: { kind: "empty" },
      isJoining: joining !== null,
    })
  } catch (error) {
    // Who was faster, on another device or in revoking or deleting, is seen by looking again.
    const isOutrun = error instanceof CommitRefused || (error instanceof DomainError && error.code === "forbidden")
    throw isOutrun ? new CommitRefused({ reason: "row" }, error) : error
  }
}

/** Adds a member, or brings back one who was removed. */
function joinAs(
  there: Ctx,
  { id: userId, name }: User,
  { invitation: { workspaceId, role }, member }: { invitation: Invitation; member: Member | null },
  at: number,
) {
  const { members } = there.db.tables
  const fresh: Member = { workspaceId, userId, role, name, revision: 0, createdAt: at, updatedAt: at, removedAt: null }
  const row = member
    ? replaceMember(there, member, { role, name, updatedAt: at, removedAt: null })
    : there.db.sql.insert(members).values({ ...fresh, revision: 1 })
  const change = changeOfMember(member ?? fresh, "member.added", { before: null, after: { name, role } })
  return { row, change }
}
