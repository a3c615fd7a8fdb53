import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { Role } from "../lib/roles.ts"
import { levelIn, rolesInOpenProjects, type Visibility } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { type FieldError, invalid } from "./errors.ts"
import type { Task } from "./task-rows.ts"

export type Assigned = { workspaceId: string; taskId: string; userId: string; dueSort: number }

/** Whether the member `m` sees the project `p`, for a statement that has rows of these names. */
export function memberSees({ db, workspaceId }: Pick<Ctx, "db" | "workspaceId">): SQL {
  const { projectMembers } = db.tables
  const isNamed = sql`(select 1 from ${projectMembers} n where n.workspace_id = ${workspaceId} and n.project_id = p.id and n.user_id = m.user_id) is not null`
  return sql`(m.role = 'owner' or (p.visibility = 'workspace' and ${db.oneOf(sql`m.role`, rolesInOpenProjects("view"))}) or ${isNamed})`
}

/** Only members who see the task's project can be assigned: for anybody else `user_id` comes out null, which refuses the commit. */
export function insertAssignees(ctx: Ctx, rows: Assigned[]) {
  const { db, workspaceId } = ctx
  const { members, projects, taskAssignees, tasks } = db.tables
  const member = sql`(select m.user_id from ${members} m join ${tasks} t on t.workspace_id = ${workspaceId} and t.id = ${db.given("taskId")} join ${projects} p on p.workspace_id = ${workspaceId} and p.id = t.project_id where m.workspace_id = ${workspaceId} and m.user_id = ${db.given("userId")} and m.removed_at is null and ${memberSees(ctx)})`
  return insertRows(db, taskAssignees, rows, { computed: { userId: member } })
}

/** Which of the users are members, and to which of the projects they are named. */
export function findAssignable({ db, workspaceId }: Ctx, userIds: string[], projectIds: string[]) {
  const { members, projectMembers } = db.tables
  const people = db.sql
    .select({ id: members.userId, role: members.role })
    .from(members)
    .where(and(eq(members.workspaceId, workspaceId), isNull(members.removedAt), db.oneOf(members.userId, userIds)))
  const named = db.sql
    .select({ projectId: projectMembers.projectId, userId: projectMembers.userId, level: projectMembers.level })
    .from(projectMembers)
    .where(
      and(
        eq(projectMembers.workspaceId, workspaceId),
        db.oneOf(projectMembers.projectId, projectIds),
        db.oneOf(projectMembers.userId, userIds),
      ),
    )
  return [people, named] as const
}

/** What deciding about access to a project takes. */
export function findProject({ db, workspaceId }: Ctx, id: string) {
  const { projects } = db.tables
  return db.sql
    .select({ id: projects.id, visibility: projects.visibility })
    .from(projects)
    .where(and(eq(projects.workspaceId, workspaceId), eq(projects.id, id), isNull(projects.deletedAt)))
}

type Assignable = {
  people: { id: string; role: Role }[]
  named: { projectId: string; userId: string; level: number }[]
  /** Who is assigned already: they stay, whatever they see by now. */
  kept?: ReadonlySet<string>
}

/** An error for each assignee who is no member or does not see the project; `at` points to what they were to be assigned to. */
export function strangers(
  assigneeIds: string[],
  project: { id: string; visibility: Visibility },
  { people, named, kept }: Assignable,
  at: string,
): FieldError[] {
  const roles = new Map(people.map(({ id, role }) => [id, role]))
  const levels = new Map(
    named.filter(({ projectId }) => projectId === project.id).map((row) => [row.userId, row.level]),
  )
  return assigneeIds.flatMap((id, index) => {
    const pointer = `${at}/assigneeIds/${index}`
    if (kept?.has(id)) return []
    const role = roles.get(id)
    if (!role) return [{ pointer, detail: "There is no such member" }]
    const level = levelIn(role, { visibility: project.visibility, named: levels.get(id) ?? null })
    return level === 0 ? [{ pointer, detail: "cannot see this project" }] : []
  })
}

/** Adds who is new and takes off who is not there any more: somebody who has left the workspace may stay assigned. */
export function replaceAssignees(ctx: Ctx, before: Task, after: Task): Statement[] {
  const { db, workspaceId } = ctx
  const { taskAssignees } = db.tables
  const ofTask = and(eq(taskAssignees.workspaceId, workspaceId), eq(taskAssignees.taskId, before.id))
  const added = after.assigneeIds.filter((id) => !before.assigneeIds.includes(id))
  const gone = before.assigneeIds.filter((id) => !after.assigneeIds.includes(id))
  const isMoved = after.dueSort !== before.dueSort && before.assigneeIds.length > gone.length
  const rows = added.map((userId) => ({ workspaceId, taskId: before.id, userId, dueSort: after.dueSort }))
  return [
    ...(gone.length > 0 ? [db.sql.delete(taskAssignees).where(and(ofTask, db.oneOf(taskAssignees.userId, gone)))] : []),
    ...(isMoved ? [db.sql.update(taskAssignees).set({ dueSort: after.dueSort }).where(ofTask)] : []),
    ...(rows.length > 0 ? [insertAssignees(ctx, rows)] : []),
  ]
}

/** Throws which of the assignees cannot be that, or that the commit met another. Pointers go by the caller's order. */
export async function explainAssignees(
  ctx: Ctx,
  { refusal, cause }: CommitRefused,
  before: Pick<Task, "projectId" | "assigneeIds">,
  assigneeIds: string[],
): Promise<void> {
  const race = new CommitRefused({ reason: "row" }, cause)
  // Somebody has assigned them in the same moment.
  if (refusal.reason === "unique") throw race
  if (refusal.reason !== "not_null") return
  const [[project], people, named] = await ctx.db.read(
    findProject(ctx, before.projectId),
    ...findAssignable(ctx, assigneeIds, [before.projectId]),
  )
  const kept = new Set(before.assigneeIds)
  const errors = project ? strangers(assigneeIds, project, { people, named, kept }, "") : []
  throw errors.length > 0 ? invalid(...errors) : race
}
