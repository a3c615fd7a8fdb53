import type { Query } from "../../src/db/engine.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { execute } from "./database.ts"
import { between } from "./faults.ts"
import { seedLabels } from "./seed.ts"

// Workspaces with many labels, of which half are deleted.

const count = 20_000

let sent: Query[] = []
const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

export async function buildManyLabels(): Promise<Caller> {
  const app = await openApp({ database: recording })
  const [ada, eve] = [await newCaller(app), await newCaller(app)]
  for (const caller of [ada, eve]) {
    await seedLabels(caller, count)
    await execute(
      "update labels set deleted_at = 1 where workspace_id = ? and name_key < 'label 010000'",
      caller.workspaceId,
    )
  }
  return ada
}

/** A page, what it read, and the statements that it ran. */
export async function readLabels(caller: Caller, query: string) {
  sent = []
  const answer = await caller.get(`/api/v1/labels?${query}`)
  const { data, next } = (await answer.json()) as { data: { name: string }[]; next: string | null }
  return { data, next, statements: sent, ...costOf(answer) }
}
