import { Hono } from "hono"
import { ActivityPage, ActivityQuery } from "../contracts/activity.ts"
import { ProjectPath } from "../contracts/projects.ts"
import { TaskPath } from "../contracts/tasks.ts"
import * as activity from "../domain/activity.ts"
import type { AppEnv } from "../http/context.ts"
import { cachedOperation, params, query } from "../http/contract.ts"
import { page } from "../http/pagination.ts"

export const activityRoutes = new Hono<AppEnv>()

activityRoutes.get(
  "/activity",
  cachedOperation("What happened in the workspace, newest first", ActivityPage),
  query(ActivityQuery),
  async (c) => page(c, await activity.listActivity(c.var.ctx, c.req.valid("query"))),
)

activityRoutes.get(
  "/projects/:projectId/activity",
  cachedOperation("What happened in a project, newest first", ActivityPage),
  params(ProjectPath),
  query(ActivityQuery),
  async (c) => {
    const { projectId } = c.req.valid("param")
    return page(c, await activity.listProjectActivity(c.var.ctx, projectId, c.req.valid("query")))
  },
)

activityRoutes.get(
  "/tasks/:idOrKey/activity",
  cachedOperation("What happened to a task, newest first", ActivityPage),
  params(TaskPath),
  query(ActivityQuery),
  async (c) => {
    const { idOrKey } = c.req.valid("param")
    return page(c, await activity.listTaskActivity(c.var.ctx, idOrKey, c.req.valid("query")))
  },
)
