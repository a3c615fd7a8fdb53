import { and, eq, isNull, sql } from "drizzle-orm"
import type { NewTaskInput, TaskView } from "../contracts/tasks.ts"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import { positionAtEnd } from "../lib/positions.ts"
import { sees } from "./access.ts"
import { findAssignable, insertAssignees, strangers } from "./assignees.ts"
import { explainTaken } from "./chosen-ids.ts"
import type { Ctx } from "./ctx.ts"
import { type FieldError, invalid } from "./errors.ts"
import { commit, type DomainChange, ProjectHidden, untilUncontested } from "./events.ts"
import { permit } from "./permissions.ts"
import { findLabels, insertLabels, strayLabels } from "./task-labels.ts"
import { isLowest, tooLow } from "./task-parents.ts"
import { dueSort, type Task, taskView, whenColumns } from "./task-rows.ts"

export async function createTask(ctx: Ctx, input: NewTaskInput): Promise<TaskView> {
  const [task] = await createAll(ctx, [input], "created", "")
  if (!task) throw new TypeError("A commit of one task wrote none")
  return task
}

/** Up to 100 tasks in one commit: all or none, one event each. */
export async function createTasks(ctx: Ctx, inputs: NewTaskInput[]): Promise<TaskView[]> {
  return createAll(ctx, inputs, "created_many", "/tasks/{}")
}

type Draft = Task & { workspaceId: string; deletedAt: null; ahead: number }

/** `pointer` is where an input stands in the request's body; `{}` is its index. */
async function createAll(
  ctx: Ctx,
  inputs: NewTaskInput[],
  kind: "created" | "created_many",
  pointer: string,
): Promise<TaskView[]> {
  permit(ctx, "task:write")
  const at = ctx.now()
  const drafts = draftTasks(ctx, inputs, at)
  return untilUncontested(async () => {
    try {
      const { subjects } = await commit(ctx, {
        permission: "task:write",
        at,
        rows: insertTasks(ctx, drafts),
        changes: drafts.map(taskCreated),
        answer: { kind },
      })
      const keys = new Map(subjects.map(({ id, key }) => [id, key ?? ""]))
      return drafts.map((draft) => taskView({ ...draft, key: keys.get(draft.id) ?? "" }))
    } catch (error) {
      await explainTaken(ctx, "task", error, inputs, pointer)
      // Where the commit stumbled is asked for only now; if all is there after all, it was a race.
      const hidden = error instanceof ProjectHidden ? error.projectIds : new Set<string>()
      if (error instanceof CommitRefused || hidden.size > 0) await explainRefusedTasks(ctx, inputs, pointer, hidden)
      throw error
    }
  })
}

function draftTasks(ctx: Ctx, inputs: NewTaskInput[], at: number): Draft[] {
  const inProject = new Map<string, number>()
  for (const { projectId } of inputs) inProject.set(projectId, (inProject.get(projectId) ?? 0) + 1)
  return inputs.map((input, index) => {
    const ahead = (inProject.get(input.projectId) ?? 1) - 1
    inProject.set(input.projectId, ahead)
    const start = whenColumns(input.start)
    const due = whenColumns(input.due)
    const { projectId, parentId, title, description, status, priority, assigneeIds, labelIds } = input
    return {
      workspaceId: ctx.workspaceId,
      id: input.id ?? ctx.newId("task"),
      key: "",
      projectId,
      parentId,
      title,
      description,
      status,
      priority,
      assigneeIds: assigneeIds.toSorted(),
      labelIds: labelIds.toSorted(),
      startDate: start.date,
      startAt: start.at,
      dueDate: due.date,
      dueAt: due.at,
      dueSort: dueSort(due),
      position: input.position ?? positionAtEnd(at, index),
      revision: 1,
      createdBy: ctx.actor.userId,
      createdAt: at,
      updatedAt: at,
      completedAt: status === "done" ? at : null,
      deletedAt: null,
      ahead,
    }
  })
}

