import { beforeAll, describe, expect, it } from "vitest"
import { execute, explain } from "../support/database.ts"
import { buildManyInvitations, listings } from "../support/many-invitations.ts"

type Plan = {
  "Node Type": string
  "Relation Name"?: string
  "Index Name"?: string
  "Actual Rows": number
  "Actual Loops": number
  "Rows Removed by Filter"?: number
  Plans?: Plan[]
}

const stepsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(stepsOf)]

beforeAll(async () => {
  await buildManyInvitations()
  await execute("analyze")
})

describe("lists of invitations among many", () => {
  it("read their page by their index, and sort nothing", async () => {
    for await (const { path, statements, data, limit } of listings()) {
      expect(data, path).toHaveLength(limit)
      const isMine = path.includes("/me/")
      const plan = (await explain<Plan>(statements)).flatMap(stepsOf)
      const ours = plan.filter((step) => step["Relation Name"])
      expect(
        ours.filter((step) => step["Node Type"].includes("Seq Scan")).map((step) => step["Relation Name"]),
      ).toEqual([])
      expect(plan.filter((step) => /Sort/.test(step["Node Type"]))).toEqual([])
      const indexes = ours.map((step) => step["Index Name"])
      if (isMine) expect(indexes).toContain("invitees_email_workspace_id_invitation_id_pk")
      else expect(indexes).toContain("invitations_pending")
      const looked = ours.reduce(
        (sum, step) => sum + step["Actual Loops"] * (step["Actual Rows"] + (step["Rows Removed by Filter"] ?? 0)),
        0,
      )
      expect(looked, path).toBeLessThanOrEqual((limit + 1) * (isMine ? 3 : 1) + 5)
    }
  })
})
