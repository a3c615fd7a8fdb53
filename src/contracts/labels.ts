import * as z from "zod"
import { labelKey } from "../lib/label-names.ts"
import { Base, Cursor, chosenId, id, Limit, line, page, pathId, Revision, refuseTwinIds, Time } from "./common.ts"

const longestName = 50

/** Also short once it is normalised, where one character may stand for many: it is what lists are ordered by. */
export const LabelName = line(longestName)
  .refine((name) => [...name].length > longestName || [...labelKey(name)].length <= longestName, {
    error: `must have at most ${longestName} characters, also without ligatures`,
  })
  .meta({ description: "Compared without case: a workspace has no two labels of one name" })

const Color = z
  .string()
  .regex(/^#[0-9a-f]{6}$/i, { error: "must be a colour such as #1d4ed8" })
  .transform((color) => color.toLowerCase())

export const Label = z
  .object({
    id: id("label"),
    name: z.string(),
    color: z.string().meta({ description: "#rrggbb" }),
    revision: Revision,
    createdBy: id("user"),
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Label" })

export type LabelView = z.output<typeof Label>

export const NewLabel = z.strictObject({
  id: chosenId("label"),
  name: LabelName,
  color: Color.optional().meta({ description: "#rrggbb; chosen by the name when omitted" }),
})
export type NewLabelInput = z.output<typeof NewLabel>

export const NewLabels = z.strictObject({ labels: z.array(NewLabel).min(1).max(100).check(refuseTwinIds) })
export const LabelList = z.object({ data: z.array(Label) })

export const LabelPatch = z.strictObject({
  name: LabelName.optional(),
  color: Color.optional(),
  revision: Revision.optional(),
  base: Base,
})
export type LabelPatchInput = z.output<typeof LabelPatch>

export const LabelMerger = z.strictObject({ into: id("label").meta({ description: "The label that takes the tasks" }) })

export const LabelQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type LabelQueryInput = z.output<typeof LabelQuery>
export const LabelPage = page(Label)
export const LabelPath = z.object({ labelId: pathId("label") })
