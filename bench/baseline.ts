// What a careful person would write by hand for the same work on the same tables: Hono, D1, SQL and the same cache, and
// nothing else. No sign-in, no validation, no guards, no limits, no retries, no receipts: who asks stands in a header.
import { type Context, Hono } from "hono"
import { typeid } from "typeid-js"
import { lookUp, mark, putDown, read } from "./baseline-cache.ts"
import { projectView, taskView } from "./views.ts"

type Value = string | number | null
export type Row = Record<string, Value>
export type Statement = { bind(...values: Value[]): Statement }
export type Session = {
  prepare(sql: string): Statement
  batch(statements: Statement[]): Promise<{ results: Row[] }[]>
  getBookmark(): string | null
}
export type BareEnv = { Bindings: { DB: { withSession(from: string): Session } } }
export type Viewer = { workspaceId: string; userId: string }

const app = new Hono<BareEnv>()

const viewerIn = (c: Context): Viewer => ({
  workspaceId: c.req.header("x-workspace") ?? "",
  userId: c.req.header("x-user") ?? "",
})

const neverDue = 8_640_000_000_000_000
const columns = `t.*,
  (select json_group_array(user_id) from (select a.user_id from task_assignees a where a.workspace_id = t.workspace_id and a.task_id = t.id order by a.user_id)) as assignees,
  (select json_group_array(label_id) from (select x.label_id from task_labels x where x.workspace_id = t.workspace_id and x.task_id = t.id order by x.label_id)) as labels`

// ---- reads ----

const findTask = (session: Session, workspaceId: string, id: string) =>
  session
    .prepare(`select ${columns} from tasks t where workspace_id = ? and id = ? and deleted_at is null`)
    .bind(workspaceId, id)

app.get("/api/v1/tasks/:id", (c) => {
  const viewer = viewerIn(c)
  return read(c, viewer, {
    statement: (session) => findTask(session, viewer.workspaceId, c.req.param("id")),
    view: ([row]) => (row ? taskView(row) : null),
  })
})

const limitIn = (c: Context) => Number(c.req.query("limit") ?? 50)

app.get("/api/v1/projects/:id/tasks", (c) => {
  const viewer = viewerIn(c)
  const limit = limitIn(c)
  const sql = `select ${columns} from tasks t where workspace_id = ? and project_id = ? and deleted_at is null order by position, id limit ?`
  return read(c, viewer, {
    statement: (session) => session.prepare(sql).bind(viewer.workspaceId, c.req.param("id"), limit + 1),
    view: (rows) => ({
      data: rows.slice(0, limit).map(taskView),
      next: rows[limit] ? rows[limit - 1]?.["position"] : null,
    }),
  })
})

app.get("/api/v1/projects", (c) => {
  const viewer = viewerIn(c)
  const limit = limitIn(c)
  const sql = "select * from projects where workspace_id = ? and deleted_at is null order by id limit ?"
  return read(c, viewer, {
    statement: (session) => session.prepare(sql).bind(viewer.workspaceId, limit + 1),
    view: (rows) => ({
      data: rows.slice(0, limit).map(projectView),
      next: rows[limit] ? rows[limit - 1]?.["id"] : null,
    }),
  })
})

// ---- writes ----

const primary = (c: Context<BareEnv>) => c.env.DB.withSession("first-primary")

const nextSeq = (session: Session, workspaceId: string) =>
  session.prepare("update heads set seq = seq + 1 where workspace_id = ? returning seq").bind(workspaceId)

type Event = Viewer & { type: string; taskId: string; revision: number; data: object; at: number }

