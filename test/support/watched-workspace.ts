import type { LogEntry } from "../../src/db/commit.ts"
import { type Db, openDb } from "../../src/db/db.ts"
import type { Query } from "../../src/db/engine.ts"
import { newsIn } from "../../src/domain/news.ts"
import { findSeen } from "../../src/domain/notifications.ts"
import { lookUp, watchedIn } from "../../src/domain/watching.ts"
import { openApp } from "./app.ts"
import { addMember, type Caller, costOf, newCaller } from "./caller.ts"
import { execute } from "./database.ts"
import { between } from "./faults.ts"
import { nthProject, nthTask, seedProjects, seedTasks } from "./seed.ts"

// 20,000 tasks that two people do, follow, have silenced and are reminded of.

let ada: Caller
let eve: Caller
let sent: Query[] = []

const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

const task = nthTask(5_000)
/** Has a reminder of this task for each of the two. */
const reminderOf = (name: string) => `rem_${name}${task.slice(5)}`

export async function buildWatchedWorkspace(): Promise<void> {
  ada = await newCaller(await openApp({ database: recording }))
  eve = await newCaller()
  await addMember(ada, eve)
  // Other workspaces are there too: reading a whole table is never the cheapest way.
  await seedProjects(eve, 20_000)
  await seedProjects(ada, 2)
  await seedTasks(ada, 20_000, (n) => ({ dueSort: n, assigneeIds: [ada.userId, eve.userId] }))
  const { workspaceId } = ada
  for (const [name, { userId }] of Object.entries({ a: ada, e: eve })) {
    const ofTasks = "from tasks where workspace_id = ?"
    await execute(
      `insert into reminders (workspace_id, id, task_id, user_id, at, before_ms, created_at) select workspace_id, 'rem_${name}' || substr(id, 6), id, ?, 99, null, 0 ${ofTasks}`,
      userId,
      workspaceId,
    )
    await execute(
      `insert into task_followers (workspace_id, task_id, user_id, created_at) select workspace_id, id, ?, 0 ${ofTasks}`,
      userId,
      workspaceId,
    )
    await execute(
      `insert into mutes (workspace_id, user_id, subject_id, created_at) select workspace_id, ?, id, 0 ${ofTasks} and id <> ?`,
      userId,
      workspaceId,
      task,
    )
  }
}

type Asked = { rows: unknown; rowsRead: number; trips: number; statements: Query[] }

/** The reminders of one task, as the API lists them. */
export async function listed(): Promise<Asked> {
  sent = []
  const answer = await ada.get(`/api/v1/tasks/${task}/reminders`)
  const { data } = (await answer.json()) as { data: unknown[] }
  const { read, trips } = costOf(answer)
  return { rows: data, rowsRead: read, trips, statements: sent }
}

async function asking(ask: (db: Db) => Promise<unknown>): Promise<Asked> {
  sent = []
  const db = openDb(recording.connect())
  try {
    const rows = await ask(db)
    return { rows, rowsRead: db.meter.rowsRead, trips: db.meter.trips, statements: sent }
  } finally {
    await db.close()
  }
}

const entry = (part: Partial<LogEntry>): LogEntry => ({
  seq: 1,
  type: "task.updated",
  subjectId: task,
  subjectKey: null,
  revision: 2,
  actorId: ada.userId,
  actorRole: "owner",
  source: "api",
  projectId: nthProject(0),
  previousProjectId: null,
  data: { before: null, after: null },
  at: 1,
  ...part,
})

/** What an entry that changes a due date gives to watch. */
export const watched = () =>
  asking((db) =>
    watchedIn(db, ada.workspaceId, [
      entry({ data: { before: { due: null }, after: { due: { date: "2099-01-01" } } } }),
    ]),
  )

/** Whom a comment is news to. */
export const told = () =>
  asking(async (db) => {
    const after = { taskId: task, body: "x" }
    const { userIds, lookUp } = await newsIn(db, ada.workspaceId, [
      entry({ type: "comment.created", subjectId: "com", data: { before: null, after } }),
    ])
    const newsFor = await lookUp(userIds)
    return userIds.flatMap((userId) => newsFor(userId).map((news) => ({ userId, news })))
  })

/** Which of the tasks in an inbox its owner sees. */
export const seen = () =>
  asking(async (db) => {
    const actor = { userId: eve.userId, role: "member" as const, sessionId: "", apiKey: null }
    const ids = Array.from({ length: 50 }, (_, n) => nthTask(4_000 + n))
    return [...(await findSeen({ db, workspaceId: ada.workspaceId, actor }, ids))]
  })

/** What a person's hub looks up when a task is due and a reminder's time has come. */
export const lookedUp = () =>
  asking(async (db) => {
    const asked = { workspaceId: ada.workspaceId, taskIds: [task], reminderIds: [reminderOf("e")] }
    const found = await lookUp(db, eve.userId, [asked])
    return [...(found?.tasks[0] ?? [])].map(([id, { isAssigned, isMuted, reminders }]) => ({
      id,
      isAssigned,
      isMuted,
      reminders: [...reminders.keys()],
    }))
  })

export const expected = {
  task,
  standing: () => [{ id: task, isAssigned: true, isMuted: false, reminders: [reminderOf("e")] }],
}
