// How rows look outside: as Edgewise answers them, so that everybody sends as much. Rows are as D1 or Postgres gives them.

type Value = string | number | boolean | string[] | null
type Row = Record<string, Value>

// Postgres gives its large integers as text, and D1 its lists.
const time = (value: Value | undefined) => (value ? new Date(Number(value)).toISOString() : null)
const when = (date: Value | undefined, at: Value | undefined) => (date ? { date } : at ? { at: time(at) } : null)
const list = (value: Value | undefined) => (typeof value === "string" ? (JSON.parse(value) as string[]) : value)

const stamps = (row: Row) => ({
  revision: Number(row["revision"]),
  createdBy: row["created_by"],
  createdAt: time(row["created_at"]),
  updatedAt: time(row["updated_at"]),
})

export const taskView = (row: Row) => ({
  id: row["id"],
  key: row["key"],
  projectId: row["project_id"],
  parentId: row["parent_id"],
  title: row["title"],
  description: row["description"],
  status: row["status"],
  priority: Number(row["priority"]),
  assigneeIds: list(row["assignees"]),
  labelIds: list(row["labels"]),
  start: when(row["start_date"], row["start_at"]),
  due: when(row["due_date"], row["due_at"]),
  position: row["position"],
  ...stamps(row),
  completedAt: time(row["completed_at"]),
})

export const projectView = (row: Row) => ({
  id: row["id"],
  key: row["key"],
  name: row["name"],
  description: row["description"],
  visibility: row["visibility"],
  isInbox: Boolean(row["is_inbox"]),
  ...stamps(row),
})
