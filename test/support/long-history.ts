import type { Query } from "../../src/db/engine.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller, newTask } from "./caller.ts"
import { execute } from "./database.ts"
import { between, isCommit } from "./faults.ts"

// A task that has been changed very often, in a workspace with another one of the kind.

export const changes = 20_000

let sent: Query[] = []
const recording = between((batch) => {
  if (!isCommit(batch)) sent.push(...batch.queries)
  return batch.run()
})

export type Patched = { status: number; statements: Query[]; read: number }
export type LongHistory = {
  /** The revision that the task is at. */
  revision(): number
  /** Changes it, by its id or its key, with that base. */
  patch(base: number, name?: "id" | "key"): Promise<Patched>
}

async function changeOften({ workspaceId }: Caller, taskId: string): Promise<void> {
  const columns = "type, subject_id, subject_key, actor_role, actor_id, source, project_id, commit_id, data, at"
  const copied = columns.replaceAll(/(\w+)/g, "e.$1")
  await execute(
    `insert into events (workspace_id, seq, revision, ${columns})
     with recursive n(i) as (select 1 union all select i + 1 from n where i < ${changes})
     select e.workspace_id, e.seq + n.i, e.revision + n.i, ${copied} from events e cross join n
     where e.workspace_id = ? and e.subject_id = ? and e.revision = 2`,
    workspaceId,
    taskId,
  )
  await execute(`update heads set seq = seq + ${changes} where workspace_id = ?`, workspaceId)
  await execute(
    `update tasks set revision = revision + ${changes} where workspace_id = ? and id = ?`,
    workspaceId,
    taskId,
  )
}

export async function buildLongHistory(): Promise<LongHistory> {
  const ada = await newCaller(await openApp({ database: recording }))
  const tasks = [await newTask(ada), await newTask(ada)]
  for (const { id } of tasks) {
    await ada.patch(`/api/v1/tasks/${id}`, { priority: 1 })
    await changeOften(ada, id)
  }
  const [task] = tasks
  if (!task) throw new Error("No task")
  let revision = 2 + changes
  return {
    revision: () => revision,
    async patch(base, name = "id") {
      sent = []
      const answer = await ada.patch(`/api/v1/tasks/${task[name]}`, { title: crypto.randomUUID(), base })
      await answer.text()
      if (answer.ok) revision += 1
      return { status: answer.status, statements: sent, read: costOf(answer).read }
    },
  }
}
