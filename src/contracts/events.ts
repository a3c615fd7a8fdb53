import * as z from "zod"
import { id, Limit, Time } from "./common.ts"

const fields = z.record(z.string(), z.unknown()).nullable()

export const Event = z
  .object({
    seq: z.int().meta({ description: "Its number in the workspace's log. Those that you may not see are left out" }),
    type: z.string().meta({
      description: "task.created, project.deleted, …; task.hidden and project.hidden for what you see no more",
    }),
    subjectId: z.string(),
    subjectKey: z.string().nullable(),
    revision: z.int(),
    actorId: z.string(),
    actorRole: z.string().meta({ description: "The role that the actor had once it was done" }),
    source: z.string(),
    projectId: id("project").nullable(),
    previousProjectId: id("project").nullable(),
    data: z.object({ before: fields, after: fields }).meta({ description: "The changed fields" }),
    resync: z
      .object({ reason: z.enum(["gained", "lost", "role"]), projectId: id("project").nullable() })
      .optional()
      .meta({
        description:
          "You see more or less than before: read that project, or everything when it is null, from /sync again; of what was lost, forget it",
      }),
    at: Time,
  })
  .meta({ id: "Event" })

export type EventView = z.output<typeof Event>

export const EventQuery = z.strictObject({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .default(0)
    .meta({ description: "`next` of the page before; 0 for the beginning" }),
  limit: Limit,
})

export const EventPage = z.object({
  data: z.array(Event),
  next: z.int().meta({ description: "The last number that was examined: ask for what is after it" }),
})
