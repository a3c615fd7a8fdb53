import { and, asc, eq, gt, isNull, lte, ne } from "drizzle-orm"
import type { MemberQueryInput, MemberView } from "../contracts/members.ts"
import type { Statement } from "../db/sql.ts"
import { idPattern } from "../lib/ids.ts"
import { levels, type Role } from "../lib/roles.ts"
import { revokeKeysOf } from "./api-keys.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, noLongerMember, notFound } from "./errors.ts"
import { commit, commitNothing, untilUncontested } from "./events.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { changeOfMember, type Member, memberView, replaceMember } from "./member-rows.ts"
import { forbidden, type Permission, permit, permitSession } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"

/** Everybody in the workspace, by their id: in the order in which they registered. */
export async function listMembers(
  ctx: Ctx,
  { limit, cursor }: MemberQueryInput,
): Promise<{ data: MemberView[]; next: string | null }> {
  permit(ctx, "member:read")
  const list = `${ctx.workspaceId} members`
  const place = parseCursor(list, "string", cursor)
  const { db, workspaceId } = ctx
  const { members } = db.tables
  const [rows] = await db.read(
    db.sql
      .select()
      .from(members)
      .where(
        and(
          eq(members.workspaceId, workspaceId),
          isNull(members.removedAt),
          place ? gt(members.userId, place.id) : undefined,
        ),
      )
      .orderBy(asc(members.userId))
      .limit(limit + 1),
  )
  const page = cutRows(rows, limit, list, ({ userId }) => placeOfId(userId))
  return { data: page.rows.map(memberView), next: page.next }
}

/** A member, removed or not, and whether the workspace has an owner beside them. */
async function getMember(ctx: Ctx, userId: string): Promise<Member & { isOnlyOwner: boolean }> {
  if (!idPattern("user").test(userId)) throw notFound("member")
  const { db, workspaceId } = ctx
  const { members } = db.tables
  const [[member], others] = await db.read(
    db.sql
      .select()
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, userId))),
    db.sql
      .select({ userId: members.userId })
      .from(members)
      .where(and(isOwner(ctx), ne(members.userId, userId)))
      .limit(1),
  )
  if (!member) throw notFound("member")
  return { ...member, isOnlyOwner: member.role === "owner" && others.length === 0 }
}

const isOwner = ({ db: { tables }, workspaceId }: Ctx) =>
  and(eq(tables.members.workspaceId, workspaceId), eq(tables.members.role, "owner"), isNull(tables.members.removedAt))

const lastOwner = () =>
  new DomainError("conflict", "A workspace needs an owner: make somebody else one first, or delete the workspace")

/** Gives a member another role. Only owners make owners and unmake them; the last owner stays one. */
export async function changeRole(ctx: Ctx, userId: string, role: Role, expected: Expected): Promise<MemberView> {
  permit(ctx, "member:manage")
  return untilUncontested(async () => {
    const before = await getMember(ctx, userId)
    if (before.removedAt !== null) throw notFound("member")
    expectRevision(expected, before.revision)
    const { isOnlyOwner, ...member } = before
    const permission = takesOwner(member.role, role) ? "workspace:own" : "member:manage"
    permitOver(ctx, member, permission)
    if (member.role === role) {
      await commitNothing(ctx, permission, { kind: "changed", body: memberView(member) })
      return memberView(member)
    }
    if (isOnlyOwner) throw lastOwner()
    const at = ctx.now()
    const after: Member = { ...member, role, updatedAt: at, revision: member.revision + 1 }
    await commit(ctx, {
      permission,
      at,
      rows: [replaceMember(ctx, member, { role, updatedAt: at }), ...narrowed(ctx, after)],
      changes: [changeOfMember(member, "member.updated", { before: { role: member.role }, after: { role } })],
      answer: { kind: "changed", body: memberView(after) },
    })
    return memberView(after)
  })
}

/** Whether the actor may do this to that member. Of themselves the row tells more than their token. */
function permitOver({ actor }: Ctx, { userId, role }: Member, permission: Permission): void {
  permit({ actor: userId === actor.userId ? { ...actor, role } : actor }, permission)
}

const takesOwner = (...roles: Role[]) => roles.includes("owner")