const log = (session: Session, { workspaceId, type, taskId, revision, userId, data, at }: Event) =>
  session
    .prepare(
      `insert into events (workspace_id, seq, type, subject_id, subject_key, actor_role, revision, actor_id, source, project_id, commit_id, data, at)
       select h.workspace_id, h.seq, ?, t.id, t.key, 'owner', ?, ?, 'api', t.project_id, ?, ?, ?
       from heads h join tasks t on t.workspace_id = h.workspace_id and t.id = ? where h.workspace_id = ?`,
    )
    .bind(type, revision, userId, typeid("cmt").toString(), JSON.stringify(data), at, taskId, workspaceId)

const seqOf = (answers: { results: Row[] }[]) => Number(answers[0]?.results[0]?.["seq"])

app.post("/api/v1/tasks", async (c) => {
  const viewer = viewerIn(c)
  const { workspaceId, userId } = viewer
  const session = primary(c)
  const input = await c.req.json<{ projectId: string; title: string; description?: string }>()
  const { projectId, title, description = "" } = input
  const id = typeid("tsk").toString()
  const at = Date.now()
  const after = { id, projectId, title, description, status: "todo", priority: 0 }
  const answers = await session.batch([
    nextSeq(session, workspaceId),
    session
      .prepare("update projects set task_counter = task_counter + 1 where workspace_id = ? and id = ?")
      .bind(workspaceId, projectId),
    session
      .prepare(
        `insert into tasks (workspace_id, id, project_id, key, title, description, status, priority, due_sort, position, revision, created_by, created_at, updated_at)
         select workspace_id, ?, id, key || '-' || task_counter, ?, ?, 'todo', 0, ?, ?, 1, ?, ?, ? from projects where workspace_id = ? and id = ?
         returning *, '[]' as assignees, '[]' as labels`,
      )
      .bind(id, title, description, neverDue, `i${at}`, userId, at, at, workspaceId, projectId),
    log(session, { ...viewer, type: "task.created", taskId: id, revision: 1, data: { before: null, after }, at }),
  ])
  const task = answers[2]?.results[0]
  if (!task) return c.notFound()
  await mark(viewer, seqOf(answers))
  return c.json(taskView(task), 201)
})

type Changes = Partial<Record<"title" | "status" | "completed_at", Value>>

async function change(c: Context<BareEnv>, taskId: string, type: string, changes: Changes): Promise<Response> {
  const viewer = viewerIn(c)
  const session = primary(c)
  const [found] = await session.batch([findTask(session, viewer.workspaceId, taskId)])
  const before = found?.results[0]
  if (!before) return c.notFound()
  const at = Date.now()
  const revision = Number(before["revision"]) + 1
  const after = { ...before, ...changes, updated_at: at, revision }
  const data = { before: Object.fromEntries(Object.keys(changes).map((name) => [name, before[name]])), after: changes }
  const names = Object.keys(changes).map((name) => `${name} = ?`)
  const answers = await session.batch([
    nextSeq(session, viewer.workspaceId),
    session
      .prepare(`update tasks set ${names.join(", ")}, updated_at = ?, revision = ? where workspace_id = ? and id = ?`)
      .bind(...Object.values(changes), at, revision, viewer.workspaceId, taskId),
    log(session, { ...viewer, type, taskId, revision, data, at }),
  ])
  await mark(viewer, seqOf(answers))
  return c.json(taskView(after))
}

app.patch("/api/v1/tasks/:id", async (c) => {
  const { title } = await c.req.json<{ title: string }>()
  return change(c, c.req.param("id"), "task.updated", { title })
})

app.put("/api/v1/tasks/:id/closure", (c) =>
  change(c, c.req.param("id"), "task.closed", { status: "done", completed_at: Date.now() }),
)

// ---- what the simulators cost by themselves ----

app.get("/probe/nothing", (c) => c.json({}))

app.get("/probe/d1", async (c) => {
  const session = primary(c)
  await session.batch([session.prepare("select 1")])
  return c.json({})
})

app.get("/probe/match", async (c) => {
  await lookUp()
  return c.json({})
})

app.get("/probe/put", async (c) => {
  await putDown()
  return c.json({})
})

export default app
