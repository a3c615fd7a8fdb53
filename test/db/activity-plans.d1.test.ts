import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute, rowsOf } from "../support/database.ts"
import { aside, buildLargeLog, examined, feeds, pagesOf, perRow } from "../support/large-log.ts"

beforeAll(buildLargeLog)

async function planOf(statements: Query[]): Promise<string[]> {
  const explained = await Promise.all(
    statements.map(({ text, values }) => rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values)),
  )
  return explained.flatMap((steps) => steps.map(({ detail }) => detail))
}

const harmless = /^SCAN (entry|page|\(subquery-\d+\)|json_each VIRTUAL TABLE.*|CONSTANT ROW)$/

async function expectPlans(feed: (typeof feeds)[number]): Promise<void> {
  for await (const { statements } of pagesOf(feed)) {
    const plan = await planOf(statements)
    expect(plan.filter((step) => step.startsWith("SCAN ") && !harmless.test(step))).toEqual([])
    expect(plan.filter((step) => /TEMP B-TREE|AUTOMATIC/.test(step))).toEqual([])
    const searches = plan.filter((step) => step.startsWith("SEARCH "))
    expect(searches.filter((step) => !/ USING (COVERING )?INDEX \w+ \(workspace_id=\?/.test(step))).toEqual([])
    const entries = searches.filter((step) => step.startsWith("SEARCH e "))
    expect(entries.length).toBeGreaterThan(0)
    expect(entries.filter((step) => !new RegExp(` INDEX ${feed.index} `).test(step))).toEqual([])
  }
}

describe("a feed of a log with 60,000 entries", () => {
  for (const feed of feeds) {
    it(`reads its own index and sorts nothing: ${feed.name}`, () => expectPlans(feed))

    it(`reads its page, or 1,000 rows at most: ${feed.name}`, async () => {
      for await (const { data, limit, rowsRead, trips, url } of pagesOf(feed)) {
        expect(trips).toBe(1)
        const bound = feed.isFull ? (data.length + 1) * perRow : examined + (limit + 1) * perRow
        expect(rowsRead, url).toBeLessThanOrEqual(bound + aside)
        if (feed.isFull) expect(data).toHaveLength(limit)
      }
    })
  }

  it("keeps its plans when the database has been analysed", async () => {
    await execute("analyze")
    for (const feed of feeds) await expectPlans(feed)
  })
})
