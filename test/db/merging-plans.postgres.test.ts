import { beforeAll, describe, expect, it } from "vitest"
import { mergedAtMost } from "../../src/domain/merging.ts"
import { execute } from "../support/database.ts"
import { buildLongHistory, type LongHistory } from "../support/long-history.ts"
import { looked, ours, planOf } from "../support/postgres-plans.ts"

let task: LongHistory

beforeAll(async () => {
  task = await buildLongHistory()
  await execute("analyze")
})

describe("what has happened to a task since a base", () => {
  for (const name of ["id", "key"] as const) {
    it(`is searched by its own index, and read to a bound, however long its history is: by ${name}`, async () => {
      for (const base of [task.revision() - 5, 1]) {
        const { statements } = await task.patch(base, name)
        const plan = await planOf(statements)
        const steps = ours(plan).filter((step) => step["Relation Name"] === "events")
        expect(steps).toMatchObject([{ "Node Type": "Index Scan", "Index Name": "events_subject_revision" }])
        expect(steps[0]?.["Index Cond"]).toMatch(/workspace_id.*subject_id.*revision/)
        expect(looked(steps)).toBeLessThanOrEqual(mergedAtMost + 1)
        const sorted = plan.filter((step) => step["Node Type"].endsWith("Sort")).flatMap(({ Plans = [] }) => Plans)
        expect(sorted.filter((step) => step["Relation Name"] === "events")).toEqual([])
      }
    })
  }
})
