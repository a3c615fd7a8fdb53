import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { makeApiKey } from "../../src/lib/api-key.ts"
import type { Caller } from "../support/caller.ts"
import { execute, explain } from "../support/database.ts"
import { buildManyKeys, readBy } from "../support/many-keys.ts"

let ada: Caller

beforeAll(async () => {
  ada = await buildManyKeys()
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

/** How the keys were read. */
const planOf = async (queries: Query[]) =>
  (await explain<Plan>(queries)).flatMap(stepsOf).filter((step) => step["Relation Name"] === "api_keys")

const looked = (step: Plan | undefined) => (step ? step["Actual Rows"] + (step["Rows Removed by Filter"] ?? 0) : NaN)

describe("API keys among 40,000", () => {
  it("are listed by their index, a page at a time", async () => {
    for (const limit of [1, 50, 200]) {
      const first = await readBy(() => ada.get(`/api/v1/api-keys?limit=${limit}`))
      const second = await readBy(() => ada.get(`/api/v1/api-keys?limit=${limit}&cursor=${first.next}`))
      for (const { data, statements } of [first, second]) {
        expect(data).toHaveLength(limit)
        const [step, ...others] = await planOf(statements)
        expect(others).toEqual([])
        expect(step?.["Index Name"]).toBe("api_keys_user")
        expect(looked(step)).toBeLessThanOrEqual(limit + 1)
      }
    }
  })

  it("are found by their hash, within their workspace", async () => {
    const key = makeApiKey(ada.workspaceId)
    const { status, statements } = await readBy(() => ada.app.fetch("/api/v1/me", { headers: { "x-api-key": key } }))
    expect(status).toBe(401)
    const [step] = await planOf(statements)
    expect(step?.["Index Name"]).toBe("api_keys_hash")
    expect(step?.["Index Cond"]).toMatch(/workspace_id.*hash/)
    expect(looked(step)).toBe(0)
  })
})
