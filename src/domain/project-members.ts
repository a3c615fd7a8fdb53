import { and, asc, eq, gt, isNull, sql } from "drizzle-orm"
import type { ProjectMemberView } from "../contracts/projects.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { NewRow, Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import { type Level, levelNames, levels, type Role } from "../lib/roles.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { invalid, notFound } from "./errors.ts"
import { asRace, commit, commitNothing, type DomainChange, untilUncontested } from "./events.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { permit } from "./permissions.ts"
import { expectProject, getProjectRow, replaceProject, selectProject } from "./projects.ts"

// Who is named to a project. Naming is a change of the project: its log tells who could see what, since when.

type Named = Row<"projectMembers">

/** Only members can be named: for anybody else `user_id` comes out null, which refuses the commit. */
export function nameToProject({ db, workspaceId }: Ctx, row: Omit<NewRow<"projectMembers">, "workspaceId">) {
  const { members, projectMembers } = db.tables
  const member = sql`(select m.user_id from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${db.given("userId")} and m.removed_at is null and (m.role <> 'guest' or ${db.given("level")} < ${levels.manage}))`
  return insertRows(db, projectMembers, [{ ...row, workspaceId }], {
    fields: { level: "integer" },
    computed: { userId: member },
  })
}

/** Names the actor to a project as one who manages it, whether or not they were named before. */
export function manageMyself(ctx: Ctx, projectId: string, at: number): Statement[] {
  const { userId } = ctx.actor
  return [
    unname(ctx, projectId, userId),
    nameToProject(ctx, { projectId, userId, level: levels.manage, createdAt: at }),
  ]
}

const unname = (ctx: Ctx, projectId: string, userId: string) =>
  ctx.db.sql.delete(ctx.db.tables.projectMembers).where(isNamed(ctx, projectId, userId))

const levelName = (level: number): Level => levelNames[level - 1] ?? "view"

type Listed = Pick<Named, "userId" | "level" | "createdAt"> & Pick<Row<"members">, "name" | "role">

const view = ({ userId, name, role, level, createdAt }: Listed): ProjectMemberView => ({
  userId,
  name,
  role,
  level: levelName(level),
  createdAt: rfc3339(createdAt),
})

/** The people named to a project that the actor sees, by their id. */
export async function listProjectMembers(
  ctx: Ctx,
  projectId: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ data: ProjectMemberView[]; next: string | null }> {
  permit(ctx, "project:read")
  const list = `${ctx.workspaceId} ${projectId} members`
  const place = parseCursor(list, "string", cursor)
  const { db, workspaceId } = ctx
  const { members, projectMembers } = db.tables
  const ofMember = sql`from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${projectMembers.userId}`
  const [[project], rows] = await db.read(
    selectProject(ctx, projectId),
    db.sql
      .select({
        userId: projectMembers.userId,
        level: projectMembers.level,
        createdAt: projectMembers.createdAt,
        // Looked up for the page, and not joined: a plan may join from whichever side it likes.
        name: sql<string>`(select m.name ${ofMember})`.as("name"),
        role: sql<Role>`(select m.role ${ofMember})`.as("role"),
      })
      .from(projectMembers)
      .where(
        and(
          eq(projectMembers.workspaceId, workspaceId),
          eq(projectMembers.projectId, projectId),
          place ? gt(projectMembers.userId, place.id) : undefined,
        ),
      )
      .orderBy(asc(projectMembers.userId))
      .limit(limit + 1),
  )
  expectProject(ctx, project, "project:read")
  const page = cutRows(rows, limit, list, (row) => placeOfId(row.userId))
  return { data: page.rows.map(view), next: page.next }
}

async function findNamed(ctx: Ctx, projectId: string, userId: string) {
  if (!idPattern("user").test(userId)) throw notFound("member")
  const { db, workspaceId } = ctx
  const { members, projectMembers } = db.tables
  const [[member], [named]] = await db.read(
    db.sql
      .select({ name: members.name, role: members.role })
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, userId), isNull(members.removedAt))),
    db.sql
      .select()
      .from(projectMembers)
      .where(isNamed(ctx, projectId, userId)),
  )
  return { member, named }
}

function isNamed({ db, workspaceId }: Ctx, projectId: string, userId: string) {
  const { projectMembers } = db.tables
  return and(
    eq(projectMembers.workspaceId, workspaceId),
    eq(projectMembers.projectId, projectId),
    eq(projectMembers.userId, userId),
  )
}

/** Names a member to a project, or gives them another level there. A guest can have `edit` at most. */
export async function nameMember(
  ctx: Ctx,
  projectId: string,
  userId: string,
  level: Level,
): Promise<ProjectMemberView> {
  return untilUncontested(async () => {
    const project = await getProjectRow(ctx, projectId, "project:manage")
    const { member, named } = await findNamed(ctx, projectId, userId)
    if (!member) throw notFound("member")
    if (member.role === "guest" && level === "manage") {
      throw invalid({ pointer: "/level", detail: "a guest can have edit at most" })
    }
    const at = ctx.now()
    const row = { projectId, userId, level: levels[level], createdAt: named?.createdAt ?? at }
    const answer = { kind: "changed", body: { ...view({ ...row, ...member }) } } as const
    if (named?.level === row.level) {
      await commitNothing(ctx, "project:manage", answer)
      return view({ ...row, ...member })
    }
    const change: DomainChange = {
      type: named ? "project.member_updated" : "project.member_added",
      subject: "project",
      subjectId: projectId,
      revision: project.revision + 1,
      projectId,
      data: {
        before: named ? { userId, level: levelName(named.level) } : null,
        after: { userId, level },
      },
    }
    // They may be removed, made a guest, or named by another in the same moment.
    await asRace(
      commit(ctx, {
        permission: "project:manage",
        at,
        rows: [
          replaceProject(ctx, project, { updatedAt: at }),
          ...(named ? [unname(ctx, projectId, userId)] : []),
          nameToProject(ctx, row),
        ],
        changes: [change],
        answer,
      }),
      ["not_null", "unique"],
    )
    return view({ ...row, ...member })
  })
}

/** Takes a name off a project; whoever manages it may, and everybody may take off their own. */
export async function unnameMember(ctx: Ctx, projectId: string, userId: string): Promise<void> {
  await untilUncontested(async () => {
    const permission = userId === ctx.actor.userId ? "project:read" : "project:manage"
    const project = await getProjectRow(ctx, projectId, permission)
    const { named } = await findNamed(ctx, projectId, userId)
    if (!named) throw notFound("member of this project")
    const at = ctx.now()
    const change: DomainChange = {
      type: "project.member_removed",
      subject: "project",
      subjectId: projectId,
      revision: project.revision + 1,
      projectId,
      data: { before: { userId, level: levelName(named.level) }, after: null },
    }
    await commit(ctx, {
      permission,
      at,
      rows: [replaceProject(ctx, project, { updatedAt: at }), unname(ctx, projectId, userId)],
      changes: [change],
      answer: { kind: "empty" },
    })
  })
}
