import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import type { Ctx } from "./ctx.ts"
import { invalid } from "./errors.ts"
import type { Task } from "./task-rows.ts"

// Tasks hang under each other, within one project. What hangs under itself would be in no list, so the commit that
// gives a task another parent climbs from that parent to the top.

/** How far a commit climbs: nothing is hung lower. What hangs under the task itself is not counted. */
const deepest = 50

/** A task and those above it, deleted ones too, as a query of `id` and `depth` (1 for the task itself). */
function upFrom({ db, workspaceId }: Ctx, id: string | SQL): SQL {
  const { tasks } = db.tables
  return sql`with recursive up (id, parent_id, depth) as (
    select x.id, x.parent_id, 1 from ${tasks} x where x.workspace_id = ${workspaceId} and x.id = ${id}
    union all
    select y.id, y.parent_id, up.depth + 1 from up ${db.joinEach(tasks, "y", sql`y.workspace_id = ${workspaceId} and y.id = up.parent_id`)} where up.depth < ${deepest}
  ) select up.id, up.depth from up`
}

/** Whether nothing can hang under a task: it hangs too low itself. */
export function isLowest(ctx: Ctx, id: SQL): SQL {
  return sql`((select 1 from (${upFrom(ctx, id)} where up.depth = ${deepest} limit 1) above) is not null)`
}

export const tooLow = `tasks hang at most ${deepest} deep`

/** Whether a task of the same project is there and neither under the task nor too low, when the statement runs. */
export function mayBeParent(ctx: Ctx, task: Pick<Task, "id" | "projectId">, parentId: string): SQL {
  const { tasks } = ctx.db.tables
  const isThere = sql`(select 1 from ${tasks} parent where parent.workspace_id = ${ctx.workspaceId} and parent.id = ${parentId} and parent.project_id = ${task.projectId} and parent.deleted_at is null) is not null`
  const isBelow = sql`(${upFrom(ctx, parentId)} where up.id = ${task.id} or up.depth = ${deepest} limit 1)`
  return sql`(${isThere} and (select 1 from ${isBelow} below) is null)`
}

/** Throws what keeps a task from having this parent, if anything does. */
export async function explainParent(
  ctx: Ctx,
  task: Pick<Task, "id" | "projectId">,
  parentId: string | null,
): Promise<void> {
  if (parentId === null) return
  const { db, workspaceId } = ctx
  const { tasks } = db.tables
  const [[parent], above] = await db.read(
    db.sql
      .select({ id: tasks.id })
      .from(tasks)
      .where(
        and(
          eq(tasks.workspaceId, workspaceId),
          eq(tasks.id, parentId),
          eq(tasks.projectId, task.projectId),
          isNull(tasks.deletedAt),
        ),
      ),
    db.sql
      .select({ id: sql<string>`above.id`.as("id"), depth: sql<number>`above.depth`.as("depth") })
      .from(sql`(${upFrom(ctx, parentId)}) above`),
  )
  const refuse = (detail: string) => invalid({ pointer: "/parentId", detail })
  if (!parent) throw refuse("There is no such task in this project")
  if (above.some(({ id }) => id === task.id)) throw refuse("would make a cycle")
  if (above.some(({ depth }) => depth === deepest)) throw refuse(tooLow)
}
