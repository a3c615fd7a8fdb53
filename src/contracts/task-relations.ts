import * as z from "zod"
import { id } from "./common.ts"
import { Status, TaskPath } from "./tasks.ts"

export const relationKinds = ["blocks", "blocked_by", "relates", "duplicates", "duplicated_by"] as const
export type RelationKind = (typeof relationKinds)[number]

/** How a task stands to another: seen from the other one, `blocks` is `blocked_by`. */
export const Relation = z
  .object({
    kind: z.enum(relationKinds),
    task: z.object({ id: id("task"), key: z.string(), title: z.string(), status: Status }),
  })
  .meta({ id: "Relation" })

export type RelationView = z.output<typeof Relation>

export const RelationList = z.object({ data: z.array(Relation) })

export const RelationPath = TaskPath.extend({
  kind: z.string().meta({ description: relationKinds.join(", ") }),
  otherIdOrKey: z.string().meta({ description: "Id or key of the other task" }),
})
