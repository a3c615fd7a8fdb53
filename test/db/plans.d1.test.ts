import { beforeAll, describe, expect, it } from "vitest"
import { expectSearchesOnly, planOf } from "../support/d1-plans.ts"
import { execute } from "../support/database.ts"
import {
  ada,
  aside,
  buildLargeWorkspace,
  cursorInMiddle,
  examined,
  type List,
  limits,
  lists,
  lookups,
  pagesOf,
  perRow,
  placesOf,
  projectLists,
  rare,
  rareFilters,
  read,
  tiny,
} from "../support/large-workspace.ts"
import { nthProject } from "../support/seed.ts"

// A clean SEARCH can still examine everything, so each list is held to its plan and to the rows that it reads, in a
// workspace of 100,000 tasks.

beforeAll(buildLargeWorkspace)

/** The list's own index, and for every page but the first the range that begins at the cursor. */
function expectEntriesBy(plan: string[], { index }: Pick<List, "index">, isFirst: boolean): void {
  const alias = /^task_(assignees|labels)/.test(index) ? "a" : "t"
  const entries = plan.filter((step) => new RegExp(`^SEARCH ${alias} USING .*\\b${index} `).test(step))
  expect(entries.length, plan.join("\n")).toBeGreaterThan(0)
  const others = plan.filter((step) => step.startsWith(`SEARCH ${alias} `) && !entries.includes(step))
  expect(others.filter((step) => !/autoindex_task(s|_assignees)_1/.test(step))).toEqual([])
  expect(entries.every((step) => /[<>]/.test(step) !== isFirst)).toBe(true)
}

async function expectPlans(list: List): Promise<void> {
  for (const { isFirst, place } of await placesOf(list)) {
    const variants = [{}, { include: "project,assignees,labels" }, ...rareFilters, ...lookups(list.query)]
    for (const filter of variants) {
      const { statements } = await read("tasks", { ...list.query, ...filter, ...place })
      const plan = await planOf(statements)
      expectSearchesOnly(plan)
      expectEntriesBy(plan, list, isFirst)
    }
  }
}

describe("a list of tasks among 100,000", () => {
  for (const list of lists) {
    it(`reads its own index and sorts nothing: ${list.name}`, () => expectPlans(list))

    it(`examines 1,000 rows at most for a rare match or none: ${list.name}`, async () => {
      const found = new Set<string>()
      for await (const { data, rowsRead, trips, limit, asked } of pagesOf(list, rareFilters, lookups(list.query))) {
        expect(trips).toBe(1)
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + limit + 1 + aside)
        for (const { id } of data) found.add(id)
      }
      expect([...found].filter((id) => id !== rare)).toEqual([])
    })

    it(`reads no more than its page when nothing is filtered out: ${list.name}`, async () => {
      for await (const { data, rowsRead, limit, asked } of pagesOf(list, [{}])) {
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + data.length * perRow + aside)
        // Where every entry is shown, the price is the page's: an entry, its task and project, and the row.
        if (data.length === limit) expect(rowsRead, asked).toBeLessThanOrEqual((limit + 1) * (3 + perRow) + aside)
      }
    })

    it(`keeps the bound for a filter that half of the tasks pass: ${list.name}`, async () => {
      for await (const { data, rowsRead, asked } of pagesOf(list, [{ status: "todo" }])) {
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + data.length * perRow + aside)
      }
    })
  }

  it("skips 30,000 deleted tasks a window at a time", async () => {
    const { data, next, rowsRead } = await read("tasks", { sort: "created", limit: 50 })
    expect([data.length, typeof next]).toEqual([0, "string"])
    expect(rowsRead).toBeLessThanOrEqual(examined + aside)
  })
})

describe("other lists in a large workspace", () => {
  for (const { sort, index, key } of projectLists) {
    for (const query of [{ sort }, { sort: `-${sort}` }]) {
      it(`of projects by ${query.sort} reads its page and not the deleted`, async () => {
        const cursor = await cursorInMiddle("projects", query, key, nthProject(950))
        for (const place of [{}, { cursor }]) {
          for (const limit of limits) {
            const { rowsRead, statements, data } = await read("projects", { ...query, ...place, limit })
            expect(data.length).toBeGreaterThan(0)
            expect(rowsRead).toBeLessThanOrEqual(2 * (limit + 1) + aside)
            const plan = await planOf(statements)
            expectSearchesOnly(plan)
            expect(
              plan.filter((step) => new RegExp(`^SEARCH projects USING (COVERING )?INDEX ${index} `).test(step)),
            ).toHaveLength(1)
          }
        }
      })
    }
  }

  it("of events reads its page", async () => {
    for (const after of [0, 10_000]) {
      for (const limit of limits) {
        const { rowsRead, statements, data } = await read("events", { after, limit })
        expect(data).toHaveLength(limit)
        expect(rowsRead).toBeLessThanOrEqual(2 * (limit + 1) + 1)
        const plan = await planOf(statements)
        expectSearchesOnly(plan)
        expect(plan).toContain("SEARCH e USING COVERING INDEX sqlite_autoindex_events_1 (workspace_id=? AND seq>?)")
      }
    }
  })
})

describe("lists in a database that has been analysed", () => {
  beforeAll(async () => {
    await execute("analyze")
  })

  for (const list of lists) {
    it(`keep their plan: ${list.name}`, () => expectPlans(list))
  }
})

describe("lists when all projects but one small one are deleted", () => {
  beforeAll(async () => {
    await execute("update projects set deleted_at = 1 where workspace_id = ? and id <> ?", ada.workspaceId, tiny)
  })

  const across = lists.filter(({ query }) => !("project" in query || "parent" in query))
  for (const list of across) {
    it(`examine 1,000 rows at most: ${list.name}`, async () => {
      for await (const { rowsRead, limit, asked } of pagesOf(list, [{}])) {
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + limit + 1 + aside)
      }
    })
  }
})
