// What a careful person would write by hand for the same work on the same tables: Hono, D1 and SQL, and nothing else.
// No sign-in, no validation, no guards, no retries, no receipts.
import { Hono } from "hono"
import { typeid } from "typeid-js"

type Value = string | number | null
type Row = Record<string, Value>
type Statement = {
  bind(...values: Value[]): Statement
  first(): Promise<Row | null>
  all(): Promise<{ results: Row[] }>
}
type Database = { prepare(sql: string): Statement; batch(statements: Statement[]): Promise<{ results: Row[] }[]> }

const app = new Hono<{ Bindings: { DB: Database; WORKSPACE_ID: string; USER_ID: string } }>()

const neverDue = 8_640_000_000_000_000
const columns =
  "t.*, (select json_group_array(a.user_id) from task_assignees a where a.workspace_id = t.workspace_id and a.task_id = t.id) as assignees"

const time = (value: Value | undefined) => (typeof value === "number" ? new Date(value).toISOString() : null)
const when = (date: Value | undefined, at: Value | undefined) => (date ? { date } : at ? { at: time(at) } : null)

const view = (row: Row) => ({
  id: row["id"],
  key: row["key"],
  projectId: row["project_id"],
  parentId: row["parent_id"],
  title: row["title"],
  description: row["description"],
  status: row["status"],
  priority: row["priority"],
  assigneeIds: JSON.parse(String(row["assignees"])) as string[],
  start: when(row["start_date"], row["start_at"]),
  due: when(row["due_date"], row["due_at"]),
  position: row["position"],
  revision: row["revision"],
  createdBy: row["created_by"],
  createdAt: time(row["created_at"]),
  updatedAt: time(row["updated_at"]),
  completedAt: time(row["completed_at"]),
})

const findTask = (db: Database, workspaceId: string, id: string) =>
  db
    .prepare(`select ${columns} from tasks t where workspace_id = ? and id = ? and deleted_at is null`)
    .bind(workspaceId, id)

app.get("/api/v1/tasks/:id", async (c) => {
  const row = await findTask(c.env.DB, c.env.WORKSPACE_ID, c.req.param("id")).first()
  return row ? c.json(view(row)) : c.notFound()
})

app.get("/api/v1/projects/:id/tasks", async (c) => {
  const { results } = await c.env.DB.prepare(
    `select ${columns} from tasks t where workspace_id = ? and project_id = ? and deleted_at is null order by position, id limit 51`,
  )
    .bind(c.env.WORKSPACE_ID, c.req.param("id"))
    .all()
  return c.json({ data: results.slice(0, 50).map(view), next: results.length > 50 ? results[49]?.["position"] : null })
})

const nextSeq = (db: Database, workspaceId: string) =>
  db.prepare("update heads set seq = seq + 1 where workspace_id = ? returning seq").bind(workspaceId)

type Event = {
  workspaceId: string
  type: string
  taskId: string
  revision: number
  userId: string
  data: object
  at: number
}

const log = (db: Database, { workspaceId, type, taskId, revision, userId, data, at }: Event) =>
  db
    .prepare(
      `insert into events (workspace_id, seq, type, subject_id, subject_key, actor_role, revision, actor_id, source, project_id, commit_id, data, at)
       select h.workspace_id, h.seq, ?, t.id, t.key, 'owner', ?, ?, 'api', t.project_id, ?, ?, ?
       from heads h join tasks t on t.workspace_id = h.workspace_id and t.id = ? where h.workspace_id = ?`,
    )
    .bind(type, revision, userId, typeid("cmt").toString(), JSON.stringify(data), at, taskId, workspaceId)

app.post("/api/v1/tasks", async (c) => {
  const { DB: db, WORKSPACE_ID: workspaceId, USER_ID: userId } = c.env
  const {
    projectId,
    title,
    description = "",
  } = await c.req.json<{ projectId: string; title: string; description?: string }>()
  const id = typeid("tsk").toString()
  const at = Date.now()
  const answers = await db.batch([
    nextSeq(db, workspaceId),
    db
      .prepare("update projects set task_counter = task_counter + 1 where workspace_id = ? and id = ?")
      .bind(workspaceId, projectId),
    db
      .prepare(
        `insert into tasks (workspace_id, id, project_id, key, title, description, status, priority, due_sort, position, revision, created_by, created_at, updated_at)
         select workspace_id, ?, id, key || '-' || task_counter, ?, ?, 'todo', 0, ?, ?, 1, ?, ?, ? from projects where workspace_id = ? and id = ?
         returning *, '[]' as assignees`,
      )
      .bind(id, title, description, neverDue, String(at), userId, at, at, workspaceId, projectId),
    log(db, {
      workspaceId,
      type: "task.created",
      taskId: id,
      revision: 1,
      userId,
      data: { before: null, after: { id, projectId, title, description, status: "todo", priority: 0 } },
      at,
    }),
  ])
  const task = answers[2]?.results[0]
  return task ? c.json(view(task), 201) : c.notFound()
})

app.patch("/api/v1/tasks/:id", async (c) => {
  const { DB: db, WORKSPACE_ID: workspaceId, USER_ID: userId } = c.env
  const { title } = await c.req.json<{ title: string }>()
  const before = await findTask(db, workspaceId, c.req.param("id")).first()
  if (!before) return c.notFound()
  const after = { ...before, title, updated_at: Date.now(), revision: Number(before["revision"]) + 1 }
  await db.batch([
    nextSeq(db, workspaceId),
    db
      .prepare("update tasks set title = ?, updated_at = ?, revision = ? where workspace_id = ? and id = ?")
      .bind(title, after.updated_at, after.revision, workspaceId, c.req.param("id")),
    log(db, {
      workspaceId,
      type: "task.updated",
      taskId: c.req.param("id"),
      revision: after.revision,
      userId,
      data: { before: { title: before["title"] ?? null }, after: { title } },
      at: after.updated_at,
    }),
  ])
  return c.json(view(after))
})

export default app
