import { beforeAll, describe, expect, it } from "vitest"
import type { Caller } from "../support/caller.ts"
import { execute } from "../support/database.ts"
import { buildManyLabels, readLabels } from "../support/many-labels.ts"
import { looked, ours, planOf } from "../support/postgres-plans.ts"

let ada: Caller

beforeAll(async () => {
  ada = await buildManyLabels()
  await execute("analyze")
})

describe("the list of labels", () => {
  for (const limit of [1, 50, 200]) {
    it(`reads its page by name, past 10,000 deleted ones: ${limit}`, async () => {
      const first = await readLabels(ada, `limit=${limit}`)
      const second = await readLabels(ada, `limit=${limit}&cursor=${first.next}`)
      expect(first.data[0]?.name).toBe("Label 010000")
      for (const page of [first, second]) {
        expect(page.data).toHaveLength(limit)
        expect(page.trips).toBe(1)
        const plan = await planOf(page.statements)
        const steps = ours(plan).filter((step) => step["Relation Name"] === "labels")
        expect(steps).toMatchObject([{ "Node Type": "Index Scan", "Index Name": "labels_name" }])
        expect(plan.filter((step) => step["Node Type"].endsWith("Sort"))).toEqual([])
        expect(steps[0]?.["Index Cond"]).toContain("workspace_id")
        expect(looked(steps)).toBeLessThanOrEqual(limit + 1)
      }
      expect(ours(await planOf(second.statements))[0]?.["Index Cond"]).toContain("name_key")
    })
  }
})