/** A guest manages no project. */
function narrowed({ db, workspaceId }: Ctx, { userId, role }: Member): Statement[] {
  if (role !== "guest") return []
  const { projectMembers } = db.tables
  const ofMember = and(eq(projectMembers.workspaceId, workspaceId), eq(projectMembers.userId, userId))
  return [
    db.sql
      .update(projectMembers)
      .set({ level: levels.edit })
      .where(and(ofMember, gt(projectMembers.level, levels.edit))),
  ]
}

/**
 * Removes a member, or lets them leave. Their name stays where they are named; nothing they are assigned to changes.
 * Their sessions end with the next refresh; an access token lives out its ten minutes for reading, and writes nothing.
 */
export async function removeMember(ctx: Ctx, userId: string): Promise<void> {
  const isLeaving = userId === ctx.actor.userId
  if (isLeaving) permitSession(ctx.actor)
  permit(ctx, isLeaving ? "profile:write" : "member:manage")
  await untilUncontested(async () => {
    const { isOnlyOwner, ...member } = await getMember(ctx, userId)
    if (member.removedAt !== null) {
      // It may have been cut off before the directory knew; of who has come back since, it knows something newer.
      await forgetMembership(ctx, userId, member.removedAt)
      throw notFound("member")
    }
    const needed = takesOwner(member.role) ? "workspace:own" : "member:manage"
    const permission = isLeaving ? "profile:write" : needed
    permitOver(ctx, member, permission)
    if (isOnlyOwner) throw lastOwner()
    const at = ctx.now()
    const { projectMembers } = ctx.db.tables
    await commit(ctx, {
      permission,
      at,
      rows: [
        replaceMember(ctx, member, { updatedAt: at, removedAt: at }),
        revokeKeysOf(ctx, userId, at),
        ctx.db.sql
          .delete(projectMembers)
          .where(and(eq(projectMembers.workspaceId, ctx.workspaceId), eq(projectMembers.userId, userId))),
      ],
      changes: [
        changeOfMember(member, "member.removed", { before: { name: member.name, role: member.role }, after: null }),
      ],
      answer: { kind: "empty" },
    })
  })
  await forgetMembership(ctx, userId)
}

/** The directory's locator goes after the member: one that was left behind lets nobody in. */
export async function forgetMembership({ db, workspaceId }: Ctx, userId: string, until?: number): Promise<void> {
  const { memberships } = db.tables
  await db.write(
    db.sql
      .delete(memberships)
      .where(
        and(
          eq(memberships.userId, userId),
          eq(memberships.workspaceId, workspaceId),
          until === undefined ? undefined : lte(memberships.createdAt, until),
        ),
      ),
  )
}

/** The actor and another member, as they stand now. */
async function getHeir(ctx: Ctx, userId: string): Promise<{ owner: Member; heir: Member }> {
  if (!idPattern("user").test(userId)) throw notFound("member")
  const { db, workspaceId, actor } = ctx
  const { members } = db.tables
  const both = db.oneOf(members.userId, [userId, actor.userId])
  const [rows] = await db.read(
    db.sql
      .select()
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), isNull(members.removedAt), both)),
  )
  const owner = rows.find((row) => row.userId === actor.userId)
  const heir = rows.find((row) => row.userId === userId)
  if (!owner) throw noLongerMember(undefined)
  if (!heir) throw notFound("member")
  return { owner, heir }
}

/** Makes another member the owner and the actor an admin, in one step. */
export async function transferOwnership(ctx: Ctx, userId: string): Promise<MemberView> {
  permit(ctx, "workspace:own")
  return untilUncontested(async () => {
    const { owner, heir } = await getHeir(ctx, userId)
    if (owner.role !== "owner") throw forbidden("workspace:own")
    if (heir.userId === owner.userId) throw new DomainError("conflict", "You own it already")
    if (heir.role === "guest") throw new DomainError("conflict", "Make the guest a member first")
    const at = ctx.now()
    const after: Member = { ...heir, role: "owner", updatedAt: at, revision: heir.revision + 1 }
    await commit(ctx, {
      permission: "workspace:own",
      at,
      rows: [
        replaceMember(ctx, heir, { role: "owner", updatedAt: at }),
        replaceMember(ctx, owner, { role: "admin", updatedAt: at }),
      ],
      changes: [
        changeOfMember(heir, "member.updated", { before: { role: heir.role }, after: { role: "owner" } }),
        changeOfMember(owner, "member.updated", { before: { role: "owner" }, after: { role: "admin" } }),
      ],
      answer: { kind: "changed", body: memberView(after) },
    })
    return memberView(after)
  })
}
