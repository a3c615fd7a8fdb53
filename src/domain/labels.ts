import { and, asc, eq, isNull, sql } from "drizzle-orm"
import type { LabelPatchInput, LabelQueryInput, LabelView, NewLabelInput } from "../contracts/labels.ts"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import { colorOf, labelKey } from "../lib/label-names.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import { commit, commitNothing, type DomainChange, difference, untilUncontested } from "./events.ts"
import { beyond, formatCursor, parseCursor } from "./lists.ts"
import { type Permission, permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"

// Labels belong to the workspace: whoever is in it reads all of their names, in whatever project they are used.

export type Label = Row<"labels">

export function labelView({ id, name, color, revision, createdBy, createdAt, updatedAt }: Label): LabelView {
  return { id, name, color, revision, createdBy, createdAt: rfc3339(createdAt), updatedAt: rfc3339(updatedAt) }
}

/** The labels by name: one page in one round trip. */
export async function listLabels(
  ctx: Ctx,
  { limit, cursor }: LabelQueryInput,
): Promise<{ data: LabelView[]; next: string | null; seq: number }> {
  permit(ctx, "label:read")
  const { db, workspaceId } = ctx
  const { labels, heads } = db.tables
  const list = `${workspaceId} labels`
  const place = parseCursor(list, "string", cursor)
  // No two have one name: it orders alone.
  const range = beyond(
    { key: null, id: sql`${labels.nameKey}`, direction: "asc" },
    place && { ...place, id: `${place.k}` },
  )
  const [rows, [head]] = await db.read(
    db.sql
      .select()
      .from(labels)
      .where(and(eq(labels.workspaceId, workspaceId), isNull(labels.deletedAt), range))
      .orderBy(asc(labels.nameKey))
      .limit(limit + 1),
    db.sql.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId)),
  )
  const kept = rows.slice(0, limit)
  const last = rows.length > limit ? kept.at(-1) : undefined
  return {
    data: kept.map(labelView),
    next: last ? formatCursor(list, { k: last.nameKey, id: last.id }) : null,
    seq: head?.seq ?? 0,
  }
}

export async function createLabel(ctx: Ctx, { name, color = colorOf(name) }: NewLabelInput): Promise<LabelView> {
  permit(ctx, "label:manage")
  const at = ctx.now()
  const label: Label = {
    workspaceId: ctx.workspaceId,
    id: ctx.newId("label"),
    name,
    nameKey: labelKey(name),
    color,
    revision: 1,
    createdBy: ctx.actor.userId,
    createdAt: at,
    updatedAt: at,
    deletedAt: null,
    mergedInto: null,
  }
  const view = labelView(label)
  await refusingTaken(
    name,
    commit(ctx, {
      permission: "label:manage",
      at,
      rows: [insertRows(ctx.db, ctx.db.tables.labels, [label])],
      changes: [changeOfLabel(label.id, 1, "label.created", { before: null, after: view })],
      answer: { kind: "created" },
    }),
  )
  return view
}

/** Turns the refusal of a name that another label has into `conflict`. */
async function refusingTaken<T>(name: string, committing: Promise<T>): Promise<T> {
  try {
    return await committing
  } catch (error) {
    const isTaken = error instanceof CommitRefused && error.refusal.reason === "unique"
    if (!isTaken) throw error
    const errors = [{ pointer: "/name", detail: "belongs to another label of this workspace" }]
    throw new DomainError("conflict", `There is a label ${name} already`, { errors, cause: error })
  }
}

/** Whether a label is the one of this id, and is there. */
export function isLabel({ db, workspaceId }: Ctx, id: string) {
  const { labels } = db.tables
  return and(eq(labels.workspaceId, workspaceId), eq(labels.id, id), isNull(labels.deletedAt))
}

async function getLabelRow(ctx: Ctx, id: string, permission: Permission): Promise<Label> {
  permit(ctx, permission)
  mustNameLabel(id)
  const [[row]] = await ctx.db.read(ctx.db.sql.select().from(ctx.db.tables.labels).where(isLabel(ctx, id)))
  if (!row) throw notFound("label")
  return row
}

export function mustNameLabel(id: string): void {
  if (!idPattern("label").test(id)) throw notFound("label")
}

export async function getLabel(ctx: Ctx, id: string): Promise<LabelView> {
  return labelView(await getLabelRow(ctx, id, "label:read"))
}

export async function updateLabel(
  ctx: Ctx,
  id: string,
  patch: LabelPatchInput,
  expected: Expected,
): Promise<LabelView> {
  return untilUncontested(async () => {
    const before = await getLabelRow(ctx, id, "label:manage")
    expectRevision(expected, before.revision)
    const at = ctx.now()
    const { name = before.name, color = before.color } = patch
    const after = { ...before, name, nameKey: labelKey(name), color, updatedAt: at, revision: before.revision + 1 }
    const data = difference(labelView(before), labelView(after))
    if (Object.keys(data.after).length === 0) {
      await commitNothing(ctx, "label:manage", { kind: "changed", body: labelView(before) })
      return labelView(before)
    }
    await refusingTaken(
      name,
      commit(ctx, {
        permission: "label:manage",
        at,
        rows: [
          replaceLabel(ctx, before, {
            ...(name !== before.name && { name }),
            // An index whose columns are named is a billed row.
            ...(after.nameKey !== before.nameKey && { nameKey: after.nameKey }),
            color,
            updatedAt: at,
          }),
        ],
        changes: [changeOfLabel(id, after.revision, "label.updated", data)],
        answer: { kind: "changed", body: labelView(after) },
      }),
    )
    return labelView(after)
  })
}

/** Deletes a label and takes it off its tasks: one event, whatever their number. Its name can be given again. */
export async function deleteLabel(ctx: Ctx, id: string, expected: Expected): Promise<void> {
  await untilUncontested(async () => {
    const before = await getLabelRow(ctx, id, "label:manage")
    expectRevision(expected, before.revision)
    const at = ctx.now()
    await commit(ctx, {
      permission: "label:manage",
      at,
      rows: [replaceLabel(ctx, before, { deletedAt: at, updatedAt: at }), takeOffTasks(ctx, id)],
      changes: [changeOfLabel(id, before.revision + 1, "label.deleted", { before: labelView(before), after: null })],
      answer: { kind: "empty" },
    })
  })
}

export function replaceLabel(ctx: Ctx, before: Label, set: Partial<Label>, provided = sql`true`) {
  const { labels } = ctx.db.tables
  return ctx.db.sql
    .update(labels)
    .set({ ...set, revision: before.revision + 1 })
    .where(and(isLabel(ctx, before.id), eq(labels.revision, before.revision), provided))
}

export function takeOffTasks({ db, workspaceId }: Ctx, labelId: string) {
  const { taskLabels } = db.tables
  return db.sql.delete(taskLabels).where(and(eq(taskLabels.workspaceId, workspaceId), eq(taskLabels.labelId, labelId)))
}

export const changeOfLabel = (
  subjectId: string,
  revision: number,
  type: DomainChange["type"],
  data: DomainChange["data"],
): DomainChange => ({ type, subject: "label", subjectId, revision, projectId: null, data })
