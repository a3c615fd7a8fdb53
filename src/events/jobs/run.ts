import { eq, sql } from "drizzle-orm"
import { type Db, openDb } from "../../db/db.ts"
import type { Database } from "../../db/engine.ts"
import type { Row } from "../../db/tables.ts"
import { newId } from "../../lib/ids.ts"
import { describeError, logJob } from "../../observability/log.ts"
import { deletedWorkspaces } from "./deleted-workspaces.ts"
import { digests } from "./digests.ts"
import { expiredInvitations } from "./expired-invitations.ts"
import { expiredReceipts } from "./expired-receipts.ts"
import type { Job, JobCtx, JobHubs, JobInboxes, JobName } from "./job.ts"
import { unreadLogs } from "./unread-logs.ts"

/** What runs in the background, the most urgent first. */
export const jobs: readonly Job[] = [unreadLogs, expiredReceipts, expiredInvitations, deletedWorkspaces, digests]

/** How a run went. */
export type JobRun = Omit<Row<"jobs">, "cursor">

/** What an instance has for its jobs. */
export type JobHost = {
  database: Database
  hubs: JobHubs
  inboxes: JobInboxes
  now: () => number
  settings: { READ_ONLY: boolean }
}

/** One run of each, as the clock asks for it. */
export async function runJobs({ database, hubs, inboxes, now, settings }: JobHost, all = jobs): Promise<void> {
  if (settings.READ_ONLY) return
  for (const job of all) {
    const db = openDb(database.connect())
    try {
      await runJob({ db, hubs, inboxes, now, newId }, job)
    } catch (error) {
      // Not even its record could be written; the others may have more luck.
      logJob({ job: job.name, ...describeError(error) })
    } finally {
      await db.close()
    }
  }
}

/** Runs a job from where its last run ended, and records how it went. A run that fails leaves the cursor where it was. */
export async function runJob(ctx: JobCtx, job: Job): Promise<JobRun> {
  const startedAt = ctx.now()
  const cursor = await findCursor(ctx.db, job.name)
  const outcome = await job
    .run(ctx, cursor)
    .catch((error: unknown) => ({ cursor, examined: 0, done: 0, lagMs: 0, error }))
  const { examined, done, lagMs } = outcome
  const error = "error" in outcome ? describeError(outcome.error).error : null
  const run: JobRun = { name: job.name, startedAt, durationMs: ctx.now() - startedAt, lagMs, examined, done, error }
  await record(ctx.db, { ...run, cursor: outcome.cursor })
  logJob({ job: job.name, durationMs: run.durationMs, lagMs, examined, done, ...(error !== null && { error }) })
  return run
}

async function findCursor(db: Db, name: JobName): Promise<string | null> {
  const { jobs: table } = db.tables
  const [[row]] = await db.read(db.sql.select({ cursor: table.cursor }).from(table).where(eq(table.name, name)))
  return row?.cursor ?? null
}

/** Of two runs at once, the one that began last is told. */
async function record(db: Db, row: Row<"jobs">): Promise<void> {
  const { jobs: table } = db.tables
  const { name: _key, ...set } = row
  await db.write(
    db.sql
      .insert(table)
      .values(row)
      .onConflictDoUpdate({ target: table.name, set, setWhere: sql`${table.startedAt} <= ${row.startedAt}` }),
  )
}

/** The last run of each job; null for one that has not run yet. */
export async function lastRuns(db: Db): Promise<{ job: Job; run: JobRun | null }[]> {
  const { jobs: table } = db.tables
  const [rows] = await db.read(db.sql.select().from(table))
  return jobs.map((job) => {
    const row = rows.find(({ name }) => name === job.name)
    if (!row) return { job, run: null }
    // A cursor may name somebody's address.
    const { cursor: _cursor, ...run } = row
    return { job, run }
  })
}
