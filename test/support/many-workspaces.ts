import type { Query } from "../../src/db/engine.ts"
import { purgedAfter } from "../../src/events/jobs/deleted-workspaces.ts"
import type { Job, Outcome } from "../../src/events/jobs/job.ts"
import { jobs } from "../../src/events/jobs/run.ts"
import { day } from "../../src/lib/time.ts"
import { execute, isPostgres } from "./database.ts"
import { between } from "./faults.ts"
import { runFrom } from "./jobs.ts"
import { insertAll, seedTasks } from "./seed.ts"
import { fillWorkspace } from "./whole-workspace.ts"

// An instance with many workspaces, receipts and invitations, for what jobs read of it.

const count = 12_000
const nth = (prefix: string, n: number) => `${prefix}_00bb${String(n).padStart(22, "0")}`
const each = <T>(row: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => row(n))

// A clock by which nothing of other tests is due, and theirs does not find what is due here.
const then = Date.now() + 7_300 * day

// Where ids end: nothing stands behind them.
const last = "wsp_7z"

let deletedId = ""

export async function buildManyWorkspaces(): Promise<void> {
  await insertAll(
    "heads",
    each((n) => ({ workspaceId: nth("wsp", n), seq: 9, pumpedSeq: n % 50 === 0 ? 3 : 9 })),
  )
  const workspace = { name: "x", inboxId: "x", createdBy: "x", createdAt: 1, deletedAt: null }
  await insertAll(
    "workspaces",
    each((n) => ({ id: nth("wsp", n), ...workspace })),
  )
  const user = { emailVerifiedAt: 1, name: "x", timeZone: "UTC", revision: 1, createdAt: 1, updatedAt: 1 }
  await insertAll(
    "users",
    each((n) => ({ ...user, id: nth("usr", n), email: nth("u", n), settings: n % 50 === 0 ? { mail: "daily" } : {} })),
  )
  const invitee = { invitationId: "inv_x", createdAt: 1 }
  await insertAll(
    "invitees",
    each((n) => ({ email: `${nth("a", n)}@example.com`, workspaceId: nth("wsp", n), ...invitee })),
  )
  const receipt = { actorId: "usr_x", fingerprint: "x", answer: "empty" as const, body: null, firstSeq: 1, lastSeq: 1 }
  const old = { commitId: "x", createdAt: 1 }
  await insertAll(
    "receipts",
    each((n) => ({ workspaceId: nth("wsp", n), key: String(n), ...receipt, ...old })),
  )
  const [gone, kept] = [await fillWorkspace(then - purgedAfter - day, last), await fillWorkspace(null, last)]
  for (const ids of [gone, kept]) {
    await seedTasks({ ...ids, inboxId: `${ids.workspaceId} projects` } as never, 6_000)
  }
  deletedId = gone.workspaceId
  // SQLite has no statistics unless it is asked for them; of Postgres' own the sizes of these tables are known.
  if (isPostgres) await execute("analyze")
}

/** Where each job is in the middle of its round. */
const cursors = {
  "unread-logs": () => nth("wsp", 6_000),
  "expired-receipts": () => JSON.stringify([nth("wsp", 6_000), "usr_x", "6000"]),
  "expired-invitations": () => JSON.stringify([`${nth("a", 6_000)}@example.com`, nth("wsp", 6_000), "inv_x"]),
  digests: () => nth("usr", 6_000),
  "deleted-workspaces": () => `${deletedId.slice(0, -1)}!`,
}

/** A run in the middle of a round, and what it sent. Nothing is deleted by it. */
export async function runAside(job: Job): Promise<Outcome & { rowsRead: number; statements: Query[] }> {
  const statements: Query[] = []
  const recording = between((batch) => {
    statements.push(...batch.queries)
    return batch.run()
  })
  const hubs = { catchUp: async () => undefined, forget: async () => undefined }
  const inboxes = { forget: async () => undefined, sendOwedMail: async () => 1 }
  const told = await runFrom(job, cursors[job.name](), { database: recording, hubs, inboxes, now: then })
  return { ...told, statements }
}

export { jobs }
