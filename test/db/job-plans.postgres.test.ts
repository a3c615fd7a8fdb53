import { beforeAll, describe, expect, it } from "vitest"
import { buildManyWorkspaces, jobs, runAside } from "../support/many-workspaces.ts"
import { ours, planOf } from "../support/postgres-plans.ts"

beforeAll(buildManyWorkspaces)

const many = /^(heads|workspaces|invitees|receipts|tasks|users)$/

describe("a run of a job", () => {
  for (const job of jobs) {
    it(`searches by primary keys from where the last one ended, and sorts nothing: ${job.name}`, async () => {
      const { examined, done, statements, error } = await runAside(job)
      expect([error, done > 0, examined > 0]).toEqual([undefined, true, true])
      // Of a workspace that is gone, the same statements find nothing any more; how they look for it is the same.
      const plan = await planOf(statements.filter(({ text }) => !/^\s*insert/i.test(text)))
      const read = ours(plan).filter((step) => many.test(step["Relation Name"] ?? ""))
      expect(read.length).toBeGreaterThan(0)
      expect(read.filter((step) => /Seq Scan/.test(step["Node Type"]))).toEqual([])
    })
  }
})
