import * as z from "zod"
import { Cursor, id } from "./common.ts"
import { Label } from "./labels.ts"
import { Member } from "./members.ts"
import { Project } from "./projects.ts"
import { Task } from "./tasks.ts"

export const SyncQuery = z.strictObject({
  project: id("project").optional().meta({ description: "That project and its tasks only" }),
  limit: z.coerce
    .number({ error: "must be a number" })
    .int()
    .min(1)
    .max(200)
    .default(200)
    .meta({ description: "Rows per page, 1 to 200" }),
  cursor: Cursor.optional(),
})

export type SyncQueryInput = z.output<typeof SyncQuery>

/** One page has rows of one kind; the kinds come in the order in which they stand here. */
export const SyncPage = z
  .object({
    seq: z.int().meta({
      description: "How far the log was before the first page: read `/events?after=` this once you have every page",
    }),
    projects: z.array(Project),
    labels: z.array(Label),
    members: z.array(Member).meta({ description: "Empty for guests, and for keys without member:read" }),
    tasks: z.array(Task),
    next: z.string().nullable().meta({ description: "Cursor of the next page, null at the end" }),
  })
  .meta({ id: "SyncPage" })

export type SyncPageView = z.output<typeof SyncPage>
