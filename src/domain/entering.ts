import { and, eq } from "drizzle-orm"
import type { Row } from "../db/tables.ts"
import type { Role } from "../lib/roles.ts"
import type { Base } from "./ctx.ts"
import { asMember, draftWorkspace, enterWorkspaceInDirectory, foundWorkspace } from "./founding.ts"
import { renameMember } from "./member-rows.ts"
import type { User } from "./user-rows.ts"
import { markDeleted } from "./workspaces.ts"

// On the way into a workspace the directory, which says where somebody may belong, meets the workspace, which decides.
// What a crash or another workspace has left for it to catch up with is caught up with here.

type Workspace = Pick<Row<"workspaces">, "id" | "name" | "inboxId">

/** The first workspace that lets the user in. Who is in none any more gets one of their own. */
export async function enterAny(ctx: Base, user: User, workspaces: Workspace[]) {
  for (const workspace of workspaces) {
    const role = await enter(ctx, user.id, workspace.id)
    if (role) return { workspace, role }
  }
  const workspace = draftWorkspace(ctx, `${user.name}'s workspace`)
  await ctx.db.write(...enterWorkspaceInDirectory(ctx, user.id, workspace, ctx.now()))
  await foundWorkspace(ctx, user, workspace)
  return { workspace, role: "owner" as const }
}

/** The user's role in a workspace, in one round trip; null for one that is deleted, or not theirs (any more). */
export async function enter(ctx: Base, userId: string, workspaceId: string): Promise<Role | null> {
  const found = await lookUp(ctx, userId, workspaceId)
  const { user, workspace, profile, member } = found
  if (!user) return null
  if (!profile && !member && workspace?.createdBy === userId && workspace.deletedAt === null) {
    // Created, and then cut off before its first commit.
    await foundWorkspace(ctx, user, workspace)
    return "owner"
  }
  await inPassing(catchUp(ctx, found))
  const isIn = profile?.deletedAt === null && member?.removedAt === null
  return isIn ? member.role : null
}

/** Brings the directory to what the workspace says, and the workspace to the name that the user has by now. */
async function catchUp(ctx: Base, { user, workspace, profile, member, locator }: Found): Promise<void> {
  if (!profile) return
  const { db } = ctx
  if (workspace && workspace.deletedAt !== profile.deletedAt) {
    await markDeleted({ db, workspaceId: workspace.id }, profile.deletedAt)
  }
  if (!(user && member) || member.removedAt !== null || profile.deletedAt !== null) return
  if (!locator) {
    const { memberships } = db.tables
    const row = { userId: user.id, workspaceId: member.workspaceId, createdAt: ctx.now() }
    await db.write(db.sql.insert(memberships).values(row).onConflictDoNothing())
  }
  if (member.name !== user.name) await renameMember(asMember(ctx, member), member, user.name)
}

type Found = Awaited<ReturnType<typeof lookUp>>

async function lookUp({ db }: Base, userId: string, workspaceId: string) {
  const { members, memberships, profiles, users, workspaces } = db.tables
  const [[user], [workspace], [locator], [profile], [member]] = await db.read(
    db.sql.select({ id: users.id, name: users.name }).from(users).where(eq(users.id, userId)),
    db.sql.select().from(workspaces).where(eq(workspaces.id, workspaceId)),
    db.sql
      .select({ workspaceId: memberships.workspaceId })
      .from(memberships)
      .where(and(eq(memberships.userId, userId), eq(memberships.workspaceId, workspaceId))),
    db.sql.select({ deletedAt: profiles.deletedAt }).from(profiles).where(eq(profiles.workspaceId, workspaceId)),
    db.sql
      .select()
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, userId))),
  )
  return { user, workspace, locator, profile, member }
}

/** For what can as well be done the next time: that it fails now keeps nobody out. */
export async function inPassing(work: Promise<void>): Promise<void> {
  await work.catch(() => undefined)
}
