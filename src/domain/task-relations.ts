import { and, eq, or, type SQL, sql } from "drizzle-orm"
import { type RelationKind, type RelationView, relationKinds } from "../contracts/task-relations.ts"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Row } from "../db/tables.ts"
import { andVisible } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid, notFound } from "./errors.ts"
import { commit, commitNothing, untilUncontested } from "./events.ts"
import { permit } from "./permissions.ts"
import { isHere, mustNameTask, selectTask, taskFrom } from "./task-lookup.ts"
import type { Task } from "./task-rows.ts"
import { changeOfTask } from "./tasks.ts"

// How two tasks stand to each other. A relation is one row whichever of the two it is looked at from, and a change of
// the one that it was made from.

/** How many relations a task may have. */
export const mostRelations = 200
/** How far a commit follows what blocks what, in tasks. */
const farthest = 1_000

export type Relation = Pick<Row<"taskRelations">, "taskId" | "kind" | "otherId">

/** The row of a relation: `relates` has the smaller id first, the others begin with the one that blocks or duplicates. */
function relationOf(kind: RelationKind, taskId: string, otherId: string): Relation {
  if (kind === "blocked_by") return { taskId: otherId, kind: "blocks", otherId: taskId }
  if (kind === "duplicated_by") return { taskId: otherId, kind: "duplicates", otherId: taskId }
  if (kind === "relates" && otherId < taskId) return { taskId: otherId, kind, otherId: taskId }
  return { taskId, kind, otherId }
}

function parseKind(kind: string): RelationKind {
  const known = relationKinds.find((word) => word === kind)
  if (!known) throw notFound("kind of relation")
  return known
}

/** A task that the actor may change, another that they see, and whether the two have this relation. */
async function getPair(ctx: Ctx, idOrKey: string, kind: RelationKind, otherIdOrKey: string) {
  permit(ctx, "task:write")
  mustNameTask(otherIdOrKey)
  const { db, workspaceId } = ctx
  const { taskRelations: r, tasks } = db.tables
  const find = (name: string) => db.sql.select({ id: tasks.id }).from(tasks).where(isHere(ctx, name))
  const { taskId, otherId, kind: stored } = relationOf(kind, "a", "b")
  const ids: Record<string, SQL> = { a: sql`${find(idOrKey)}`, b: sql`${find(otherIdOrKey)}` }
  const [first, second] = [ids[taskId] ?? sql`null`, ids[otherId] ?? sql`null`]
  const inOrder = and(eq(r.taskId, first), eq(r.otherId, second))
  const [[row], [other], related] = await db.read(
    selectTask(ctx, idOrKey),
    db.sql
      .select({ projectId: tasks.projectId, id: tasks.id, key: tasks.key, title: tasks.title, status: tasks.status })
      .from(tasks)
      .where(isHere(ctx, otherIdOrKey)),
    db.sql
      .select({ kind: r.kind })
      .from(r)
      .where(
        and(
          eq(r.workspaceId, workspaceId),
          eq(r.kind, stored),
          kind === "relates" ? or(inOrder, and(eq(r.taskId, second), eq(r.otherId, first))) : inOrder,
        ),
      ),
  )
  const task = taskFrom(ctx, row, "task:write")
  if (!other) throw notFound("task")
  const { projectId, ...shown } = other
  return { task, other: shown, about: { projectId, level: "view" } as const, isRelated: related.length > 0 }
}

/** Relates two tasks. Those that stand to each other like that already change nothing. */
export async function relateTasks(ctx: Ctx, idOrKey: string, word: string, other: string): Promise<RelationView> {
  const kind = parseKind(word)
  return untilUncontested(async () => {
    const pair = await getPair(ctx, idOrKey, kind, other)
    if (pair.task.id === pair.other.id) {
      throw invalid({ pointer: "/otherIdOrKey", detail: "a task has no relation to itself" })
    }
    const view: RelationView = { kind, task: pair.other }
    if (pair.isRelated) {
      await commitNothing(ctx, "task:write", { kind: "changed", body: view })
      return view
    }
    const relation = relationOf(kind, pair.task.id, pair.other.id)
    const at = ctx.now()
    try {
      await commit(ctx, {
        permission: "task:write",
        about: pair.about,
        at,
        rows: [touchTask(ctx, pair.task, at), insertRelation(ctx, relation, { ...pair.about, id: pair.other.id }, at)],
        changes: [changeOfTask(pair.task, "task.related", { before: null, after: { kind, otherId: pair.other.id } })],
        answer: { kind: "changed", body: view },
      })
    } catch (error) {
      if (error instanceof CommitRefused) await explainRelation(ctx, error, relation)
      throw error
    }
    return view
  })
}

/** Ends a relation. Tasks that do not have it change nothing. */
export async function unrelateTasks(ctx: Ctx, idOrKey: string, word: string, other: string): Promise<void> {
  const kind = parseKind(word)
  await untilUncontested(async () => {
    const pair = await getPair(ctx, idOrKey, kind, other)
    if (!pair.isRelated) return commitNothing(ctx, "task:write", { kind: "empty" })
    const relation = relationOf(kind, pair.task.id, pair.other.id)
    const { taskRelations } = ctx.db.tables
    const at = ctx.now()
    await commit(ctx, {
      permission: "task:write",
      at,
      rows: [
        // Of two who end it from both ends at once, the second finds nothing to end.
        touchTask(
          ctx,
          pair.task,
          at,
          sql`(select 1 from ${taskRelations} r where ${rowIs(ctx, relation)}) is not null`,
        ),
        ctx.db.sql
          .delete(taskRelations)
          .where(
            and(
              eq(taskRelations.workspaceId, ctx.workspaceId),
              eq(taskRelations.taskId, relation.taskId),
              eq(taskRelations.kind, relation.kind),
              eq(taskRelations.otherId, relation.otherId),
            ),
          ),
      ],
      changes: [changeOfTask(pair.task, "task.unrelated", { before: { kind, otherId: pair.other.id }, after: null })],
      answer: { kind: "empty" },
    })
  })
}

