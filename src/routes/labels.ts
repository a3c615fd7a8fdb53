import { Hono } from "hono"
import {
  Label,
  LabelList,
  LabelMerger,
  LabelPage,
  LabelPatch,
  LabelPath,
  LabelQuery,
  NewLabel,
  NewLabels,
} from "../contracts/labels.ts"
import { mergeLabel } from "../domain/label-merging.ts"
import * as labels from "../domain/labels.ts"
import { conditional, expectedRevision, knownRevision } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"
import { page } from "../http/pagination.ts"

export const labelRoutes = new Hono<AppEnv>()

labelRoutes.get("/labels", cachedOperation("List labels by name", LabelPage), query(LabelQuery), async (c) =>
  page(c, await labels.listLabels(c.var.ctx, c.req.valid("query"))),
)

labelRoutes.post("/labels", operation("Create a label", Label, 201), body(NewLabel), async (c) =>
  created(c, await labels.createLabel(c.var.ctx, c.req.valid("json"))),
)

labelRoutes.post(
  "/labels/bulk",
  operation("Create up to 100 labels, all or none", LabelList, 201),
  body(NewLabels),
  async (c) => c.json({ data: await labels.createLabels(c.var.ctx, c.req.valid("json").labels) }, 201),
)

labelRoutes.get("/labels/:labelId", cachedOperation("Get a label", Label), params(LabelPath), async (c) => {
  const label = await labels.getLabel(c.var.ctx, c.req.valid("param").labelId)
  return conditional(c, label, label)
})

labelRoutes.patch(
  "/labels/:labelId",
  operation("Change a label", Label),
  params(LabelPath),
  body(LabelPatch),
  async (c) => {
    const { revision, base, ...patch } = c.req.valid("json")
    const { labelId } = c.req.valid("param")
    const label = await labels.updateLabel(c.var.ctx, labelId, patch, knownRevision(c, { revision, base }))
    return conditional(c, label, label)
  },
)

labelRoutes.delete(
  "/labels/:labelId",
  operation("Delete a label, and take it off its tasks"),
  params(LabelPath),
  async (c) => {
    await labels.deleteLabel(c.var.ctx, c.req.valid("param").labelId, expectedRevision(c))
    return c.body(null, 204)
  },
)

labelRoutes.put(
  "/labels/:labelId/merger",
  operation("Merge a label into another", Label, 200, {
    description: "The tasks of the label get the other one, which is answered; the label itself is deleted.",
  }),
  params(LabelPath),
  body(LabelMerger),
  async (c) => {
    const { labelId } = c.req.valid("param")
    const label = await mergeLabel(c.var.ctx, labelId, c.req.valid("json").into, expectedRevision(c))
    return conditional(c, label, label)
  },
)
