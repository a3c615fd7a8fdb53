import type { Query } from "../../src/db/engine.ts"
import { fromBase64Url, toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { execute } from "./database.ts"
import { between } from "./faults.ts"
import { joined } from "./people.ts"
import { insertAll, nthProject, seedEvents, seedProjects, seedTasks } from "./seed.ts"

// A workspace of which its member and its guest see next to nothing: 20,000 tasks and events in private projects that
// do not name them, 2,000 of those projects, 5,000 people. What they may not see must not make their lists dear.

export const hiddenTasks = 20_000
const people = 5_000

/** What a list may examine in all, and what a page reads beside it. */
export const examined = 1_000
export const aside = 20

let sent: Query[] = []
const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

export type Viewers = { owner: Caller; member: Caller; guest: Caller; crowded: string }

export async function buildHiddenWorkspace(): Promise<Viewers> {
  const app = await openApp({ database: recording })
  const owner = await newCaller(app)
  const [member, guest] = [await joined(owner, "member"), await joined(owner, "guest")]
  // Other workspaces are there too: reading a whole table is never the cheapest way.
  const stranger = await newCaller()
  await seedProjects(stranger, 60_000)
  await seedTasks(stranger, 80_000)
  await seedProjects(owner, 2_000, (n) => ({ visibility: "private", updatedAt: n % 10 }))
  await seedTasks(owner, hiddenTasks, (n) => ({
    projectId: nthProject(n % 5),
    updatedAt: n % 100,
    dueSort: n,
    assigneeIds: n % 2 === 0 ? [member.userId] : [guest.userId],
  }))
  await seedEvents(owner, 100, hiddenTasks)
  await execute(
    "update events set project_id = ? where workspace_id = ? and seq >= 100",
    nthProject(0),
    owner.workspaceId,
  )
  const crowded = nthProject(1_999)
  const { workspaceId } = owner
  const userIds = Array.from({ length: people }, (_, n) => `usr_${String(n).padStart(26, "0")}`)
  await insertAll(
    "members",
    userIds.map((userId) => ({
      workspaceId,
      userId,
      role: "member" as const,
      name: "Somebody",
      revision: 1,
      createdAt: 0,
      updatedAt: 0,
      removedAt: null,
    })),
  )
  await insertAll(
    "projectMembers",
    userIds.map((userId) => ({ workspaceId, projectId: crowded, userId, level: 1, createdAt: 0 })),
  )
  return { owner, member, guest, crowded }
}

/** A page, what it read, and the statements that it ran. */
export async function read(caller: Caller, path: string) {
  sent = []
  const answer = await caller.get(`/api/v1/${path}`)
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
  const { data, next } = JSON.parse(text) as { data: object[]; next: string | number | null }
  return { data, next, ...costOf(answer), statements: sent }
}

/** The lists in which somebody with a lesser role looks past what they may not see. */
export const listsOfTheUnnamed = [
  ...["created", "-created", "updated", "due", "-due"].map((sort) => `tasks?sort=${sort}`),
  ...["due", "created"].map((sort) => `tasks?assignee=me&sort=${sort}`),
  ...["created", "-updated"].map((sort) => `projects?sort=${sort}`),
  "events?after=50",
].flatMap((path) => [50, 200].map((limit) => `${path}&limit=${limit}`))

/** A cursor for the middle of a list of people. */
export async function cursorAmongPeople(caller: Caller, path: string): Promise<string> {
  const { next } = await read(caller, `${path}?limit=1`)
  const [mark] = JSON.parse(new TextDecoder().decode(fromBase64Url(String(next)) ?? new Uint8Array())) as string[]
  const middle = `usr_${String(people / 2).padStart(26, "0")}`
  return toBase64Url(utf8(JSON.stringify([mark, middle, middle])))
}
