import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute, explain } from "../support/database.ts"
import { aside, buildManyComments, busy, pages, perComment, read } from "../support/many-comments.ts"

// The same lists as in comment-plans.d1.test.ts, held to the plan that was run and to the rows that it looked at.

beforeAll(async () => {
  await buildManyComments()
  await execute(
    "insert into heads select 'wsp_other_' || n, 1, 0 from generate_series(1, 20000) n on conflict do nothing",
  )
  await execute("analyze")
})

type Plan = {
  "Node Type": string
  "Relation Name"?: string
  "Index Name"?: string
  "Index Cond"?: string
  "Actual Rows": number
  "Actual Loops": number
  "Rows Removed by Filter"?: number
  Plans?: Plan[]
}

const stepsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(stepsOf)]

const oursIn = async (queries: Query[]): Promise<Plan[]> =>
  (await explain<Plan>(queries)).flatMap(stepsOf).filter((step) => step["Relation Name"] !== undefined)

const looked = (plan: Plan[]): number =>
  plan.reduce(
    (sum, step) => sum + step["Actual Loops"] * (step["Actual Rows"] + (step["Rows Removed by Filter"] ?? 0)),
    0,
  )

const many = /^(comments|reactions|members)$/

function expectSearchesOnly(plan: Plan[]): void {
  const scans = plan.filter((step) => many.test(step["Relation Name"] ?? ""))
  expect(scans.filter((step) => !/^(Index( Only)?|Bitmap Heap) Scan$/.test(step["Node Type"]))).toEqual([])
  const indexed = scans.filter((step) => step["Index Name"])
  expect(indexed.filter((step) => !step["Index Cond"]?.includes("workspace_id"))).toEqual([])
}

describe("comments among 20,000", () => {
  it("are read a page at a time from their own index", async () => {
    for await (const { path, limit, data, trips, statements } of pages()) {
      expect([data.length, trips], path).toEqual([limit, 1])
      const plan = await oursIn(statements)
      expectSearchesOnly(plan)
      expect(
        plan.some((step) => step["Index Name"] === "comments_task" && step["Index Cond"]?.includes("task_id")),
      ).toBe(true)
      expect(looked(plan), path).toBeLessThanOrEqual((limit + 1) * perComment + aside)
    }
  })

  it("are completed by 1,000 members at most, none of whom has left", async () => {
    const { data, trips, statements } = await read(`${busy}/mentionable?q=person`)
    expect([data.length, trips]).toEqual([10, 1])
    const plan = await oursIn(statements)
    expectSearchesOnly(plan)
    expect(plan.map((step) => step["Index Name"])).toContain("members_role")
    expect(looked(plan)).toBeLessThanOrEqual(3 * 1_000 + aside)
  })
})
