import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute, rowsOf } from "../support/database.ts"
import { aside, buildManyComments, busy, pages, perComment, read } from "../support/many-comments.ts"

beforeAll(buildManyComments)

async function planOf(statements: Query[]): Promise<string[]> {
  const explained = await Promise.all(
    statements.map(({ text, values }) => rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values)),
  )
  return explained.flatMap((steps) => steps.map(({ detail }) => detail))
}

// Subqueries over a few rows that another search yields, and JSON.
const harmless =
  /^SCAN (e|m|mentioned|reaction|who|c VIRTUAL TABLE.*|json_each VIRTUAL TABLE.*|\(subquery-\d+\)|CONSTANT ROW)$/

function expectSearchesOnly(plan: string[]): void {
  expect(plan.filter((step) => step.startsWith("SCAN ") && !harmless.test(step))).toEqual([])
  const searches = plan.filter((step) => step.startsWith("SEARCH "))
  expect(searches.filter((step) => !/ USING (COVERING )?INDEX \w+ \(workspace_id=\?/.test(step))).toEqual([])
}

async function expectPages(): Promise<void> {
  for await (const { path, limit, data, rowsRead, trips, statements } of pages()) {
    expect([data.length, trips], path).toEqual([limit, 1])
    expect(rowsRead, path).toBeLessThanOrEqual((limit + 1) * perComment + aside)
    const plan = await planOf(statements)
    expectSearchesOnly(plan)
    const range = path.includes("cursor") ? (path.includes("-created") ? " AND id<?" : " AND id>?") : ""
    expect(plan).toContain(`SEARCH comments USING INDEX comments_task (workspace_id=? AND task_id=?${range})`)
    // Only the emoji of a comment are sorted, of which there are 20 at most.
    expect(plan.filter((step) => /AUTOMATIC/.test(step))).toEqual([])
  }
}

describe("comments among 20,000", () => {
  it("are read a page at a time from their own index", expectPages)

  it("are completed by 1,000 members at most, none of whom has left", async () => {
    const { data, rowsRead, trips, statements } = await read(`${busy}/mentionable?q=person`)
    expect([data.length, trips]).toEqual([10, 1])
    expect(rowsRead).toBeLessThanOrEqual(3 * 1_000 + aside)
    const plan = await planOf(statements)
    expectSearchesOnly(plan)
    expect(plan).toContain("SEARCH a USING INDEX members_role (workspace_id=?)")
    expect(plan.filter((step) => /TEMP B-TREE|AUTOMATIC/.test(step))).toEqual([])
  })

  it("keep their plans once the database has been analysed", async () => {
    await execute("analyze")
    await expectPages()
  })
})
