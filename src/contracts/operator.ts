import * as z from "zod"
import { pathId, Time } from "./common.ts"

export const JobRun = z
  .object({
    startedAt: Time,
    durationMs: z.int(),
    lagMs: z
      .int()
      .meta({ description: "How late it was for the oldest thing that it found to do; 0: nothing was late" }),
    examined: z.int().meta({ description: "Rows that were looked at" }),
    done: z.int().meta({ description: "What it did: hubs woken, rows deleted, addresses forgotten" }),
    error: z.string().nullable().meta({ description: "What failed; the rest was done" }),
  })
  .meta({ id: "JobRun" })

export type JobRunView = z.output<typeof JobRun>

export const JobList = z.object({
  data: z.array(z.object({ name: z.string(), about: z.string(), lastRun: JobRun.nullable() }).meta({ id: "Job" })),
})

export const JobPath = z.object({ name: z.string().meta({ description: "Name of a job" }) })

export const WorkspaceHub = z
  .object({
    seq: z.int().meta({ description: "Where the workspace's log ends" }),
    pumpedSeq: z.int().meta({ description: "How far everybody had read it when that was last written down" }),
    readers: z.array(
      z.object({
        name: z.string(),
        seq: z.int(),
        failing: z.object({ times: z.int(), retryAt: Time }).nullable(),
      }),
    ),
    parked: z
      .array(z.object({ reader: z.string(), seq: z.int(), error: z.string(), at: Time }))
      .meta({ description: "What a reader has given up, newest first" }),
  })
  .meta({ id: "WorkspaceHub" })

export type WorkspaceHubView = z.output<typeof WorkspaceHub>

export const HubPath = z.object({ workspaceId: pathId("workspace") })
