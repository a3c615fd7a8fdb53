import type { Query } from "../../src/db/engine.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { execute } from "./database.ts"
import { between } from "./faults.ts"
import { nthProject, nthTask, seedProjects, seedTasks } from "./seed.ts"

// 20,000 tasks of which each is related to the next, subtasks of each other, and 5,000 favourites of somebody else.

export let ada: Caller
let sent: Query[] = []

const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

export const alias = "OLD-1"
/** Has two relations, and three subtasks. */
export const task = nthTask(5_000)

export async function buildRelatedWorkspace(): Promise<void> {
  ada = await newCaller(await openApp({ database: recording }))
  const eve = await newCaller()
  // Other workspaces are there too: reading a whole table is never the cheapest way.
  await seedProjects(eve, 20_000)
  await seedProjects(ada, 5_000)
  await seedTasks(ada, 20_000, (n) => ({ parentId: n === 0 ? null : nthTask(Math.floor((n - 1) / 3)) }))
  const { workspaceId } = ada
  await execute(
    "insert into task_relations (workspace_id, task_id, kind, other_id, created_by, created_at) select a.workspace_id, a.id, 'blocks', b.id, a.created_by, 0 from tasks a join tasks b on b.workspace_id = a.workspace_id and b.key = 'SEED-' || (a.created_at + 1) where a.workspace_id = ?",
    workspaceId,
  )
  await execute(
    "insert into favourites (workspace_id, user_id, project_id, created_at) select workspace_id, ?, id, 0 from projects where workspace_id = ?",
    eve.userId,
    workspaceId,
  )
  await execute(
    "insert into favourites (workspace_id, user_id, project_id, created_at) select workspace_id, created_by, id, 0 from projects where workspace_id = ?",
    eve.workspaceId,
  )
  await execute(
    "insert into favourites (workspace_id, user_id, project_id, created_at) select workspace_id, ?, id, 0 from projects where workspace_id = ? and id < ?",
    ada.userId,
    workspaceId,
    nthProject(400),
  )
  await execute(
    "insert into task_aliases (workspace_id, key, task_id) select workspace_id, 'OLD-' || created_at, id from tasks where workspace_id = ?",
    workspaceId,
  )
  await execute(
    "insert into task_followers (workspace_id, task_id, user_id, created_at) select workspace_id, id, ?, 0 from tasks where workspace_id = ?",
    eve.userId,
    workspaceId,
  )
}

/** What a request read, and the statements that it ran. */
export async function asked(send: (caller: Caller) => Promise<Response>) {
  sent = []
  const answer = await send(ada)
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`)
  return { body: text === "" ? null : JSON.parse(text), cost: costOf(answer), statements: sent }
}
