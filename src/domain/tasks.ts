import { and, eq, or, type SQL } from "drizzle-orm"
import {
  assigneesAtMost,
  labelsAtMost,
  type ProjectionInput,
  type TaskAnswerView,
  type TaskPatchInput,
  type TaskView,
} from "../contracts/tasks.ts"
import { CommitRefused } from "../db/commit.ts"
import { explainAssignees, replaceAssignees } from "./assignees.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import type { EventType } from "./event-types.ts"
import { commit, commitNothing, type DomainChange, difference, untilUncontested } from "./events.ts"
import { rebase, type Since, selectSince } from "./merging.ts"
import { permit } from "./permissions.ts"
import { baseOf, type Expected, expectRevision, type Known } from "./revisions.ts"
import { explainLabels, replaceLabels } from "./task-labels.ts"
import { getTask, idOfTask, isHere, mustNameTask, selectTask, taskFrom } from "./task-lookup.ts"
import { explainParent, mayBeParent } from "./task-parents.ts"
import { dueSort, projectedView, type Task, taskSelection, taskView, whenColumns } from "./task-rows.ts"

export const isClosed = ({ status }: Pick<Task, "status">) => status === "done" || status === "cancelled"

/** A task with the given fields changed; completing and reopening it follow from its status. */
export function applyPatch(task: Task, patch: TaskPatchInput, now: number): Task {
  const { start, due, revision: _expected, base: _base, ...plain } = patch
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
  if (patch.assigneeIds) changed.assigneeIds = patch.assigneeIds.toSorted()
  if (patch.labelIds) changed.labelIds = patch.labelIds.toSorted()
  if (changed.status !== task.status) changed.completedAt = changed.status === "done" ? now : null
  return changed
}

/** What the change of a task is called in the log. */
export function changeType(before: Pick<Task, "status">, after: Pick<Task, "status">): EventType {
  if (after.status === "done" && before.status !== "done") return "task.closed"
  if (isClosed(before) && !isClosed(after)) return "task.reopened"
  return "task.updated"
}

/** A task as the caller wants to see it. */
export async function viewTask(
  ctx: Ctx,
  idOrKey: string,
  projection: ProjectionInput,
): Promise<{ task: TaskAnswerView; revision: number }> {
  permit(ctx, "task:read")
  mustNameTask(idOrKey)
  const { db } = ctx
  const { tasks } = db.tables
  const [[row]] = await db.read(
    db.sql
      .select(taskSelection(db, projection, ctx.actor))
      .from(tasks)
      .where(isHere(ctx, idOrKey)),
  )
  if (!row) throw notFound("task")
  return { task: projectedView(row, projection), revision: row.revision }
}

/** Changes a task. What was written against an older one is merged with what has happened since. */
export async function updateTask(ctx: Ctx, idOrKey: string, patch: TaskPatchInput, known: Known): Promise<TaskView> {
  return change(ctx, idOrKey, known, "task:write", (task, since) => {
    // As it would look: a time may have been sent in another zone.
    const wanted = pick(taskView(applyPatch(task, patch, 0)), Object.keys(patch))
    return rebase(known, taskView(task), since, baseOf(known) === null ? patch : wanted, sets)
  })
}

const sets = { assigneeIds: assigneesAtMost, labelIds: labelsAtMost }

