import type { Db } from "../../db/db.ts"
import type { IdKind } from "../../lib/ids.ts"

/** The hubs of workspaces, as far as jobs know them. */
export type JobHubs = {
  /** Lets a workspace's hub look for what it has missed. */
  catchUp(workspaceId: string): Promise<void>
  /** Takes away everything that a workspace's hub has stored. */
  forget(workspaceId: string): Promise<void>
}

/** The inboxes of people, as far as jobs know them. */
export type JobInboxes = {
  /** Takes away everything that a person's hub keeps of a workspace. */
  forget(userId: string, workspaceId: string): Promise<void>
  /** Lets somebody's object send what should be mailed by now; since when, in epoch milliseconds, null: nothing was. */
  sendOwedMail(userId: string): Promise<number | null>
}

/** What a job has for one run; its database is the primary. */
export type JobCtx = {
  db: Db
  /** Epoch milliseconds. */
  now: () => number
  newId: (kind: IdKind) => string
  hubs: JobHubs
  inboxes: JobInboxes
}

export type Outcome = {
  /** Where the next run goes on; null: at the beginning. */
  cursor: string | null
  /** How many rows were looked at, to find what is to be done. */
  examined: number
  done: number
  /** How late it was for the oldest thing that was found; 0 when there was none. */
  lagMs: number
  /** What failed of it; the rest was done. */
  error?: unknown
}

/**
 * Something to be done again and again, of which each run does a bounded part: it looks at one window of rows from where
 * the last run ended. Whatever a run does bears being done again, by the next one or by another at the same time: a run
 * that is killed has not moved the cursor, and its window is looked at once more.
 */
export type Job = {
  name: JobName
  about: string
  run(ctx: JobCtx, cursor: string | null): Promise<Outcome>
}

export const jobNames = [
  "unread-logs",
  "expired-receipts",
  "expired-invitations",
  "deleted-workspaces",
  "digests",
] as const
export type JobName = (typeof jobNames)[number]

/** How late something was that was due at the earliest of these times; 0 when nothing was. */
export const lateness = (now: number, dueAt: readonly number[]): number =>
  dueAt.length > 0 ? Math.max(now - Math.min(...dueAt), 0) : 0
