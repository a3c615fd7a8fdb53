import { count, type SQL, sql } from "drizzle-orm"
import {
  type ProjectionInput,
  type TaskAnswerView,
  type TaskField,
  type TaskView,
  taskFields,
} from "../contracts/tasks.ts"
import { type Dialect, perDialect } from "../db/dialect.ts"
import type { Row } from "../db/tables.ts"
import { endOfDate, rfc3339, rfc3339OrNull } from "../lib/time.ts"

/** How many subtasks are counted: what a page may cost is bounded. */
const countedSubtasks = 1_000

// How a task stands in the database and how it looks outside, with what must be read for which field.

type TaskColumns = Omit<Row<"tasks">, "workspaceId" | "deletedAt" | "dueSort">

export type Task = TaskColumns & { dueSort: number; assigneeIds: string[]; labelIds: string[] }

/** A calendar day, or an instant in epoch milliseconds, in two columns of which one at most is set. */
type When = TaskView["due"]

const whenView = (date: string | null, at: number | null): When =>
  date !== null ? { date } : at !== null ? { at: rfc3339(at) } : null

export const whenColumns = (when: When): { date: string | null; at: number | null } => ({
  date: when && "date" in when ? when.date : null,
  at: when && "at" in when ? Date.parse(when.at) : null,
})

// The last millisecond that ECMAScript can name: tasks that are never due come last.
const neverDue = 8_640_000_000_000_000

/** Where a due date sorts: a day counts as its end in UTC. */
export const dueSort = ({ date, at }: { date: string | null; at: number | null }): number =>
  date !== null ? endOfDate(date) : (at ?? neverDue)

export function taskView(task: Omit<Task, "dueSort">): TaskView {
  const { id, key, projectId, parentId, title, description, status, priority, assigneeIds, labelIds, position } = task
  return {
    id,
    key,
    projectId,
    parentId,
    title,
    description,
    status,
    priority,
    assigneeIds,
    labelIds,
    start: whenView(task.startDate, task.startAt),
    due: whenView(task.dueDate, task.dueAt),
    position,
    revision: task.revision,
    createdBy: task.createdBy,
    createdAt: rfc3339(task.createdAt),
    updatedAt: rfc3339(task.updatedAt),
    completedAt: rfc3339OrNull(task.completedAt),
  }
}

function columnsFrom({ tables: { tasks } }: Dialect) {
  return {
    id: tasks.id,
    key: tasks.key,
    projectId: tasks.projectId,
    parentId: tasks.parentId,
    title: tasks.title,
    description: tasks.description,
    status: tasks.status,
    priority: tasks.priority,
    position: tasks.position,
    startDate: tasks.startDate,
    startAt: tasks.startAt,
    dueDate: tasks.dueDate,
    dueAt: tasks.dueAt,
    revision: tasks.revision,
    createdBy: tasks.createdBy,
    createdAt: tasks.createdAt,
    updatedAt: tasks.updatedAt,
    completedAt: tasks.completedAt,
  }
}

/** What can be read of a task: its columns, and what belongs to it, as JSON. */
const parts = perDialect((dialect) => {
  const { tasks, taskAssignees, taskLabels, labels, members, projects } = dialect.tables
  const isDone = sql`case when c.status = 'done' then 1 end`
  const { jsonArray, jsonObject, jsonItem } = dialect
  // Conditions are parts of their own: a column that stands in the selection itself is written without its table.
  const isChild = sql`s.workspace_id = ${tasks.workspaceId} and s.parent_id = ${tasks.id} and s.deleted_at is null`
  const isProject = sql`p.workspace_id = ${tasks.workspaceId} and p.id = ${tasks.projectId}`
  const ofTask = sql`a.workspace_id = ${tasks.workspaceId} and a.task_id = ${tasks.id}`
  const isOnTask = sql`x.workspace_id = ${tasks.workspaceId} and x.task_id = ${tasks.id}`
  return {
    columns: columnsFrom(dialect),
    assigneeIds: jsonArray(
      sql`user_id`,
      sql`(select a.user_id from ${taskAssignees} a where ${ofTask} order by a.user_id) assignee`,
    ),
    assignees: jsonArray(
      jsonItem(sql`person`),
      sql`(select ${jsonObject({ id: sql`m.user_id`, name: sql`m.name` })} as person from ${taskAssignees} a join ${members} m on m.workspace_id = a.workspace_id and m.user_id = a.user_id where ${ofTask} order by a.user_id) assignee`,
    ),
    labelIds: jsonArray(
      sql`label_id`,
      sql`(select x.label_id from ${taskLabels} x where ${isOnTask} order by x.label_id) label`,
    ),
    labels: jsonArray(
      jsonItem(sql`named`),
      // Looked up one by one: as a join, Postgres may read all labels of the workspace.
      sql`(select (select ${jsonObject({ id: sql`l.id`, name: sql`l.name`, color: sql`l.color` })} from ${labels} l where l.workspace_id = x.workspace_id and l.id = x.label_id) as named from ${taskLabels} x where ${isOnTask} order by x.label_id) label`,
    ),
    progress: sql<string>`(select ${dialect.jsonText(jsonObject({ total: sql`${count()}`, done: sql`${count(isDone)}` }))} from (select s.status from ${tasks} s where ${isChild} limit ${sql.raw(String(countedSubtasks))}) c)`,
    project: sql<string>`(select ${dialect.jsonText(jsonObject({ id: sql`p.id`, key: sql`p.key`, name: sql`p.name` }))} from ${projects} p where ${isProject})`,
  }
})

