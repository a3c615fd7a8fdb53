import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import { idPattern, isTaskName } from "../lib/ids.ts"
import { accessTo, andVisible, expectAccess } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { type Permission, permit } from "./permissions.ts"
import { type Task, wholeTask } from "./task-rows.ts"

// Finding one task: by its id, by its key, or by a key that it had.

/** Whether a task is the one of this id, of this key, or once had this key. */
export function isHere(ctx: Ctx, idOrKey: string): SQL | undefined {
  const { db, workspaceId } = ctx
  const { tasks, projects, taskAliases } = db.tables
  const byKey = sql`(select k.id from ${tasks} k where k.workspace_id = ${workspaceId} and k.key = ${idOrKey})`
  const byAlias = sql`(select a.task_id from ${taskAliases} a where a.workspace_id = ${workspaceId} and a.key = ${idOrKey})`
  const named = idPattern("task").test(idOrKey)
    ? eq(tasks.id, idOrKey)
    : sql`${tasks.id} = coalesce(${byKey}, ${byAlias})`
  const projectIsHere = sql`exists (select 1 from ${projects} p where p.workspace_id = ${tasks.workspaceId} and p.id = ${tasks.projectId} and p.deleted_at is null ${andVisible(ctx)})`
  return and(eq(tasks.workspaceId, workspaceId), named, isNull(tasks.deletedAt), projectIsHere)
}

/** The id of the task that a text names, for a statement that looks for what belongs to it. */
export function idOfTask(ctx: Ctx, idOrKey: string): string | SQL {
  if (idPattern("task").test(idOrKey)) return idOrKey
  const { tasks } = ctx.db.tables
  return sql`(select ${tasks.id} from ${tasks} where ${isHere(ctx, idOrKey)})`
}

export function mustNameTask(idOrKey: string): void {
  if (!isTaskName(idOrKey)) throw notFound("task")
}

/** A task that the actor sees and may use for `permission`. Throws `not_found` and `forbidden`. */
export async function getTask(ctx: Ctx, idOrKey: string, permission: Permission): Promise<Task> {
  permit(ctx, permission)
  const [[row]] = await ctx.db.read(selectTask(ctx, idOrKey))
  return taskFrom(ctx, row, permission)
}

/** Brings a task for `taskFrom`. */
export function selectTask(ctx: Ctx, idOrKey: string) {
  mustNameTask(idOrKey)
  const { tasks } = ctx.db.tables
  return ctx.db.sql
    .select({ ...wholeTask(ctx.db), ...accessTo(ctx, sql`${tasks.projectId}`) })
    .from(tasks)
    .where(isHere(ctx, idOrKey))
}

type SelectedTask = Awaited<ReturnType<typeof selectTask>>[number]

/** A task that the actor sees and may use for `permission`. Throws `not_found` and `forbidden`. */
export function taskFrom(ctx: Ctx, row: SelectedTask | undefined, permission: Permission): Task {
  if (!row) throw notFound("task")
  const { visibility, named, ...task } = row
  expectAccess(ctx, permission, { visibility, named }, "task")
  const ids = { assigneeIds: JSON.parse(task.assigneeIds) as string[], labelIds: JSON.parse(task.labelIds) as string[] }
  return { ...task, ...ids }
}