const rowIs = ({ workspaceId }: Ctx, { taskId, kind, otherId }: Relation) =>
  sql`r.workspace_id = ${workspaceId} and r.task_id = ${taskId} and r.kind = ${kind} and r.other_id = ${otherId}`

/** The task's next revision, without any other change of it. */
function touchTask(ctx: Ctx, before: Task, at: number, condition?: SQL) {
  const { tasks } = ctx.db.tables
  return ctx.db.sql
    .update(tasks)
    .set({ updatedAt: at, revision: before.revision + 1 })
    .where(and(isHere(ctx, before.id), eq(tasks.revision, before.revision), condition))
}

/** What must not be, or `other_id` comes out null, which refuses the commit. */
function insertRelation(ctx: Ctx, relation: Relation, other: { id: string; projectId: string }, at: number) {
  const { db, workspaceId } = ctx
  const { taskRelations, tasks } = db.tables
  const isThere = sql`(select q.id from ${db.sql
    .select({ id: tasks.id })
    .from(tasks)
    .where(and(isHere(ctx, other.id), eq(tasks.projectId, other.projectId)))} q) is not null`
  const conditions = [
    isThere,
    ...[relation.taskId, relation.otherId].map((id) => sql`(${relationNumber(ctx, id, mostRelations)}) is null`),
    ...(relation.kind === "blocks" ? [sql`(${wayBack(ctx, relation)}) is null`] : []),
  ]
  const row = { ...relation, workspaceId, createdBy: ctx.actor.userId, createdAt: at }
  return insertRows(db, taskRelations, [row], {
    computed: { otherId: sql`case when ${sql.join(conditions, sql` and `)} then ${db.given("otherId")} end` },
  })
}

/** Finds a task's `n`-th relation, from whichever end. */
function relationNumber({ db, workspaceId }: Ctx, id: string, n: number): SQL {
  const { taskRelations } = db.tables
  const from = sql`select r.kind from ${taskRelations} r where r.workspace_id = ${workspaceId} and r.task_id = ${id}`
  const to = sql`select r.kind from ${taskRelations} r where r.workspace_id = ${workspaceId} and r.other_id = ${id}`
  return sql`select 1 from (${from} union all ${to}) relation limit 1 offset ${n - 1}`
}

/**
 * Finds a way from the task that is to be blocked to the one that is to block it, or that there is too much to follow.
 * `andSeen`: what of projects `p` the way may lead through.
 */
function wayBack({ db: { joinEach, tables }, workspaceId }: Ctx, { taskId, otherId }: Relation, andSeen = sql``): SQL {
  const { projects, taskRelations, tasks } = tables
  const isLive = sql`(select 1 from ${tasks} t join ${projects} p on p.workspace_id = ${workspaceId} and p.id = t.project_id where t.workspace_id = ${workspaceId} and t.id = down.id and t.deleted_at is null and p.deleted_at is null ${andSeen}) is not null`
  const next = joinEach(
    taskRelations,
    "r",
    sql`r.workspace_id = ${workspaceId} and r.task_id = down.id and r.kind = 'blocks'`,
  )
  const blocked = sql`with recursive down (id) as (
    select r.other_id from ${taskRelations} r where r.workspace_id = ${workspaceId} and r.task_id = ${otherId} and r.kind = 'blocks'
    union
    select r.other_id from down ${next} where ${isLive}
  ) select down.id from down limit ${farthest}`
  return sql`select 1 from (select w.id from (${blocked}) w union all select ${taskId} from (${blocked} offset ${farthest - 1}) beyond) way where way.id = ${taskId} limit 1`
}

async function explainRelation(ctx: Ctx, { refusal, cause }: CommitRefused, relation: Relation): Promise<void> {
  // Somebody has related them in the same moment.
  if (refusal.reason === "unique") throw new CommitRefused({ reason: "row" }, cause)
  if (refusal.reason !== "not_null") return
  const found = (query: SQL) => ctx.db.sql.select({ one: sql<number>`found.one`.as("one") }).from(sql`(${query}) found`)
  const one = (query: SQL) => found(sql`select 1 as one from (${query}) inside`)
  const [back, seenBack, full, otherFull] = await ctx.db.read(
    one(wayBack(ctx, relation)),
    one(wayBack(ctx, relation, andVisible(ctx))),
    one(relationNumber(ctx, relation.taskId, mostRelations)),
    one(relationNumber(ctx, relation.otherId, mostRelations)),
  )
  if (relation.kind === "blocks" && back.length > 0) {
    // Nobody is told of what blocks what where they do not see.
    const isSeen = seenBack.length > 0
    const detail = isSeen
      ? "These tasks would block each other, directly or through others"
      : "This task cannot block it"
    throw new DomainError("conflict", detail, { cause })
  }
  if (full.length + otherFull.length > 0) {
    throw new DomainError("conflict", `A task has at most ${mostRelations} relations`, { cause })
  }
  throw new CommitRefused({ reason: "row" }, cause)
}
