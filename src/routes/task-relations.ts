import { Hono } from "hono"
import { Relation, RelationList, RelationPath } from "../contracts/task-relations.ts"
import { TaskPath } from "../contracts/tasks.ts"
import { listRelations } from "../domain/related-tasks.ts"
import { relateTasks, unrelateTasks } from "../domain/task-relations.ts"
import { conditional } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { cachedOperation, operation, params } from "../http/contract.ts"

export const taskRelationRoutes = new Hono<AppEnv>()

taskRelationRoutes.get(
  "/tasks/:idOrKey/relations",
  cachedOperation("List what a task blocks, is blocked by, relates to and duplicates", RelationList),
  params(TaskPath),
  async (c) => {
    const { data, revision } = await listRelations(c.var.ctx, c.req.valid("param").idOrKey)
    return conditional(c, { data }, { revision, ofLog: true })
  },
)

taskRelationRoutes.put(
  "/tasks/:idOrKey/relations/:kind/:otherIdOrKey",
  operation("Relate two tasks", Relation),
  params(RelationPath),
  async (c) => {
    const { idOrKey, kind, otherIdOrKey } = c.req.valid("param")
    return c.json(await relateTasks(c.var.ctx, idOrKey, kind, otherIdOrKey))
  },
)

taskRelationRoutes.delete(
  "/tasks/:idOrKey/relations/:kind/:otherIdOrKey",
  operation("End a relation of two tasks"),
  params(RelationPath),
  async (c) => {
    const { idOrKey, kind, otherIdOrKey } = c.req.valid("param")
    await unrelateTasks(c.var.ctx, idOrKey, kind, otherIdOrKey)
    return c.body(null, 204)
  },
)
