import { sql } from "drizzle-orm"
import { type RelationKind, type RelationView, relationKinds } from "../contracts/task-relations.ts"
import { andVisible } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { permit } from "./permissions.ts"
import { isHere, mustNameTask } from "./task-lookup.ts"
import { mostRelations, type Relation } from "./task-relations.ts"
import type { Task } from "./task-rows.ts"

/** Everything that a task that the actor sees has to do with others that they see. */
export async function listRelations(ctx: Ctx, idOrKey: string): Promise<{ data: RelationView[]; revision: number }> {
  permit(ctx, "task:read")
  mustNameTask(idOrKey)
  const { db, workspaceId } = ctx
  const { projects, taskRelations, tasks } = db.tables
  const one = db.sql.select({ id: tasks.id, revision: tasks.revision }).from(tasks).where(isHere(ctx, idOrKey))
  const found = sql`(select q.id from ${db.sql.select({ id: tasks.id }).from(tasks).where(isHere(ctx, idOrKey))} q)`
  const relations = sql`(
    select a.kind, a.other_id as id, 0 as is_reverse from (select r.kind, r.other_id from ${taskRelations} r where r.workspace_id = ${workspaceId} and r.task_id = ${found} limit ${mostRelations}) a
    union all
    select b.kind, b.task_id as id, 1 as is_reverse from (select r.kind, r.task_id from ${taskRelations} r where r.workspace_id = ${workspaceId} and r.other_id = ${found} limit ${mostRelations}) b
  )`
  const [[task], rows] = await db.read(
    one,
    db.sql
      .select({
        kind: sql<Relation["kind"]>`relation.kind`.as("kind"),
        isReverse: sql<number>`relation.is_reverse`.as("is_reverse"),
        id: sql<string>`t.id`.as("id"),
        key: sql<string>`t.key`.as("key"),
        title: sql<string>`t.title`.as("title"),
        status: sql<Task["status"]>`t.status`.as("status"),
      })
      .from(
        sql`${relations} relation ${db.joinEach(tasks, "t", sql`t.workspace_id = ${workspaceId} and t.id = relation.id`)}`,
      )
      .where(
        sql`t.deleted_at is null and (select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = t.project_id and p.deleted_at is null ${andVisible(ctx)}) is not null`,
      ),
  )
  if (!task) throw notFound("task")
  const data = rows.map(({ kind, isReverse, ...other }) => ({ kind: seenFrom(kind, isReverse === 1), task: other }))
  return { data: data.sort(byKind), revision: task.revision }
}

const reverse = { blocks: "blocked_by", duplicates: "duplicated_by", relates: "relates" } as const
const seenFrom = (kind: Relation["kind"], isReverse: boolean): RelationKind => (isReverse ? reverse[kind] : kind)

const byKind = (a: RelationView, b: RelationView) =>
  relationKinds.indexOf(a.kind) - relationKinds.indexOf(b.kind) || (a.task.id < b.task.id ? -1 : 1)
