import { and, eq, isNull, sql } from "drizzle-orm"
import type { LabelView } from "../contracts/labels.ts"
import type { Ctx } from "./ctx.ts"
import { invalid, notFound } from "./errors.ts"
import { commit, untilUncontested } from "./events.ts"
import { changeOfLabel, labelView, mustNameLabel, replaceLabel, takeOffTasks } from "./labels.ts"
import { permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"

/** Gives all tasks of a label another one, and deletes it: one event, whatever their number. The other one is answered. */
export async function mergeLabel(ctx: Ctx, id: string, intoId: string, expected: Expected): Promise<LabelView> {
  permit(ctx, "label:manage")
  mustNameLabel(id)
  return untilUncontested(async () => {
    const { db, workspaceId } = ctx
    const { labels } = db.tables
    const found = await loadBoth(ctx, [id, intoId])
    const before = found.get(id)
    if (!before) throw notFound("label")
    if (id === intoId) throw invalid({ pointer: "/into", detail: "must be another label" })
    const target = found.get(intoId)
    if (!target) throw invalid({ pointer: "/into", detail: "There is no such label" })
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const targetIsHere = sql`(select 1 from ${labels} l where l.workspace_id = ${workspaceId} and l.id = ${intoId} and l.deleted_at is null) is not null`
    await commit(ctx, {
      permission: "label:manage",
      at,
      rows: [
        replaceLabel(ctx, before, { deletedAt: at, updatedAt: at, mergedInto: intoId }, targetIsHere),
        giveToTasksOf(ctx, id, intoId),
        takeOffTasks(ctx, id),
      ],
      changes: [
        changeOfLabel(id, before.revision + 1, "label.merged", {
          before: { name: before.name },
          after: { mergedInto: intoId },
        }),
      ],
      answer: { kind: "changed", body: labelView(target) },
    })
    return labelView(target)
  })
}

async function loadBoth({ db, workspaceId }: Ctx, ids: string[]) {
  const { labels } = db.tables
  const [rows] = await db.read(
    db.sql
      .select()
      .from(labels)
      .where(and(eq(labels.workspaceId, workspaceId), isNull(labels.deletedAt), db.oneOf(labels.id, ids))),
  )
  return new Map(rows.map((row) => [row.id, row]))
}

/** Whichever tasks have the one label when it runs get the other, unless they have it. */
function giveToTasksOf({ db, workspaceId }: Ctx, fromId: string, intoId: string) {
  const { taskLabels } = db.tables
  const hasOther = sql`select 1 from ${taskLabels} o where o.workspace_id = ${workspaceId} and o.task_id = x.task_id and o.label_id = ${intoId}`
  return db.sql
    .insert(taskLabels)
    .select(
      sql`select x.workspace_id, x.task_id, ${intoId} from ${taskLabels} x where x.workspace_id = ${workspaceId} and x.label_id = ${fromId} and not exists (${hasOther})`,
    )
}
