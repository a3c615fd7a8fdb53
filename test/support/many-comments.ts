import type { Query } from "../../src/db/engine.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { NewRow, Tables } from "../../src/db/tables.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { withDb } from "./database.ts"
import { between } from "./faults.ts"
import { nthTask, seedTasks } from "./seed.ts"

// A workspace with 20,000 comments, 5,000 of them on one task, and 3,000 members.

export let ada: Caller
export const busy = nthTask(0)
export const nthComment = (n: number) => `com_${String(n).padStart(26, "0")}`
const nthUser = (n: number) => `usr_${String(n).padStart(26, "0")}`

let sent: Query[] = []

async function insertAll<Name extends keyof Tables>(name: Name, rows: NewRow<Name>[]): Promise<void> {
  await withDb(async (db) => {
    for (let from = 0; from < rows.length; from += 2_000) {
      await db.write(insertRows(db, db.tables[name], rows.slice(from, from + 2_000)))
    }
  })
}

export async function buildManyComments(): Promise<void> {
  const recording = between((batch) => {
    sent.push(...batch.queries)
    return batch.run()
  })
  ada = await newCaller(await openApp({ database: recording }))
  const { workspaceId } = ada
  await seedTasks(ada, 5_000)
  const person = { role: "member" as const, revision: 1, createdAt: 0, updatedAt: 0 }
  const people = Array.from({ length: 3_000 }, (_, n) => ({
    ...person,
    workspaceId,
    userId: nthUser(n),
    name: `Person ${n}`,
    removedAt: n < 1_500 ? 1 : null,
  }))
  const others = people.map((row, n) => ({ ...row, workspaceId: `wsp_other_${n}` }))
  await insertAll("members", [...people, ...others])
  const comments = Array.from({ length: 20_000 }, (_, n) => ({
    workspaceId,
    id: nthComment(n),
    taskId: n % 4 === 0 ? busy : nthTask(1 + (n % 99)),
    body: "Looks good",
    mentionIds: n % 8 === 0 ? [nthUser(2_000)] : [],
    mentionCalls: {},
    revision: 1,
    createdBy: ada.userId,
    createdAt: n,
    updatedAt: n,
    editedAt: null,
    deletedAt: null,
  }))
  await insertAll("comments", comments)
  const reactions = comments.flatMap(({ id }, n) =>
    (n % 2 === 0 ? ["👍", "🎉"] : []).map((emoji) => ({
      workspaceId,
      commentId: id,
      emoji,
      userId: nthUser(2_000),
      createdAt: 0,
    })),
  )
  await insertAll("reactions", reactions)
}

/** An answer, what it read, and the statements that it ran. */
export async function read(path: string) {
  sent = []
  const answer = await ada.get(`/api/v1/tasks/${path}`)
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
  const { data, next } = JSON.parse(text) as { data: { id: string }[]; next: string | null }
  return { data, next, rowsRead: costOf(answer).read, trips: costOf(answer).trips, statements: sent }
}

/** The first page and one further on, in both directions. */
export async function* pages() {
  for (const sort of ["created", "-created"]) {
    for (const limit of [1, 50, 200]) {
      const first = `${busy}/comments?sort=${sort}&limit=${limit}`
      const { next } = await read(first)
      for (const path of [first, `${first}&cursor=${next}`]) yield { path, limit, ...(await read(path)) }
    }
  }
}

/** What a page reads for a comment: itself, its author, its two reactions in three steps, the one whom it mentions. */
export const perComment = 12
/** Beside it: the task, twice, its project, and the log's head. */
export const aside = 20
