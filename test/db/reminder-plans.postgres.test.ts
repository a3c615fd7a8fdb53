import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute } from "../support/database.ts"
import { looked, ours, planOf } from "../support/postgres-plans.ts"
import { buildWatchedWorkspace, expected, listed, lookedUp, seen, told, watched } from "../support/watched-workspace.ts"

beforeAll(async () => {
  await buildWatchedWorkspace()
  await execute("analyze")
})

/** The indexes by which the large tables were read, each within the workspace, and how many rows were looked at. */
async function searchesOf(statements: Query[]) {
  const plan = await planOf(statements)
  const large = ours(plan).filter((step) =>
    /^(tasks|task_assignees|task_followers|reminders|mutes|projects)$/.test(step["Relation Name"] ?? ""),
  )
  const run = large.filter((step) => step["Actual Loops"] > 0)
  expect(run.filter((step) => !/^Index( Only)? Scan$/.test(step["Node Type"]))).toEqual([])
  expect(run.filter((step) => !step["Index Cond"]?.includes("workspace_id"))).toEqual([])
  return { indexes: run.map((step) => step["Index Name"]), looked: looked(run) }
}

describe("among 40,000 reminders", () => {
  it("those of one task and person are listed by their index", async () => {
    const { rows, trips, statements } = await listed()
    expect([rows as unknown[], trips]).toMatchObject([{ length: 1 }, 1])
    const { indexes, looked } = await searchesOf(statements)
    expect(indexes).toContain("reminders_task")
    expect(looked).toBeLessThanOrEqual(10)
  })

  it("a changed due date finds whom it concerns by the task", async () => {
    const { rows, statements } = await watched()
    expect((rows as Map<string, unknown>).size).toBe(2)
    const { indexes, looked } = await searchesOf(statements)
    expect(indexes).toContain("reminders_task")
    expect(looked).toBeLessThanOrEqual(20)
  })

  it("what has come to its time is looked up by its ids", async () => {
    const { rows, trips, statements } = await lookedUp()
    expect([rows, trips]).toEqual([expected.standing(), 1])
    expect((await searchesOf(statements)).looked).toBeLessThanOrEqual(20)
  })

  it("which of the tasks in an inbox are seen is looked up by their ids", async () => {
    const { rows, trips, statements } = await seen()
    expect([rows as unknown[], trips]).toMatchObject([{ length: 50 }, 1])
    expect((await searchesOf(statements)).looked).toBeLessThanOrEqual(150)
  })

  it("a comment finds whom it is news to among 80,000 assignees and followers", async () => {
    const { rows, statements } = await told()
    expect(rows).toHaveLength(1)
    expect((await searchesOf(statements)).looked).toBeLessThanOrEqual(40)
  })
})
