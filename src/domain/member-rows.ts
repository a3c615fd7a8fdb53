import { and, eq, isNull, sql } from "drizzle-orm"
import type { MemberView } from "../contracts/members.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { avatarUrl } from "../lib/avatar.ts"
import type { Level } from "../lib/roles.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { asRace, commit, type DomainChange, type Work } from "./events.ts"
import type { Permission } from "./permissions.ts"

// How a member stands in the database and in the log.

export type Member = Row<"members">

export const memberView = ({ userId, name, role, revision, createdAt, updatedAt }: Member): MemberView => ({
  userId,
  name,
  avatarUrl: avatarUrl(userId, name),
  role,
  revision,
  createdAt: rfc3339(createdAt),
  updatedAt: rfc3339(updatedAt),
})

/** The actor's row as a member. */
export function selectMyself({ db, workspaceId, actor }: Ctx) {
  const { members } = db.tables
  return db.sql
    .select()
    .from(members)
    .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId), isNull(members.removedAt)))
}

/** Gives a member another name in their workspace. */
export async function renameMember(
  ctx: Ctx,
  member: Member,
  name: string,
  body?: Record<string, unknown>,
): Promise<void> {
  const at = ctx.now()
  await commit(ctx, {
    permission: "profile:write",
    at,
    rows: [replaceMember(ctx, member, { name, updatedAt: at })],
    changes: [changeOfMember(member, "member.updated", { before: { name: member.name }, after: { name } })],
    answer: { kind: "changed", ...(body && { body }) },
  })
}

/**
 * Writes a member's next state. That an owner remains is a condition of the statement: of two who unmake each other in
 * the same moment, the second finds the first one's change.
 */
export function replaceMember(ctx: Ctx, before: Member, set: Partial<Member>): Statement {
  const { db, workspaceId } = ctx
  const { members } = db.tables
  const stays = set.removedAt === undefined && (set.role === undefined || set.role === "owner")
  const another = sql`exists (select 1 from ${members} o where o.workspace_id = ${workspaceId} and o.role = 'owner' and o.removed_at is null and o.user_id <> ${before.userId})`
  return db.sql
    .update(members)
    .set({ ...set, revision: before.revision + 1 })
    .where(
      and(
        eq(members.workspaceId, workspaceId),
        eq(members.userId, before.userId),
        eq(members.revision, before.revision),
        stays || before.role !== "owner" ? undefined : another,
      ),
    )
}

export const changeOfMember = (
  before: Member,
  type: DomainChange["type"],
  data: DomainChange["data"],
): DomainChange => ({
  type,
  subject: "member",
  subjectId: before.userId,
  revision: before.revision + 1,
  projectId: null,
  data,
})

type Mine = {
  permission: Permission
  about: { projectId: string; level: Level }
  at: number
  row: Statement
  change: DomainChange
  answer?: Work["answer"]
}

/** Commits a row that is the actor's alone. That it is there already is the work of the same person a moment ago. */
export async function commitMine(
  ctx: Ctx,
  me: Member,
  { row, change, answer = { kind: "empty" }, ...work }: Mine,
): Promise<void> {
  const rows = [replaceMember(ctx, me, {}), row]
  await asRace(commit(ctx, { ...work, rows, changes: [change], answer }))
}
