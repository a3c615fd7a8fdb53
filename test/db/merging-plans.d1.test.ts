import { beforeAll, describe, expect, it } from "vitest"
import { mergedAtMost } from "../../src/domain/merging.ts"
import { expectSearchesOnly, planOf } from "../support/d1-plans.ts"
import { buildLongHistory, type LongHistory } from "../support/long-history.ts"

let task: LongHistory

beforeAll(async () => {
  task = await buildLongHistory()
})

describe("what has happened to a task since a base", () => {
  for (const name of ["id", "key"] as const) {
    it(`is searched by its own index, and read to a bound, however long its history is: by ${name}`, async () => {
      // The same without a base that lies back is what the change itself reads.
      const { read: alone } = await task.patch(task.revision(), name)
      const near = await task.patch(task.revision() - 5, name)
      const far = await task.patch(1, name)
      // Its title has not changed before these tests, but nobody knows that of a base so far back.
      expect([near.status, far.status]).toEqual([409, 409])
      for (const { statements } of [near, far]) {
        const plan = await planOf(statements)
        expectSearchesOnly(plan)
        expect(plan.join("\n")).toMatch(
          /SEARCH events USING INDEX events_subject_revision \(workspace_id=\? AND subject_id=\? AND revision>\?\)/,
        )
      }
      expect(near.read - alone).toBeLessThanOrEqual(2 * 5)
      expect(far.read - alone).toBeLessThanOrEqual(2 * (mergedAtMost + 1))
    })
  }
})
