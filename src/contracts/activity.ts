import * as z from "zod"
import { Cursor, id, Limit, page, Time } from "./common.ts"

/** Longer texts are cut in a feed. */
export const longestText = 1_000

export const Activity = z
  .object({
    seq: z.int().meta({ description: "Its number in the workspace's log" }),
    type: z.string().meta({ description: "task.created, project.deleted, …" }),
    at: Time,
    actor: z.object({ id: z.string(), name: z.string().nullable() }),
    source: z.string().meta({ description: "Through what: api, api_key or import" }),
    subject: z.object({ id: z.string(), key: z.string().nullable(), kind: z.string() }),
    projectId: id("project").nullable(),
    changes: z.array(z.object({ field: z.string(), from: z.unknown(), to: z.unknown() })).meta({
      description: `Texts end after ${longestText} characters; GET /events has them whole`,
    }),
  })
  .meta({ id: "Activity" })

export type ActivityView = z.output<typeof Activity>

export const ActivityQuery = z.strictObject({ limit: Limit, cursor: Cursor.optional() })
export type ActivityQueryInput = z.output<typeof ActivityQuery>
export const ActivityPage = page(Activity)
