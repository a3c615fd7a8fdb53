import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import type { ProjectionInput, TaskAnswerView, TaskPatchInput, TaskView } from "../contracts/tasks.ts"
import { CommitRefused } from "../db/commit.ts"
import type { Statement } from "../db/sql.ts"
import { idPattern } from "../lib/ids.ts"
import { accessTo, andVisible, expectAccess } from "./access.ts"
import { findMembers, insertAssignees, strangers } from "./assignees.ts"
import type { Ctx } from "./ctx.ts"
import { invalid, notFound } from "./errors.ts"
import { commit, commitNothing, type DomainChange, difference, type EventType, untilUncontested } from "./events.ts"
import { type Permission, permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import { dueSort, projectedView, type Task, taskSelection, taskView, whenColumns, wholeTask } from "./task-rows.ts"

const isClosed = ({ status }: Pick<Task, "status">) => status === "done" || status === "cancelled"

/** A task with the given fields changed; completing and reopening it follow from its status. */
export function applyPatch(task: Task, patch: TaskPatchInput, now: number): Task {
  const { start, due, revision: _expected, ...plain } = patch
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined))
  const changed: Task = { ...task, ...given, updatedAt: now, revision: task.revision + 1 }
  if (start !== undefined) {
    const { date, at } = whenColumns(start)
    Object.assign(changed, { startDate: date, startAt: at })
  }
  if (due !== undefined) {
    const columns = whenColumns(due)
    Object.assign(changed, { dueDate: columns.date, dueAt: columns.at, dueSort: dueSort(columns) })
  }
  if (changed.status !== task.status) changed.completedAt = changed.status === "done" ? now : null
  return changed
}

/** What the change of a task is called in the log. */
export function changeType(before: Pick<Task, "status">, after: Pick<Task, "status">): EventType {
  if (after.status === "done" && before.status !== "done") return "task.closed"
  if (isClosed(before) && !isClosed(after)) return "task.reopened"
  return "task.updated"
}

function isHere(ctx: Ctx, idOrKey: string): SQL | undefined {
  const { db, workspaceId } = ctx
  const { tasks, projects } = db.tables
  const named = idPattern("task").test(idOrKey) ? eq(tasks.id, idOrKey) : eq(tasks.key, idOrKey)
  const projectIsHere = sql`exists (select 1 from ${projects} p where p.workspace_id = ${tasks.workspaceId} and p.id = ${tasks.projectId} and p.deleted_at is null ${andVisible(ctx)})`
  return and(eq(tasks.workspaceId, workspaceId), named, isNull(tasks.deletedAt), projectIsHere)
}

const keyPattern = /^[A-Z][A-Z0-9]{1,15}-\d{1,15}$/

function mustNameTask(idOrKey: string): void {
  if (!idPattern("task").test(idOrKey) && !keyPattern.test(idOrKey)) throw notFound("task")
}

/** A task as the caller wants to see it. `seq` is where the log stood; null when the answer does not depend on it. */
export async function viewTask(
  ctx: Ctx,
  idOrKey: string,
  projection: ProjectionInput,
): Promise<{ task: TaskAnswerView; revision: number; seq: number | null }> {
  permit(ctx, "task:read")
  mustNameTask(idOrKey)
  const { db } = ctx
  const { tasks, heads } = db.tables
  const query = db.sql.select(taskSelection(db, projection)).from(tasks).where(isHere(ctx, idOrKey))
  const head = db.sql.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, ctx.workspaceId))
  const isBare = !(projection.fields || projection.include)
  const [[row], heading] = isBare ? [...(await db.read(query)), []] : await db.read(query, head)
  if (!row) throw notFound("task")
  return { task: projectedView(row, projection), revision: row.revision, seq: heading[0]?.seq ?? null }
}

/** A task that the actor sees and may use for `permission`. Throws `not_found` and `forbidden`. */
export async function getTask(ctx: Ctx, idOrKey: string, permission: Permission): Promise<Task> {
  permit(ctx, permission)
  mustNameTask(idOrKey)
  const { db } = ctx
  const { tasks } = db.tables
  const [[row]] = await db.read(
    db.sql
      .select({ ...wholeTask(db), ...accessTo(ctx, sql`${tasks.projectId}`) })
      .from(tasks)
      .where(isHere(ctx, idOrKey)),
  )
  if (!row) throw notFound("task")
  const { visibility, named, ...task } = row
  expectAccess(ctx, permission, { visibility, named }, "task")
  return { ...task, assigneeIds: JSON.parse(task.assigneeIds) as string[] }
}

