import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { rowsOf } from "../support/database.ts"
import { buildWatchedWorkspace, expected, listed, lookedUp, seen, told, watched } from "../support/watched-workspace.ts"

beforeAll(buildWatchedWorkspace)

/** Each table by an index; those of the tenant within the workspace. */
async function searchesOf(statements: Query[]): Promise<string> {
  const explained = await Promise.all(
    statements.map(({ text, values }) => rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values)),
  )
  const plan = explained.flatMap((steps) => steps.map(({ detail }) => detail))
  expect(plan.filter((step) => /^SCAN (?!CONSTANT ROW|json_each|c VIRTUAL)|AUTOMATIC|TEMP B-TREE/.test(step))).toEqual(
    [],
  )
  const searches = plan.filter((step) => step.startsWith("SEARCH ") && !step.startsWith("SEARCH users "))
  expect(searches.filter((step) => !step.includes("(workspace_id=?"))).toEqual([])
  return searches.join("\n")
}

describe("among 40,000 reminders", () => {
  it("those of one task and person are listed by their index", async () => {
    const { rows, rowsRead, trips, statements } = await listed()
    expect(rows).toHaveLength(1)
    expect([trips, rowsRead <= 10]).toEqual([1, true])
    expect(await searchesOf(statements)).toContain("reminders_task (workspace_id=? AND task_id=? AND user_id=?)")
  })

  it("a changed due date finds whom it concerns by the task", async () => {
    const { rows, rowsRead, trips, statements } = await watched()
    expect((rows as Map<string, unknown>).size).toBe(2)
    expect([trips, rowsRead <= 20]).toEqual([1, true])
    expect(await searchesOf(statements)).toContain("reminders_task (workspace_id=? AND task_id=?)")
  })

  it("what has come to its time is looked up by its ids", async () => {
    const { rows, rowsRead, trips, statements } = await lookedUp()
    expect(rows).toEqual(expected.standing())
    expect([trips, rowsRead <= 20]).toEqual([1, true])
    await searchesOf(statements)
  })

  it("which of the tasks in an inbox are seen is looked up by their ids", async () => {
    const { rows, rowsRead, trips, statements } = await seen()
    expect(rows).toHaveLength(50)
    expect([trips, rowsRead <= 200]).toEqual([1, true])
    await searchesOf(statements)
  })

  it("a comment finds whom it is news to among 80,000 assignees and followers", async () => {
    const { rows, rowsRead, statements } = await told()
    expect(rows).toHaveLength(1)
    expect(rowsRead).toBeLessThanOrEqual(60)
    await searchesOf(statements)
  })
})
