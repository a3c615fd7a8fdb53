import { beforeAll, describe, expect, it } from "vitest"
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
  projectLists,
  rare,
  rareFilters,
  read,
  tiny,
} from "../support/large-workspace.ts"
import { expectSearchesOnly, looked, ours, type Plan, planOf } from "../support/postgres-plans.ts"
import { nthProject } from "../support/seed.ts"

// The same lists as in plans.d1.test.ts, held to the plan that was run and to the rows that it looked at.

// Statistics come by themselves a minute after many rows; the first plans are made without.
beforeAll(async () => {
  await buildLargeWorkspace()
  // Of other workspaces, in tables that are otherwise so small that reading them whole is the cheapest way.
  await execute(
    "insert into heads select 'wsp_other_' || n, 1, 0 from generate_series(1, 20000) n on conflict do nothing",
  )
  await execute(
    "insert into members select 'wsp_other_' || n, 'usr_' || n, 'member', 'Eve', 1, 0, 0 from generate_series(1, 20000) n on conflict do nothing",
  )
  await execute("analyze")
})

/** The list's own index, and no other but for looking up single rows, by whatever index leads to them. */
function expectEntriesBy(plan: Plan[], { postgresIndex }: List): void {
  const indexed = ours(plan).filter((step) => step["Index Name"])
  const names = indexed.map((step) => step["Index Name"])
  const own = [postgresIndex, ...(keysInOrder[postgresIndex] ?? [])]
  expect(names.some((name) => own.includes(name ?? ""))).toBe(true)
  const others = indexed.filter((step) => !own.includes(step["Index Name"] ?? ""))
  const isOfOneRow = (condition = "") => /\bid = /.test(condition) || /task_id = /.test(condition)
  const isOfWorkspace = /^(heads|members)_/
  const strays = others.filter(
    (step) => !isOfOneRow(step["Index Cond"]) && !isOfWorkspace.test(step["Index Name"] ?? ""),
  )
  expect(strays.map((step) => `${step["Index Name"]}: ${step["Index Cond"]}`).join()).toBe("")
}

// Of somebody to whom nearly everything is assigned, the primary key has the tasks in the same order; so it is with a
// label that is on nearly everything.
const keysInOrder: Record<string, string[]> = {
  task_assignees_created: ["task_assignees_workspace_id_task_id_user_id_pk"],
  task_labels_label: ["task_labels_workspace_id_task_id_label_id_pk"],
}

/** Sorts no more than a window. */
const sorted = (plan: Plan[]) =>
  plan.filter((step) => step["Node Type"].endsWith("Sort")).map((step) => step["Actual Rows"] * step["Actual Loops"])

async function expectBounded(list: List, ...filters: Parameters<typeof pagesOf>[1][]): Promise<void> {
  const found = new Set<string>()
  for await (const { statements, data, limit, asked } of pagesOf(list, ...filters)) {
    const plan = await planOf(statements)
    expectSearchesOnly(plan)
    expectEntriesBy(plan, list)
    const page = data.length * perRow
    expect(looked(plan), asked).toBeLessThanOrEqual(examined + page + limit + 1 + aside)
    expect(Math.max(0, ...sorted(plan)), asked).toBeLessThanOrEqual(examined)
    for (const { id } of data) found.add(id)
  }
  if (!filters.flat().some((filter) => Object.keys(filter).length === 0)) {
    expect([...found].filter((id) => id !== rare)).toEqual([])
  }
}

describe("a list of tasks among 100,000", () => {
  for (const list of lists) {
    it(`reads its own index and no more than its page: ${list.name}`, () =>
      expectBounded(list, [{}, { include: "project,assignees,labels" }]))

    it(
      `looks at 1,000 rows at most for a rare match or none: ${list.name}`,
      () => expectBounded(list, rareFilters, lookups(list.query)),
      60_000,
    )
  }

  for (const list of lists.filter(({ name }) => /^(assignee|label) by -?created$/.test(name))) {
    it(`takes the order of its index, and stops at a full page: ${list.name}`, async () => {
      const { statements } = await read("tasks", { ...list.query, limit: 50 })
      const own = [list.postgresIndex, ...(keysInOrder[list.postgresIndex] ?? [])]
      // Read in one go, and not once for each task of the page.
      const entries = ours(await planOf(statements)).filter(
        (step) => own.includes(step["Index Name"] ?? "") && step["Actual Loops"] === 1,
      )
      expect(entries.map((step) => step["Actual Rows"])).toEqual([51])
    })
  }

  it("does not look for the boundary of a page that is full", async () => {
    const { statements } = await read("tasks", { sort: "due", limit: 50 })
    const neverStarted = ours(await planOf(statements)).filter((step) => step["Actual Loops"] === 0)
    expect(neverStarted.map((step) => step["Index Name"])).toContain("tasks_due")
  })
})

describe("other lists in a large workspace", () => {
  for (const { sort, index, key } of projectLists) {
    for (const query of [{ sort }, { sort: `-${sort}` }]) {
      it(`of projects by ${query.sort} reads its page and not the deleted`, async () => {
        const cursor = await cursorInMiddle("projects", query, key, nthProject(950))
        for (const place of [{}, { cursor }]) {
          for (const limit of limits) {
            const { statements, data } = await read("projects", { ...query, ...place, limit })
            expect(data.length).toBeGreaterThan(0)
            const plan = await planOf(statements)
            expectSearchesOnly(plan)
            expect(ours(plan).map((step) => step["Index Name"])).toContain(index)
            expect(looked(plan)).toBeLessThanOrEqual(2 * (limit + 1) + aside)
          }
        }
      })
    }
  }

  it("of events reads its page", async () => {
    for (const after of [0, 10_000]) {
      for (const limit of limits) {
        const { statements, data } = await read("events", { after, limit })
        expect(data).toHaveLength(limit)
        const plan = await planOf(statements)
        expectSearchesOnly(plan)
        expect(looked(plan)).toBeLessThanOrEqual(2 * (limit + 1) + aside)
      }
    }
  })
})

describe("lists when all projects but one small one are deleted", () => {
  beforeAll(async () => {
    await execute("update projects set deleted_at = 1 where workspace_id = ? and id <> ?", ada.workspaceId, tiny)
  })

  for (const list of lists.filter(({ query }) => !("project" in query || "parent" in query))) {
    it(`look at 1,000 rows at most: ${list.name}`, async () => {
      for await (const { statements, limit, data, asked } of pagesOf(list, [{}])) {
        const page = data.length * perRow
        expect(looked(await planOf(statements)), asked).toBeLessThanOrEqual(examined + page + limit + 1 + aside)
      }
    })
  }
})
