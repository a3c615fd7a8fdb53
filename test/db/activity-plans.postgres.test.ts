import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute, explain } from "../support/database.ts"
import { aside, buildLargeLog, examined, feeds, pagesOf, perRow } from "../support/large-log.ts"

// The same feeds as in activity-plans.d1.test.ts, held to the plan that was run and to the rows that it looked at.

beforeAll(async () => {
  await buildLargeLog()
  // Of other workspaces, in tables that are otherwise so small that reading them whole is the cheapest way.
  await execute(
    "insert into heads select 'wsp_other_' || n, 1, 0 from generate_series(1, 20000) n on conflict do nothing",
  )
  await execute(
    "insert into members select 'wsp_other_' || n, 'usr_' || n, 'member', 'Eve', 1, 0, 0 from generate_series(1, 20000) n on conflict do nothing",
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
  "Rows Removed by Index Recheck"?: number
  Plans?: Plan[]
}

const stepsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(stepsOf)]
const planOf = async (queries: Query[]): Promise<Plan[]> => (await explain<Plan>(queries)).flatMap(stepsOf)
const ours = (plan: Plan[]) => plan.filter((step) => step["Relation Name"] !== undefined)

const looked = (plan: Plan[]): number =>
  ours(plan).reduce(
    (sum, step) =>
      sum +
      step["Actual Loops"] *
        (step["Actual Rows"] + (step["Rows Removed by Filter"] ?? 0) + (step["Rows Removed by Index Recheck"] ?? 0)),
    0,
  )

const primary = "events_workspace_id_seq_pk"

describe("a feed of a log with 60,000 entries", () => {
  for (const feed of feeds) {
    it(`reads its own index, and its page or 1,000 rows at most: ${feed.name}`, async () => {
      for await (const { data, limit, statements, url } of pagesOf(feed)) {
        const plan = await planOf(statements)
        const scans = ours(plan).filter((step) => /^(events|projects|members)$/.test(step["Relation Name"] ?? ""))
        expect(scans.filter((step) => !/^Index( Only)? Scan$/.test(step["Node Type"]))).toEqual([])
        expect(scans.filter((step) => !step["Index Cond"]?.includes("workspace_id"))).toEqual([])
        const used = scans.filter((step) => step["Relation Name"] === "events").map((step) => step["Index Name"] ?? "")
        expect(used, url).toContain(feed.postgresIndex)
        expect(used.filter((name) => name !== feed.postgresIndex && name !== primary)).toEqual([])
        const bound = feed.isFull ? (data.length + 1) * perRow : examined + (limit + 1) * perRow
        expect(looked(plan), url).toBeLessThanOrEqual(bound + aside)
        const sorted = plan.filter((step) => step["Node Type"].endsWith("Sort")).map((step) => step["Actual Rows"])
        expect(Math.max(0, ...sorted), url).toBeLessThanOrEqual(examined)
      }
    })
  }
})
