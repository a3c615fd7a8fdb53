import { insertRows } from "../../src/db/rows.ts"
import type { NewRow, Tables } from "../../src/db/tables.ts"
import type { Caller } from "./caller.ts"
import { withDb } from "./database.ts"

// Rows straight into the tables, for tests that need more of them than the API makes in reasonable time. Nothing here
// writes events or moves the log's head.

type ProjectRow = NewRow<"projects">
type TaskRow = NewRow<"tasks">
type EventRow = NewRow<"events">

/** An id that sorts by `n`, and before every id that the API makes. */
const nthId = (prefix: string, n: number) => `${prefix}_${String(n).padStart(26, "0")}`
export const nthTask = (n: number) => nthId("tsk", n)
export const nthProject = (n: number) => nthId("prj", n)

export const nthLabel = (n: number) => nthId("lbl", n)

// D1 takes no parameter beyond 2 MB.
const perStatement = 3_000

export async function insertAll<Name extends keyof Tables>(name: Name, rows: NewRow<Name>[]): Promise<void> {
  await withDb(async (db) => {
    for (let from = 0; from < rows.length; from += perStatement) {
      await db.write(insertRows(db, db.tables[name], rows.slice(from, from + perStatement)))
    }
  })
}

export async function seedProjects(
  { workspaceId, userId }: Caller,
  count: number,
  describe: (n: number) => Partial<ProjectRow> = () => ({}),
): Promise<ProjectRow[]> {
  const rows = Array.from({ length: count }, (_, n) => ({
    workspaceId,
    id: nthProject(n),
    key: `SEED${n}`,
    name: `Project ${n}`,
    description: "",
    visibility: "workspace" as const,
    isInbox: false,
    taskCounter: 0,
    revision: 1,
    createdBy: userId,
    createdAt: n,
    updatedAt: n,
    deletedAt: null,
    ...describe(n),
  }))
  await insertAll("projects", rows)
  return rows
}

/** `count` labels, of which the names sort by `n`. */
export async function seedLabels({ workspaceId, userId }: Caller, count: number): Promise<NewRow<"labels">[]> {
  const rows = Array.from({ length: count }, (_, n) => ({
    workspaceId,
    id: nthLabel(n),
    name: `Label ${String(n).padStart(6, "0")}`,
    nameKey: `label ${String(n).padStart(6, "0")}`,
    color: "#1d4ed8",
    revision: 1,
    createdBy: userId,
    createdAt: n,
    updatedAt: n,
    deletedAt: null,
    mergedInto: null,
  }))
  await insertAll("labels", rows)
  return rows
}

type Seeded = Partial<TaskRow> & { assigneeIds?: string[]; labelIds?: string[] }

/** `count` tasks, in the Inbox and never due unless `describe` says otherwise. */
export async function seedTasks(
  { workspaceId, userId, inboxId }: Caller,
  count: number,
  describe: (n: number) => Seeded = () => ({}),
): Promise<TaskRow[]> {
  const seeded = Array.from({ length: count }, (_, n) => {
    const { assigneeIds = [], labelIds = [], ...described } = describe(n)
    const task: TaskRow = {
      workspaceId,
      id: nthTask(n),
      projectId: inboxId,
      parentId: null,
      key: `SEED-${n}`,
      title: `Task ${n}`,
      description: "",
      status: "todo",
      priority: 0,
      startDate: null,
      startAt: null,
      dueDate: null,
      dueAt: null,
      dueSort: described.dueAt ?? 8_640_000_000_000_000,
      position: "a0",
      revision: 1,
      createdBy: userId,
      createdAt: n,
      updatedAt: n,
      completedAt: null,
      deletedAt: null,
      ...described,
    }
    return { task, assigneeIds, labelIds }
  })
  const rows = seeded.map(({ task }) => task)
  await insertAll("tasks", rows)
  const assigned = seeded.flatMap(({ task: { id, dueSort }, assigneeIds }) =>
    assigneeIds.map((assigneeId) => ({ workspaceId, taskId: id, userId: assigneeId, dueSort })),
  )
  await insertAll("taskAssignees", assigned)
  const labelled = seeded.flatMap(({ task: { id }, labelIds }) =>
    labelIds.map((labelId) => ({ workspaceId, taskId: id, labelId })),
  )
  await insertAll("taskLabels", labelled)
  return rows
}

/** `count` events, numbered from 1 on. */
export async function seedEvents({ workspaceId, userId }: Caller, from: number, count: number): Promise<EventRow[]> {
  const rows = Array.from({ length: count }, (_, n) => ({
    workspaceId,
    seq: from + n,
    type: "task.created",
    subjectId: nthTask(n),
    subjectKey: null,
    actorRole: "owner",
    revision: 1,
    actorId: userId,
    source: "api",
    projectId: null,
    previousProjectId: null,
    commitId: `cmt_${n}`,
    data: { before: null, after: {} },
    at: n,
  }))
  await insertAll("events", rows)
  return rows
}