function insertTasks(ctx: Ctx, drafts: Draft[]): Statement[] {
  const { db } = ctx
  const { projects, tasks } = db.tables
  const { given } = db
  const perProject = [...Map.groupBy(drafts, (draft) => draft.projectId)].map(([projectId, group]) => ({
    projectId,
    count: group.length,
  }))
  const counted = db.givenRows(perProject, { projectId: "text", count: "integer" })
  const assigned = drafts.flatMap(({ id, assigneeIds, dueSort }) =>
    assigneeIds.map((userId) => ({ workspaceId: ctx.workspaceId, taskId: id, userId, dueSort })),
  )
  const labelled = drafts.flatMap(({ id, labelIds }) => labelIds.map((labelId) => ({ taskId: id, labelId })))
  return [
    // Numbers are handed out here, in the commit: two creators queue for the row, and no number is lost or doubled.
    db.sql
      .update(projects)
      .set({
        taskCounter: sql`${projects.taskCounter} + (select ${given("count")} from ${counted} where ${given("projectId")} = ${projects.id})`,
      })
      .where(
        and(
          eq(projects.workspaceId, ctx.workspaceId),
          db.oneOf(
            projects.id,
            perProject.map(({ projectId }) => projectId),
          ),
          isNull(projects.deletedAt),
        ),
      ),
    insertRows(db, tasks, drafts, {
      fields: { ahead: "integer" },
      computed: { key: sql`p.key || '-' || (p.task_counter - ${given("ahead")})` },
      tail: sql`${db.joinInOrder} ${projects} p on p.workspace_id = ${ctx.workspaceId} and p.id = ${given("projectId")} and p.deleted_at is null where ${given("parentId")} is null or exists (select 1 from ${tasks} parent where parent.workspace_id = ${ctx.workspaceId} and parent.id = ${given("parentId")} and parent.project_id = ${given("projectId")} and parent.deleted_at is null) and not ${isLowest(ctx, given("parentId"))}`,
    }),
    ...(assigned.length > 0 ? [insertAssignees(ctx, assigned)] : []),
    ...(labelled.length > 0 ? [insertLabels(ctx, labelled)] : []),
  ]
}

function taskCreated(draft: Draft): DomainChange {
  const { key: _key, ...after } = taskView(draft)
  const { id, revision, projectId } = draft
  return { type: "task.created", subject: "task", subjectId: id, revision, projectId, data: { before: null, after } }
}

/** Throws `invalid_input` naming every project, parent, assignee and label that is not there. */
async function explainRefusedTasks(
  ctx: Ctx,
  inputs: NewTaskInput[],
  pointer: string,
  hidden: ReadonlySet<string>,
): Promise<void> {
  const { sql: db, tables, oneOf } = ctx.db
  const { projects, tasks } = tables
  const parentIds = inputs.flatMap(({ parentId }) => parentId ?? [])
  const projectIds = inputs.map(({ projectId }) => projectId)
  const userIds = inputs.flatMap(({ assigneeIds }) => assigneeIds)
  const labelIds = inputs.flatMap((input) => input.labelIds)
  const [projectRows, parentRows, people, named, found] = await ctx.db.read(
    db
      .select({ id: projects.id, visibility: projects.visibility })
      .from(projects)
      .where(
        and(
          eq(projects.workspaceId, ctx.workspaceId),
          isNull(projects.deletedAt),
          oneOf(projects.id, projectIds),
          // Of a project that the actor does not see, nothing is told: not who else does either.
          sees(ctx, { id: sql`${projects.id}`, visibility: sql`${projects.visibility}` }) ?? undefined,
        ),
      ),
    db
      .select({
        id: tasks.id,
        projectId: tasks.projectId,
        isLowest: sql<number | boolean>`${isLowest(ctx, sql`${tasks.id}`)}`.as("is_lowest"),
      })
      .from(tasks)
      .where(and(eq(tasks.workspaceId, ctx.workspaceId), isNull(tasks.deletedAt), oneOf(tasks.id, parentIds))),
    ...findAssignable(ctx, userIds, projectIds),
    findLabels(ctx, labelIds),
  )
  const projectsById = new Map(projectRows.map((project) => [project.id, project]))
  const parents = new Map(parentRows.map((parent) => [parent.id, parent]))

  const errors = inputs.flatMap((input, index): FieldError[] => {
    const at = pointer.replace("{}", String(index))
    const project = projectsById.get(input.projectId)
    if (!project || hidden.has(project.id)) return [{ pointer: `${at}/projectId`, detail: "There is no such project" }]
    return [
      ...unfitParent(input, parents, `${at}/parentId`),
      ...strangers(input.assigneeIds, project, { people, named }, at),
      ...strayLabels(input.labelIds, found, at),
    ]
  })
  if (errors.length > 0) throw invalid(...errors)
}

type Parent = { projectId: string; isLowest: number | boolean }

/** What keeps a new task from its parent. */
function unfitParent(input: NewTaskInput, parents: Map<string, Parent>, pointer: string): FieldError[] {
  if (input.parentId === null) return []
  const parent = parents.get(input.parentId)
  if (parent?.projectId !== input.projectId) return [{ pointer, detail: "There is no such task in this project" }]
  return parent.isLowest ? [{ pointer, detail: tooLow }] : []
}
