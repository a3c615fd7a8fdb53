import { Hono } from "hono"
import { ProjectPath } from "../contracts/projects.ts"
import {
  NewTask,
  NewTasks,
  OneTaskQuery,
  ProjectTaskQuery,
  Task,
  TaskAnswer,
  TaskList,
  TaskMove,
  TaskPage,
  TaskPatch,
  TaskPath,
  TaskPlace,
  TaskQuery,
} from "../contracts/tasks.ts"
import { follow } from "../domain/followers.ts"
import { createTask, createTasks } from "../domain/task-creation.ts"
import { listProjectTasks, listTasks } from "../domain/task-lists.ts"
import { moveTask } from "../domain/task-moves.ts"
import { placeTask } from "../domain/task-positions.ts"
import * as tasks from "../domain/tasks.ts"
import { conditional, expectedRevision, knownRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"
import { page } from "../http/pagination.ts"

export const taskRoutes = new Hono<AppEnv>()

taskRoutes.get("/tasks", cachedOperation("List tasks", TaskPage), query(TaskQuery), async (c) =>
  page(c, await listTasks(c.var.ctx, c.req.valid("query"))),
)

taskRoutes.get(
  "/projects/:projectId/tasks",
  cachedOperation("List the tasks of a project", TaskPage),
  params(ProjectPath),
  query(ProjectTaskQuery),
  async (c) => page(c, await listProjectTasks(c.var.ctx, c.req.valid("param").projectId, c.req.valid("query"))),
)

taskRoutes.post("/tasks", operation("Create a task", Task, 201), body(NewTask), async (c) =>
  created(c, await createTask(c.var.ctx, c.req.valid("json"))),
)

taskRoutes.post(
  "/tasks/bulk",
  operation("Create up to 100 tasks, all or none", TaskList, 201),
  body(NewTasks),
  async (c) => c.json({ data: await createTasks(c.var.ctx, c.req.valid("json").tasks) }, 201),
)

taskRoutes.get(
  "/tasks/:idOrKey",
  cachedOperation("Get a task", TaskAnswer),
  params(TaskPath),
  query(OneTaskQuery),
  async (c) => {
    const projection = c.req.valid("query")
    const { task, revision } = await tasks.viewTask(c.var.ctx, c.req.valid("param").idOrKey, projection)
    const ofLog = Boolean(projection.fields || projection.include)
    return conditional(c, task, { revision, labelIds: task.labelIds, ofLog })
  },
)

taskRoutes.patch("/tasks/:idOrKey", operation("Change a task", Task), params(TaskPath), body(TaskPatch), async (c) => {
  const { revision, base, ...patch } = c.req.valid("json")
  const known = knownRevision(c, { revision, base })
  const task = await tasks.updateTask(c.var.ctx, c.req.valid("param").idOrKey, patch, known)
  return conditional(c, task, task)
})

taskRoutes.delete("/tasks/:idOrKey", operation("Delete a task"), params(TaskPath), async (c) => {
  await tasks.deleteTask(c.var.ctx, c.req.valid("param").idOrKey, expectedRevision(c))
  return c.body(null, 204)
})

taskRoutes.put("/tasks/:idOrKey/closure", operation("Close a task", Task), params(TaskPath), async (c) => {
  const task = await tasks.closeTask(c.var.ctx, c.req.valid("param").idOrKey, expectedRevision(c))
  return conditional(c, task, task)
})

taskRoutes.delete("/tasks/:idOrKey/closure", operation("Reopen a task", Task), params(TaskPath), async (c) => {
  const task = await tasks.reopenTask(c.var.ctx, c.req.valid("param").idOrKey, expectedRevision(c))
  return conditional(c, task, task)
})

taskRoutes.put(
  "/tasks/:idOrKey/project",
  operation("Move a task to another project, with its subtasks", Task, 200, {
    description: "Each gets a new key there; the old one still names it.",
  }),
  params(TaskPath),
  body(TaskMove),
  async (c) => {
    const { projectId, revision } = c.req.valid("json")
    const task = await moveTask(c.var.ctx, c.req.valid("param").idOrKey, projectId, expectedRevision(c, revision))
    return conditional(c, task, task)
  },
)

taskRoutes.put(
  "/tasks/:idOrKey/position",
  operation("Put a task beside another one in the order of its project", Task, 200, {
    description: "No other task changes. Lists show the order with `sort=position`.",
  }),
  params(TaskPath),
  body(TaskPlace),
  async (c) => {
    const { revision, ...place } = c.req.valid("json")
    const { idOrKey } = c.req.valid("param")
    const task = await placeTask(c.var.ctx, idOrKey, place, expectedRevision(c, revision))
    return conditional(c, task, task)
  },
)

taskRoutes.put("/tasks/:idOrKey/follower", operation("Follow a task"), params(TaskPath), async (c) => {
  await follow(c.var.ctx, c.req.valid("param").idOrKey, true)
  return c.body(null, 204)
})

taskRoutes.delete("/tasks/:idOrKey/follower", operation("Follow a task no longer"), params(TaskPath), async (c) => {
  await follow(c.var.ctx, c.req.valid("param").idOrKey, false)
  return c.body(null, 204)
})
