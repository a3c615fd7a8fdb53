import { beforeAll, describe, expect, it } from "vitest"
import type { Caller } from "../support/caller.ts"
import { expectSearchesOnly, planOf } from "../support/d1-plans.ts"
import { buildManyLabels, readLabels } from "../support/many-labels.ts"

let ada: Caller

beforeAll(async () => {
  ada = await buildManyLabels()
})

describe("the list of labels", () => {
  for (const limit of [1, 50, 200]) {
    it(`reads its page by name, past 10,000 deleted ones: ${limit}`, async () => {
      const first = await readLabels(ada, `limit=${limit}`)
      const second = await readLabels(ada, `limit=${limit}&cursor=${first.next}`)
      expect(first.data[0]?.name).toBe("Label 010000")
      for (const [page, condition] of [
        [first, "workspace_id=?"],
        [second, "workspace_id=? AND name_key>?"],
      ] as const) {
        expect(page.data).toHaveLength(limit)
        expect(page.trips).toBe(1)
        expect(page.read).toBeLessThanOrEqual(2 * (limit + 1) + 1)
        const plan = await planOf(page.statements)
        expectSearchesOnly(plan)
        expect(plan).toContain(`SEARCH labels USING INDEX labels_name (${condition})`)
      }
    })
  }
})
