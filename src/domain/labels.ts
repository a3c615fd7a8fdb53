import { and, asc, eq, isNull, sql } from "drizzle-orm"
import type { LabelPatchInput, LabelQueryInput, LabelView, NewLabelInput } from "../contracts/labels.ts"
import { insertRows } from "../db/rows.ts"
import type { Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import { colorOf, labelKey } from "../lib/label-names.ts"
import { rfc3339 } from "../lib/time.ts"
import { explainTaken } from "./chosen-ids.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { commit, commitNothing, type DomainChange, difference, untilUncontested } from "./events.ts"
import { beyond, cutRows, parseCursor } from "./lists.ts"
import { rebase, selectSince } from "./merging.ts"
import { type Permission, permit } from "./permissions.ts"
import { type Expected, expectRevision, type Known } from "./revisions.ts"
import { refuseTwice, refusingTaken } from "./taken-names.ts"

// Labels belong to the workspace: whoever is in it reads all of their names, in whatever project they are used.

export type Label = Row<"labels">

export function labelView({ id, name, color, revision, createdBy, createdAt, updatedAt }: Label): LabelView {
  return { id, name, color, revision, createdBy, createdAt: rfc3339(createdAt), updatedAt: rfc3339(updatedAt) }
}

/** The labels by name: one page in one round trip. */
export async function listLabels(
  ctx: Ctx,
  { limit, cursor }: LabelQueryInput,
): Promise<{ data: LabelView[]; next: string | null }> {
  permit(ctx, "label:read")
  const { db, workspaceId } = ctx
  const { labels } = db.tables
  const list = `${workspaceId} labels`
  const place = parseCursor(list, "string", cursor)
  // No two have one name: it orders alone.
  const range = beyond(
    { key: null, id: sql`${labels.nameKey}`, direction: "asc" },
    place && { ...place, id: `${place.k}` },
  )
  const [rows] = await db.read(
    db.sql
      .select()
      .from(labels)
      .where(and(eq(labels.workspaceId, workspaceId), isNull(labels.deletedAt), range))
      .orderBy(asc(labels.nameKey))
      .limit(limit + 1),
  )
  const page = cutRows(rows, limit, list, ({ nameKey, id }) => ({ k: nameKey, id }))
  return { data: page.rows.map(labelView), next: page.next }
}

export async function createLabel(ctx: Ctx, input: NewLabelInput): Promise<LabelView> {
  const [label] = await createAll(ctx, [input], "created", "")
  if (!label) throw new TypeError("A commit of one label wrote none")
  return label
}

/** Up to 100 labels in one commit: all or none, one event each. */
export async function createLabels(ctx: Ctx, inputs: NewLabelInput[]): Promise<LabelView[]> {
  return createAll(ctx, inputs, "created_many", "/labels/{}")
}

/** `pointer` is where an input stands in the request's body; `{}` is its index. */
async function createAll(
  ctx: Ctx,
  inputs: NewLabelInput[],
  kind: "created" | "created_many",
  pointer: string,
): Promise<LabelView[]> {
  permit(ctx, "label:manage")
  const at = ctx.now()
  const drafts = inputs.map(({ id = ctx.newId("label"), name, color = colorOf(name) }): Label => {
    const row = { workspaceId: ctx.workspaceId, id, name, nameKey: labelKey(name), color }
    const times = { createdAt: at, updatedAt: at, deletedAt: null }
    return { ...row, revision: 1, createdBy: ctx.actor.userId, ...times, mergedInto: null }
  })
  const wanted = drafts.map((draft, index) => ({ ...draft, pointer: pointer.replace("{}", String(index)) }))
  refuseTwice(wanted)
  return untilUncontested(async () => {
    await refusingTaken(
      ctx,
      wanted,
      commit(ctx, {
        permission: "label:manage",
        at,
        rows: [insertRows(ctx.db, ctx.db.tables.labels, drafts)],
        changes: drafts.map((draft) =>
          changeOfLabel(draft.id, 1, "label.created", { before: null, after: labelView(draft) }),
        ),
        answer: { kind },
      }),
      (error) => explainTaken(ctx, "label", error, inputs, pointer),
    )
    return drafts.map(labelView)
  })
}

/** Whether a label is the one of this id, and is there. */
export function isLabel({ db, workspaceId }: Ctx, id: string) {
  const { labels } = db.tables
  return and(eq(labels.workspaceId, workspaceId), eq(labels.id, id), isNull(labels.deletedAt))
}

const getLabelRow = async (ctx: Ctx, id: string, permission: Permission): Promise<Label> =>
  (await getLabelSince(ctx, id, permission, null)).label

/** A label, with what has happened to it since the caller's base. */
async function getLabelSince(ctx: Ctx, id: string, permission: Permission, known: Known) {
  permit(ctx, permission)
  mustNameLabel(id)
  const [[label], ...since] = await ctx.db.read(
    ctx.db.sql.select().from(ctx.db.tables.labels).where(isLabel(ctx, id)),
    ...selectSince(ctx, id, known),
  )
  if (!label) throw notFound("label")
  return { label, since: since.flat() }
}

export function mustNameLabel(id: string): void {
  if (!idPattern("label").test(id)) throw notFound("label")
}

export async function getLabel(ctx: Ctx, id: string): Promise<LabelView> {
  return labelView(await getLabelRow(ctx, id, "label:read"))
}

export async function updateLabel(ctx: Ctx, id: string, wanted: LabelPatchInput, known: Known): Promise<LabelView> {
  return untilUncontested(async () => {
    const { label: before, since } = await getLabelSince(ctx, id, "label:manage", known)
    expectRevision(known, before.revision)
    const { name = before.name, color = before.color } = rebase(known, labelView(before), since, wanted)
    const at = ctx.now()
    const after = { ...before, name, nameKey: labelKey(name), color, updatedAt: at, revision: before.revision + 1 }
    const data = difference(labelView(before), labelView(after))
    if (Object.keys(data.after).length === 0) {
      await commitNothing(ctx, "label:manage", { kind: "changed", body: labelView(before) })
      return labelView(before)
    }
    await refusingTaken(
      ctx,
      [{ name, nameKey: after.nameKey, pointer: "" }],
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