const pick = (view: TaskView, names: string[]): TaskPatchInput =>
  Object.fromEntries(Object.entries(view).filter(([name]) => names.includes(name)))

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
  known: Known,
  permission: "task:write" | "task:close",
  decide: (task: Task, since: Since[]) => TaskPatchInput,
): Promise<TaskView> {
  permit(ctx, permission)
  return untilUncontested(async () => {
    const [[row], ...since] = await ctx.db.read(
      selectTask(ctx, idOrKey),
      ...selectSince(ctx, idOfTask(ctx, idOrKey), known),
    )
    const before = taskFrom(ctx, row, permission)
    expectRevision(known, before.revision)
    const patch = decide(before, since.flat())
    const after = applyPatch(before, patch, ctx.now())
    // By role and level it is included; a key may have been given the one and not the other.
    if (changeType(before, after) !== "task.updated") permit(ctx, "task:close")
    const data = difference(taskView(before), taskView(after))
    if (Object.keys(data.after).length === 0) {
      await commitNothing(ctx, permission, { kind: "changed", body: taskView(before) })
      return taskView(before)
    }
    try {
      await save(ctx, permission, before, after, data)
    } catch (error) {
      if (error instanceof CommitRefused) await explainRefusal(ctx, error, before, after, patch)
      throw error
    }
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
  await commit(ctx, {
    permission,
    at: after.updatedAt,
    rows: [
      replaceTask(ctx, before, after),
      ...replaceAssignees(ctx, before, after),
      ...replaceLabels(ctx, before, after),
    ],
    changes: [changeOfTask(before, changeType(before, after), data)],
    answer: { kind: "changed", body: taskView(after) },
  })
}

/** Throws what the caller can mend, or that it was a race. Pointers go by the order in which the caller named things. */
async function explainRefusal(
  ctx: Ctx,
  refused: CommitRefused,
  before: Task,
  after: Task,
  { assigneeIds = after.assigneeIds, labelIds = after.labelIds }: TaskPatchInput,
): Promise<void> {
  const isHung = refused.refusal.reason === "row" && after.parentId !== before.parentId
  if (isHung) await explainParent(ctx, before, after.parentId)
  const isOfLabels = "table" in refused.refusal && refused.refusal.table === "task_labels"
  if (isOfLabels) await explainLabels(ctx, refused, labelIds)
  await explainAssignees(ctx, refused, before, assigneeIds)
}

/** Sets the columns that changed, and only those: an index whose columns are named is a billed row. */
export function replaceTask(ctx: Ctx, before: Task, after: Task, condition?: SQL) {
  const { assigneeIds: _assignees, labelIds: _labels, ...columns } = after
  const { tasks } = ctx.db.tables
  const changed = Object.entries(columns).filter(([name, value]) => value !== before[name as keyof Task])
  return ctx.db.sql
    .update(tasks)
    .set(Object.fromEntries(changed))
    .where(
      and(
        isHere(ctx, before.id),
        eq(tasks.revision, before.revision),
        after.parentId !== before.parentId && after.parentId ? mayBeParent(ctx, before, after.parentId) : undefined,
        condition,
      ),
    )
}

/** Hides a task. Its subtasks stay, with a parent that is no longer there. */
export async function deleteTask(ctx: Ctx, idOrKey: string, expected: Expected): Promise<void> {
  await untilUncontested(async () => {
    const before = await getTask(ctx, idOrKey, "task:write")
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const nothing = { assigneeIds: [], labelIds: [] }
    const after = { ...before, ...nothing, updatedAt: at, revision: before.revision + 1, deletedAt: at }
    await commit(ctx, {
      permission: "task:write",
      at,
      rows: [
        replaceTask(ctx, before, after),
        ...replaceAssignees(ctx, before, after),
        ...replaceLabels(ctx, before, after),
        forgetRelations(ctx, before.id),
      ],
      changes: [changeOfTask(before, "task.deleted", { before: taskView(before), after: null })],
      answer: { kind: "empty" },
    })
  })
}

/** Whatever a deleted task blocked is free, and nobody could end the relation any more. */
function forgetRelations({ db, workspaceId }: Ctx, id: string) {
  const { taskRelations: r } = db.tables
  return db.sql.delete(r).where(and(eq(r.workspaceId, workspaceId), or(eq(r.taskId, id), eq(r.otherId, id))))
}

export const changeOfTask = (before: Task, type: EventType, data: DomainChange["data"]): DomainChange => ({
  type,
  subject: "task",
  subjectId: before.id,
  revision: before.revision + 1,
  projectId: before.projectId,
  data,
})
