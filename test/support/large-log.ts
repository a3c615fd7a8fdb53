import type { Query } from "../../src/db/engine.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { NewRow } from "../../src/db/tables.ts"
import { openApp } from "./app.ts"
import { addMember, type Caller, costOf, newCaller } from "./caller.ts"
import { execute, withDb } from "./database.ts"
import { between } from "./faults.ts"
import { joined } from "./people.ts"
import { nthProject, nthTask, seedProjects, seedTasks } from "./seed.ts"

// A log so long that a feed without a bound would be noticed.

const count = 60_000

/** What a feed may examine in all, the page itself not counted. */
export const examined = 1_000
/** What a page of any size reads beside it: the log's head, and whether the feed's subject is there. */
export const aside = 20
/** What a row of a page reads: itself, who did it, and where its subject was. */
export const perRow = 4

/** Private to the owner, and nearly the whole log; a project that ended long ago; and an open one. */
const [secret, old, open] = [nthProject(0), nthProject(1), nthProject(2)]
const busyTask = nthTask(0)

export let ada: Caller
/** A member who sees one entry in a thousand. */
export let eve: Caller

let sent: Query[] = []

const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

function projectOf(n: number): string {
  if (n % 1_000 === 1) return open
  return n < 15_000 ? old : secret
}

export async function buildLargeLog(): Promise<void> {
  ada = await newCaller(await openApp({ database: recording }))
  const stranger = await newCaller()
  await addMember(ada, stranger)
  // Other workspaces are there too: reading a whole table is never the cheapest way.
  await seedProjects(stranger, 20_000)
  await seedTasks(stranger, 5_000)
  for (const text of [
    "insert into project_members select workspace_id, id, created_by, 1, 0 from projects where workspace_id = ? and key like 'SEED%' limit 3000",
    "insert into task_aliases select workspace_id, 'OLD-' || id, id from tasks where workspace_id = ? limit 3000",
  ]) {
    await execute(text, stranger.workspaceId)
  }
  await seedProjects(ada, 3, (n) => ({ visibility: n === 2 ? "workspace" : "private" }))
  await seedTasks(ada, 1, () => ({ projectId: open }))
  eve = await joined(ada)
  const rows = Array.from(
    { length: count },
    (_, n): NewRow<"events"> => ({
      workspaceId: ada.workspaceId,
      seq: 100 + n,
      type: "task.updated",
      // Every tenth entry is of one task, which came from where eve does not look.
      subjectId: n % 10 === 1 ? busyTask : nthTask(n + 1),
      subjectKey: null,
      actorRole: "owner",
      revision: n + 1,
      actorId: ada.userId,
      source: "api",
      projectId: projectOf(n),
      previousProjectId: n % 100 === 1 ? secret : null,
      commitId: `cmt_${n}`,
      data: { before: { title: "a" }, after: { title: "b" } },
      at: n,
    }),
  )
  await withDb(async (db) => {
    for (let from = 0; from < rows.length; from += 3_000) {
      await db.write(insertRows(db, db.tables.events, rows.slice(from, from + 3_000)))
    }
  })
  await execute("update heads set seq = ? where workspace_id = ?", 99 + count, ada.workspaceId)
}

type FeedOf = {
  name: string
  path: string
  index: string
  postgresIndex: string
  isFull: boolean
  viewer: () => Caller
}

const owner = () => ada
const member = () => eve
const primary = { index: "sqlite_autoindex_events_1", postgresIndex: "events_workspace_id_seq_pk" }
const ofSubject = { index: "events_subject_revision", postgresIndex: "events_subject_revision" }
const ofProject = { index: "events_project", postgresIndex: "events_project" }

/** Every feed, to one who sees all of it and to one who sees hardly any. */
export const feeds: FeedOf[] = [
  { name: "the workspace, whole", path: "activity", ...primary, isFull: true, viewer: owner },
  { name: "the workspace, to a member", path: "activity", ...primary, isFull: false, viewer: member },
  { name: "an open project, whole", path: `projects/${open}/activity`, ...ofProject, isFull: false, viewer: owner },
  {
    name: "an open project, to a member",
    path: `projects/${open}/activity`,
    ...ofProject,
    isFull: false,
    viewer: member,
  },
  { name: "an old project, whole", path: `projects/${old}/activity`, ...ofProject, isFull: true, viewer: owner },
  { name: "a task, whole", path: `tasks/${busyTask}/activity`, ...ofSubject, isFull: true, viewer: owner },
  { name: "a task by its key", path: "tasks/SEED-0/activity", ...ofSubject, isFull: true, viewer: owner },
  { name: "a task, to a member", path: `tasks/${busyTask}/activity`, ...ofSubject, isFull: false, viewer: member },
]

export const limits = [1, 50, 200]

/** The first pages of a feed, of each size, with what each read. */
export async function* pagesOf({ path, viewer }: FeedOf) {
  for (const limit of limits) {
    let cursor: string | null = null
    for (let page = 0; page < 3; page += 1) {
      sent = []
      const url: string = `/api/v1/${path}?limit=${limit}${cursor === null ? "" : `&cursor=${cursor}`}`
      const answer = await viewer().get(url)
      const text = await answer.text()
      if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
      const { data, next } = JSON.parse(text) as { data: { seq: number }[]; next: string | null }
      yield {
        data,
        next,
        limit,
        page,
        statements: sent,
        rowsRead: costOf(answer).read,
        trips: costOf(answer).trips,
        url,
      }
      cursor = next
      if (cursor === null) break
    }
  }
}
