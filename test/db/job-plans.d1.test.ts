import { beforeAll, describe, expect, it } from "vitest"
import { planOf } from "../support/d1-plans.ts"
import { buildManyWorkspaces, jobs, runAside } from "../support/many-workspaces.ts"

beforeAll(buildManyWorkspaces)

// What a run may read beside its window: its rows again when it deletes them, each with an entry of an index.
const bounds = {
  "unread-logs": 2 * 5_000 + 500,
  "expired-receipts": 4 * 2_000 + 50,
  "expired-invitations": 8 * 1_000,
  "deleted-workspaces": 60_000,
  digests: 2 * 1_000,
}

describe("a run of a job", () => {
  for (const job of jobs) {
    it(`searches by primary keys from where the last one ended, and sorts nothing: ${job.name}`, async () => {
      const { examined, done, rowsRead, statements, error } = await runAside(job)
      expect([error, done > 0, examined > 0]).toEqual([undefined, true, true])
      const plan = await planOf(statements)
      const scans = plan.filter((step) => step.startsWith("SCAN ") && !/SCAN (j|json_each) VIRTUAL TABLE/.test(step))
      expect(scans).toEqual([])
      expect(plan.filter((step) => /AUTOMATIC|TEMP B-TREE FOR (?:LAST TERM OF )?ORDER/.test(step))).toEqual([])
      expect(rowsRead).toBeLessThanOrEqual(bounds[job.name])
    })
  }
})
