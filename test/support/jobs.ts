import { env } from "cloudflare:workers"
import { openDb } from "../../src/db/db.ts"
import type { Database } from "../../src/db/engine.ts"
import type { Job, JobCtx, JobHubs, JobInboxes, Outcome } from "../../src/events/jobs/job.ts"
import { type JobRun, runJob } from "../../src/events/jobs/run.ts"
import { inboxDirectory } from "../../src/hub/inbox-directory.ts"
import { workspaceDirectory } from "../../src/hub/workspace-directory.ts"
import { newId } from "../../src/lib/ids.ts"
import { openApp } from "./app.ts"
import { type Caller, newCaller } from "./caller.ts"
import { database, execute } from "./database.ts"

export const hubs = workspaceDirectory(env.WORKSPACE_HUB)
export const inboxes = inboxDirectory(env.USER_HUB)

type Given = { now?: number; database?: Database; hubs?: Partial<JobHubs>; inboxes?: Partial<JobInboxes> }

async function withJobs<T>(
  given: Given,
  work: (ctx: JobCtx) => Promise<T>,
): Promise<T & { rowsRead: number; trips: number }> {
  const db = openDb((given.database ?? database).connect(), { sleep: async () => undefined })
  try {
    const there = { hubs: { ...hubs, ...given.hubs }, inboxes: { ...inboxes, ...given.inboxes } }
    const ctx = { db, now: () => given.now ?? Date.now(), newId, ...there }
    const done = await work(ctx)
    return { ...done, rowsRead: db.meter.rowsRead, trips: db.meter.trips }
  } finally {
    await db.close()
  }
}

/** A run from a place of the test's own, which is not recorded. */
export const runFrom = (job: Job, cursor: string | null, given: Given = {}) =>
  withJobs<Outcome>(given, (ctx) => job.run(ctx, cursor))

/** A run as the clock starts it. */
export const run = (job: Job, given: Given = {}) => withJobs<JobRun>(given, (ctx) => runJob(ctx, job))

/** Right before an id, for a run to begin there. */
export const justBefore = (id: string): string =>
  `${id.slice(0, -1)}${String.fromCharCode(id.charCodeAt(id.length - 1) - 1)}`

/** Somebody whose writes are told to no hub. */
export async function untold(): Promise<Caller> {
  const app = await openApp()
  return newCaller(await openApp({ hubs: { ...app.instance.hubs, tell: async () => undefined } }))
}

/** The same job under a name of the test's own, for it to be recorded without meeting others of its kind. */
export async function aside(job: Job, cursor: string | null = null): Promise<Job> {
  const name = `${job.name} ${crypto.randomUUID()}`
  await execute(
    "insert into jobs (name, cursor, started_at, duration_ms, lag_ms, examined, done) values (?, ?, 0, 0, 0, 0, 0)",
    name,
    cursor,
  )
  return { ...job, name: name as Job["name"] }
}
