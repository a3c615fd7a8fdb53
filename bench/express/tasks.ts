import { type Response, Router } from "express"
import type { Redis } from "ioredis"
import type pg from "pg"
import { typeid } from "typeid-js"
import { projectView, taskView } from "../views.ts"
import { type User, userOf } from "./authenticate.ts"
import { cache, forget } from "./cache.ts"

const cacheSeconds = 300
const neverDue = 8_640_000_000_000_000

// The statements of the bare handler, in the words of Postgres.
const columns = `t.*,
  (select coalesce(json_agg(a.user_id order by a.user_id), '[]') from task_assignees a where a.workspace_id = t.workspace_id and a.task_id = t.id) as assignees,
  (select coalesce(json_agg(x.label_id order by x.label_id), '[]') from task_labels x where x.workspace_id = t.workspace_id and x.task_id = t.id) as labels`
const findTask = `select ${columns} from tasks t where workspace_id = $1 and id = $2 and deleted_at is null`
const nextSeq = "update heads set seq = seq + 1 where workspace_id = $1 returning seq"
const insertEvent = `insert into events (workspace_id, seq, type, subject_id, subject_key, actor_role, revision, actor_id, source, project_id, commit_id, data, at)
  select h.workspace_id, h.seq, $1, t.id, t.key, 'owner', $2, $3, 'api', t.project_id, $4, $5, $6
  from heads h join tasks t on t.workspace_id = h.workspace_id and t.id = $7 where h.workspace_id = $8`

const notFound = (response: Response) => response.status(404).json({ error: "Not found" })

export function taskRoutes(pool: pg.Pool, redis: Redis): Router {
  const routes = Router()

  routes.get("/tasks/:id", cache(redis, cacheSeconds), async (request, response) => {
    const { rows } = await pool.query(findTask, [userOf(response).workspaceId, request.params["id"]])
    if (rows[0]) response.json(taskView(rows[0]))
    else notFound(response)
  })

  routes.get("/projects/:id/tasks", cache(redis, cacheSeconds), async (request, response) => {
    const limit = Number(request.query["limit"] ?? 50)
    const sql = `select ${columns} from tasks t where workspace_id = $1 and project_id = $2 and deleted_at is null order by position, id limit $3`
    const { rows } = await pool.query(sql, [userOf(response).workspaceId, request.params["id"], limit + 1])
    response.json({ data: rows.slice(0, limit).map(taskView), next: rows[limit] ? rows[limit - 1].position : null })
  })

  routes.get("/projects", cache(redis, cacheSeconds), async (request, response) => {
    const limit = Number(request.query["limit"] ?? 50)
    const sql = "select * from projects where workspace_id = $1 and deleted_at is null order by id limit $2"
    const { rows } = await pool.query(sql, [userOf(response).workspaceId, limit + 1])
    response.json({ data: rows.slice(0, limit).map(projectView), next: rows[limit] ? rows[limit - 1].id : null })
  })

  routes.post("/tasks", async (request, response) => {
    const user = userOf(response)
    const { projectId, title, description = "" } = request.body
    const id = typeid("tsk").toString()
    const at = Date.now()
    const after = { id, projectId, title, description, status: "todo", priority: 0 }
    const task = await inTransaction(pool, async (client) => {
      await client.query(nextSeq, [user.workspaceId])
      await client.query("update projects set task_counter = task_counter + 1 where workspace_id = $1 and id = $2", [
        user.workspaceId,
        projectId,
      ])
      const { rows } = await client.query(
        `insert into tasks (workspace_id, id, project_id, key, title, description, status, priority, due_sort, position, revision, created_by, created_at, updated_at)
         select workspace_id, $1, id, key || '-' || task_counter, $2, $3, 'todo', 0, $4, $5, 1, $6, $7, $7 from projects where workspace_id = $8 and id = $9
         returning *, '[]'::json as assignees, '[]'::json as labels`,
        [id, title, description, neverDue, `i${at}`, user.id, at, user.workspaceId, projectId],
      )
      await writeEvent(client, user, {
        type: "task.created",
        taskId: id,
        revision: 1,
        data: { before: null, after },
        at,
      })
      return rows[0]
    })
    await forget(redis, user)
    response.status(201).json(taskView(task))
  })

  routes.patch("/tasks/:id", (request, response) =>
    change(pool, redis, response, request.params["id"], "task.updated", { title: request.body.title }),
  )

  routes.put("/tasks/:id/closure", (request, response) =>
    change(pool, redis, response, request.params["id"], "task.closed", { status: "done", completed_at: Date.now() }),
  )

  return routes
}

type Changes = Partial<Record<"title" | "status" | "completed_at", string | number>>

async function change(
  pool: pg.Pool,
  redis: Redis,
  response: Response,
  taskId: string,
  type: string,
  changes: Changes,
): Promise<void> {
  const user = userOf(response)
  const { rows } = await pool.query(findTask, [user.workspaceId, taskId])
  const before = rows[0]
  if (!before) {
    notFound(response)
    return
  }
  const at = Date.now()
  const revision = Number(before.revision) + 1
  const data = { before: Object.fromEntries(Object.keys(changes).map((name) => [name, before[name]])), after: changes }
  const sets = Object.keys(changes).map((name, index) => `${name} = $${index + 5}`)
  await inTransaction(pool, async (client) => {
    await client.query(nextSeq, [user.workspaceId])
    await client.query(
      `update tasks set updated_at = $1, revision = $2, ${sets.join(", ")} where workspace_id = $3 and id = $4`,
      [at, revision, user.workspaceId, taskId, ...Object.values(changes)],
    )
    await writeEvent(client, user, { type, taskId, revision, data, at })
  })
  await forget(redis, user)
  response.json(taskView({ ...before, ...changes, updated_at: at, revision }))
}

type Event = { type: string; taskId: string; revision: number; data: object; at: number }

const writeEvent = (client: pg.PoolClient, user: User, { type, taskId, revision, data, at }: Event) =>
  client.query(insertEvent, [
    type,
    revision,
    user.id,
    typeid("cmt").toString(),
    JSON.stringify(data),
    at,
    taskId,
    user.workspaceId,
  ])

async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query("begin")
    const result = await work(client)
    await client.query("commit")
    return result
  } catch (error) {
    await client.query("rollback")
    throw error
  } finally {
    client.release()
  }
}
