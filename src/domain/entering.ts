import { and, eq } from "drizzle-orm"
import { ReadOnly } from "../db/db.ts"
import type { Row } from "../db/tables.ts"
import type { Role } from "../lib/roles.ts"
import type { Base } from "./ctx.ts"
import { untilUncontested } from "./events.ts"
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
export function enter(ctx: Base, userId: string, workspaceId: string): Promise<Role | null> {
  return untilUncontested(async () => {
    const { user, workspace, profile, member } = await lookUp(ctx, userId, workspaceId)
    if (!user) return null
    const deletedAt = profile?.deletedAt ?? null
    if (deletedAt !== null) {
      if (workspace?.deletedAt === null) await unlessReadOnly(markDeleted({ db: ctx.db, workspaceId }, deletedAt))
      return null
    }
    if (member) return stay(ctx, member, user.name)
    // Created, and then cut off before its first commit.
    if (profile || workspace?.createdBy !== userId) return null
    await foundWorkspace(ctx, user, workspace)
    return "owner"
  })
}

/** The workspace shows the name that the user has by now: they may have changed it in another. */
async function stay(ctx: Base, member: Row<"members">, name: string): Promise<Role | null> {
  if (member.removedAt !== null) return null
  if (member.name !== name) await unlessReadOnly(renameMember(asMember(ctx, member), member, name))
  return member.role
}

async function lookUp({ db }: Base, userId: string, workspaceId: string) {
  const { members, profiles, users, workspaces } = db.tables
  const [[user], [workspace], [profile], [member]] = await db.read(
    db.sql.select({ id: users.id, name: users.name }).from(users).where(eq(users.id, userId)),
    db.sql.select().from(workspaces).where(eq(workspaces.id, workspaceId)),
    db.sql.select({ deletedAt: profiles.deletedAt }).from(profiles).where(eq(profiles.workspaceId, workspaceId)),
    db.sql
      .select()
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, userId))),
  )
  return { user, workspace, profile, member }
}

/** What can as well be done the next time does not keep anybody out. */
export async function unlessReadOnly(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof ReadOnly)) throw error
  }
}