type Column = keyof ReturnType<typeof columnsFrom>

const columnsOf: { [Field in TaskField]?: readonly Column[] } = {
  assigneeIds: [],
  labelIds: [],
  start: ["startDate", "startAt"],
  due: ["dueDate", "dueAt"],
}

/** Whether a user follows the task. */
export function isFollowed({ tables: { tasks, taskFollowers } }: Dialect, userId: string) {
  const ofTask = sql`f.workspace_id = ${tasks.workspaceId} and f.task_id = ${tasks.id}`
  return sql<
    number | boolean
  >`((select 1 from ${taskFollowers} f where ${ofTask} and f.user_id = ${userId}) is not null)`
}

/** What to select for a task: everything, or what the asked fields need. `id` and `revision` always. */
export function taskSelection(
  dialect: Dialect,
  { fields = taskFields, include = [] }: ProjectionInput,
  { userId }: { userId: string },
) {
  const { columns, assigneeIds, assignees, labelIds, labels, progress, project } = parts(dialect)
  const names = new Set<Column>(["id", "revision"])
  for (const field of fields) for (const column of columnsOf[field] ?? [field as Column]) names.add(column)
  const picked = Object.fromEntries([...names].map((name) => [name, columns[name]]))
  return {
    ...(picked as Partial<typeof columns>),
    id: columns.id,
    revision: columns.revision,
    ...(fields.includes("assigneeIds") && { assigneeIds: assigneeIds.as("assignee_ids") }),
    ...(fields.includes("labelIds") && { labelIds: labelIds.as("label_ids") }),
    ...(include.includes("project") && { project: project.as("project") }),
    ...(include.includes("assignees") && { assignees: assignees.as("assignees") }),
    ...(include.includes("labels") && { labels: labels.as("labels") }),
    ...(include.includes("progress") && { progress: progress.as("progress") }),
    ...(include.includes("following") && { isFollowed: isFollowed(dialect, userId).as("is_followed") }),
  }
}

/** Everything that deciding about a task needs. */
export const wholeTask = perDialect((dialect) => {
  const { columns, assigneeIds, labelIds } = parts(dialect)
  return {
    ...columns,
    dueSort: dialect.tables.tasks.dueSort,
    assigneeIds: assigneeIds.as("assignee_ids") as SQL.Aliased<string>,
    labelIds: labelIds.as("label_ids") as SQL.Aliased<string>,
  }
})

type Selected = Partial<Omit<TaskColumns, "id">> & {
  id: string
  assigneeIds?: string
  labelIds?: string
  project?: string
  assignees?: string
  labels?: string
  progress?: string
  isFollowed?: number | boolean
}

const idsIn = (json = "[]"): string[] => JSON.parse(json)

/** The view of a row that `taskSelection` brought: the asked fields, `id`, and the included objects. */
export function projectedView(row: Selected, { fields, include = [] }: ProjectionInput): TaskAnswerView {
  const ids = { assigneeIds: idsIn(row.assigneeIds), labelIds: idsIn(row.labelIds) }
  const included = {
    ...(include.includes("project") && { project: JSON.parse(row.project ?? "null") }),
    ...(include.includes("assignees") && { assignees: JSON.parse(row.assignees ?? "[]") }),
    ...(include.includes("labels") && { labels: JSON.parse(row.labels ?? "[]") }),
    ...(include.includes("progress") && { progress: JSON.parse(row.progress ?? "null") }),
    ...(include.includes("following") && { isFollowed: Boolean(row.isFollowed) }),
  }
  if (!fields) return { ...taskView({ ...(row as TaskColumns), ...ids }), ...included }
  // Unselected columns are made up so that one function knows how a task looks; only asked fields are kept.
  const blank = {
    createdAt: 0,
    updatedAt: 0,
    completedAt: null,
    startDate: null,
    startAt: null,
    dueDate: null,
    dueAt: null,
  }
  const view = taskView({ ...blank, ...(row as TaskColumns), ...ids })
  const asked = Object.fromEntries(fields.map((field) => [field, view[field]]))
  return { id: row.id, ...asked, ...included }
}