export async function updateTask(
  ctx: Ctx,
  idOrKey: string,
  patch: TaskPatchInput,
  expected: Expected,
): Promise<TaskView> {
  return change(ctx, idOrKey, expected, "task:write", () => patch)
}

/** Marks a task as done. Closing a closed task changes nothing. */
export async function closeTask(ctx: Ctx, idOrKey: string, expected: Expected): Promise<TaskView> {
  return change(ctx, idOrKey, expected, "task:close", () => ({ status: "done" }))
}

/** Makes a done or cancelled task one to do. An open one stays as it is. */
export async function reopenTask(ctx: Ctx, idOrKey: string, expected: Expected): Promise<TaskView> {
  return change(ctx, idOrKey, expected, "task:close", (task) => (isClosed(task) ? { status: "todo" } : {}))
}

function change(
  ctx: Ctx,
  idOrKey: string,
  expected: Expected,
  permission: "task:write" | "task:close",
  decide: (task: Task) => TaskPatchInput,
): Promise<TaskView> {
  return untilUncontested(async () => {
    const before = await getTask(ctx, idOrKey, permission)
    expectRevision(expected, before.revision)
    const after = applyPatch(before, decide(before), ctx.now())
    const data = difference(taskView(before), taskView(after))
    if (Object.keys(data.after).length === 0) {
      await commitNothing(ctx, permission, { kind: "changed", body: taskView(before) })
      return taskView(before)
    }
    await save(ctx, permission, before, after, data)
    return taskView(after)
  })
}

async function save(
  ctx: Ctx,
  permission: "task:write" | "task:close",
  before: Task,
  after: Task,
  data: DomainChange["data"],
): Promise<void> {
  try {
    await commit(ctx, {
      permission,
      at: after.updatedAt,
      rows: [replaceTask(ctx, before, after), ...replaceAssignees(ctx, before, after)],
      changes: [changeOf(before, changeType(before, after), data)],
      answer: { kind: "changed", body: taskView(after) },
    })
  } catch (error) {
    if (error instanceof CommitRefused && error.refusal.reason === "not_null") {
      const [rows] = await ctx.db.read(findMembers(ctx, after.assigneeIds))
      const known = new Set([...before.assigneeIds, ...rows.map(({ id }) => id)])
      throw invalid(...strangers(after.assigneeIds, known, ""))
    }
    throw error
  }
}

/** Sets the columns that changed, and only those: an index whose columns are named is a billed row. */
function replaceTask(ctx: Ctx, before: Task, after: Task) {
  const { assigneeIds: _assignees, ...columns } = after
  const { tasks } = ctx.db.tables
  const changed = Object.entries(columns).filter(([name, value]) => value !== before[name as keyof Task])
  return ctx.db.sql
    .update(tasks)
    .set(Object.fromEntries(changed))
    .where(and(isHere(ctx, before.id), eq(tasks.revision, before.revision)))
}

/** Adds who is new and takes off who is not there any more: somebody who has left the workspace may stay assigned. */
function replaceAssignees(ctx: Ctx, before: Task, after: Task): Statement[] {
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

/** Hides a task. Its subtasks stay, with a parent that is no longer there. */
export async function deleteTask(ctx: Ctx, idOrKey: string, expected: Expected): Promise<void> {
  await untilUncontested(async () => {
    const before = await getTask(ctx, idOrKey, "task:write")
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const after = { ...before, assigneeIds: [], updatedAt: at, revision: before.revision + 1, deletedAt: at }
    await commit(ctx, {
      permission: "task:write",
      at,
      rows: [replaceTask(ctx, before, after), ...replaceAssignees(ctx, before, after)],
      changes: [changeOf(before, "task.deleted", { before: taskView(before), after: null })],
      answer: { kind: "empty" },
    })
  })
}

const changeOf = (before: Task, type: EventType, data: DomainChange["data"]): DomainChange => ({
  type,
  subject: "task",
  subjectId: before.id,
  revision: before.revision + 1,
  projectId: before.projectId,
  data,
})
