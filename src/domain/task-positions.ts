import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import type { TaskPlaceInput, TaskView } from "../contracts/tasks.ts"
import { longestPosition, positionBetween } from "../lib/positions.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid } from "./errors.ts"
import { commit, commitNothing, difference, untilUncontested } from "./events.ts"
import { orderBy } from "./lists.ts"
import { permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import { isHere, selectTask, taskFrom } from "./task-lookup.ts"
import { type Task, taskView } from "./task-rows.ts"
import { changeOfTask, replaceTask } from "./tasks.ts"

// Where a task stands in the order of its project: between two others, whose own positions stay as they are.

type Anchor = Pick<Task, "id" | "projectId" | "position">
/** The positions on both sides of a place; null where the list begins or ends. */
type Gap = { low: string | null; high: string | null }

/**
 * Puts a task right after or right before another one of its project; where it stands there already, nothing changes.
 * Of two who choose the same place at once, the second stands next to the first.
 */
export async function placeTask(
  ctx: Ctx,
  idOrKey: string,
  { after: upper, before: lower }: TaskPlaceInput,
  expected: Expected,
): Promise<TaskView> {
  permit(ctx, "task:write")
  const side = upper === undefined ? "before" : "after"
  const beside = upper ?? lower ?? ""
  const refuse = (detail: string) => invalid({ pointer: `/${side}`, detail })
  return untilUncontested(async () => {
    const [[row], [anchor], [next]] = await ctx.db.read(
      selectTask(ctx, idOrKey),
      selectAnchor(ctx, beside),
      selectNext(ctx, idOrKey, beside, side),
    )
    const task = taskFrom(ctx, row, "task:write")
    expectRevision(expected, task.revision)
    if (anchor?.projectId !== task.projectId) throw refuse("There is no such task in this project")
    if (anchor.id === task.id) throw refuse("is the task itself")
    const beyond = next?.position ?? null
    if (beyond === anchor.position) throw noPlace()
    const gap = side === "after" ? { low: anchor.position, high: beyond } : { low: beyond, high: anchor.position }
    if (isIn(gap, task.position)) {
      await commitNothing(ctx, "task:write", { kind: "changed", body: taskView(task) })
      return taskView(task)
    }
    return commitPlace(ctx, task, anchor, gap)
  })
}

async function commitPlace(ctx: Ctx, task: Task, anchor: Anchor, gap: Gap): Promise<TaskView> {
  const position = positionBetween(gap.low, gap.high)
  if (position.length > longestPosition) throw noPlace()
  const at = ctx.now()
  const after: Task = { ...task, position, updatedAt: at, revision: task.revision + 1 }
  await commit(ctx, {
    permission: "task:write",
    at,
    rows: [replaceTask(ctx, task, after, isFree(ctx, task, anchor, gap))],
    changes: [changeOfTask(task, "task.updated", difference(taskView(task), taskView(after)))],
    answer: { kind: "changed", body: taskView(after) },
  })
  return taskView(after)
}

/** Clients choose positions, too: two may be the same, or so near that nothing is in between. */
const noPlace = () => new DomainError("conflict", "No place is left between these two: move one of them first")

const isIn = ({ low, high }: Gap, position: string) =>
  (low === null || low < position) && (high === null || position < high)

function selectAnchor(ctx: Ctx, idOrKey: string) {
  const { tasks } = ctx.db.tables
  return ctx.db.sql
    .select({ id: tasks.id, projectId: tasks.projectId, position: tasks.position })
    .from(tasks)
    .where(isHere(ctx, idOrKey))
}

/** The position of the next task on that side of another, without the task that is to move. */
function selectNext(ctx: Ctx, idOrKey: string, beside: string, side: "after" | "before") {
  const { db, workspaceId } = ctx
  const { tasks } = db.tables
  const from = (name: string, column: SQL) =>
    sql`(select ${column} from ${db.sql
      .select({ id: tasks.id, projectId: tasks.projectId, position: tasks.position })
      .from(tasks)
      .where(isHere(ctx, name))} q)`
  const anchor = sql`(${from(beside, sql`q.position`)}, ${from(beside, sql`q.id`)})`
  const place = sql`(${tasks.position}, ${tasks.id})`
  return db.sql
    .select({ position: tasks.position })
    .from(tasks)
    .where(
      and(
        eq(tasks.workspaceId, workspaceId),
        sql`${tasks.projectId} = ${from(beside, sql`q.project_id`)}`,
        isNull(tasks.deletedAt),
        side === "after" ? sql`${place} > ${anchor}` : sql`${place} < ${anchor}`,
        sql`${tasks.id} <> ${from(idOrKey, sql`q.id`)}`,
      ),
    )
    .orderBy(
      orderBy({ key: sql`${tasks.position}`, id: sql`${tasks.id}`, direction: side === "after" ? "asc" : "desc" }),
    )
    .limit(1)
}

/** Whether the task beside is where it was, and nobody has come in between. */
function isFree({ db, workspaceId }: Ctx, task: Task, anchor: Anchor, { low, high }: Gap): SQL {
  const { tasks } = db.tables
  const isThere = sql`(select 1 from ${tasks} a where a.workspace_id = ${workspaceId} and a.id = ${anchor.id} and a.project_id = ${task.projectId} and a.position = ${anchor.position} and a.deleted_at is null) is not null`
  const bounds = [
    low === null ? sql`true` : sql`n.position > ${low}`,
    high === null ? sql`true` : sql`n.position < ${high}`,
  ]
  const between = sql`(select 1 from ${tasks} n where n.workspace_id = ${workspaceId} and n.project_id = ${task.projectId} and n.deleted_at is null and ${sql.join(bounds, sql` and `)} and n.id <> ${task.id} limit 1)`
  return sql`(${isThere} and ${between} is null)`
}
