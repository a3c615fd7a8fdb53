import { and, eq, sql } from "drizzle-orm"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { Ctx } from "./ctx.ts"
import { type FieldError, invalid } from "./errors.ts"
import type { Task } from "./task-rows.ts"

// The labels of a task. A label can be deleted or merged at any moment, without its tasks being written.

/** For a label that is not there (any more) `label_id` comes out null, which refuses the commit. What is there stays. */
export function insertLabels({ db, workspaceId }: Ctx, rows: { taskId: string; labelId: string }[]) {
  const { labels, taskLabels } = db.tables
  const { given } = db
  const label = sql`(select l.id from ${labels} l where l.workspace_id = ${workspaceId} and l.id = ${given("labelId")} and l.deleted_at is null)`
  const isThere = sql`select 1 from ${taskLabels} x where x.workspace_id = ${workspaceId} and x.task_id = ${given("taskId")} and x.label_id = ${given("labelId")}`
  return insertRows(
    db,
    taskLabels,
    rows.map((row) => ({ ...row, workspaceId })),
    { computed: { labelId: label }, tail: sql`where not exists (${isThere})` },
  )
}

/**
 * Leaves a task with exactly the labels that it is to have. By what stands there when it runs, and not by what was
 * read: merging changes a task's labels and leaves its revision.
 */
export function replaceLabels(ctx: Ctx, before: Task, after: Task): Statement[] {
  const { labelIds } = after
  if (labelIds.join() === before.labelIds.join()) return []
  const { db, workspaceId } = ctx
  const { taskLabels } = db.tables
  const ofTask = and(eq(taskLabels.workspaceId, workspaceId), eq(taskLabels.taskId, before.id))
  const gone = labelIds.length > 0 ? and(ofTask, sql`not ${db.oneOf(taskLabels.labelId, labelIds)}`) : ofTask
  const rows = labelIds.map((labelId) => ({ taskId: before.id, labelId }))
  return [db.sql.delete(taskLabels).where(gone), ...(rows.length > 0 ? [insertLabels(ctx, rows)] : [])]
}

/** What tells which of the labels are there, and what became of the others. */
export function findLabels({ db, workspaceId }: Ctx, ids: string[]) {
  const { labels } = db.tables
  // A part of its own: a column that stands in the selection itself is written without its table.
  const isTarget = sql`l.workspace_id = ${labels.workspaceId} and l.id = ${labels.mergedInto}`
  const target = sql<string | null>`(select l.name from ${labels} l where ${isTarget})`
  return db.sql
    .select({
      id: labels.id,
      deletedAt: labels.deletedAt,
      mergedInto: labels.mergedInto,
      targetName: target.as("target_name"),
    })
    .from(labels)
    .where(and(eq(labels.workspaceId, workspaceId), db.oneOf(labels.id, ids)))
}

type Found = Awaited<ReturnType<typeof findLabels>>[number]

/** An error for each label that is not there; `at` points to what was to have them. */
export function strayLabels(labelIds: string[], found: Found[], at: string): FieldError[] {
  const labels = new Map(found.map((label) => [label.id, label]))
  return labelIds.flatMap((id, index) => {
    const label = labels.get(id)
    if (label && label.deletedAt === null) return []
    const detail = label?.mergedInto
      ? `was merged into ${label.targetName ?? "another label"}: ${label.mergedInto}`
      : "There is no such label"
    return [{ pointer: `${at}/labelIds/${index}`, detail }]
  })
}

/** Throws which of the labels are not there, in the caller's order, or that the commit met another. */
export async function explainLabels(ctx: Ctx, { cause }: CommitRefused, labelIds: string[]): Promise<never> {
  const [found] = await ctx.db.read(findLabels(ctx, labelIds))
  const errors = strayLabels(labelIds, found, "")
  throw errors.length > 0 ? invalid(...errors) : new CommitRefused({ reason: "row" }, cause)
}
