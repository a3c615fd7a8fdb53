import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { makeApiKey } from "../../src/lib/api-key.ts"
import type { Caller } from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { buildManyKeys, readBy } from "../support/many-keys.ts"

let ada: Caller

beforeAll(async () => {
  ada = await buildManyKeys()
})

async function planOf(statements: Query[]): Promise<string[]> {
  const steps = statements.map(({ text, values }) =>
    rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values),
  )
  return (await Promise.all(steps)).flatMap((rows) => rows.map(({ detail }) => detail))
}

describe("API keys among 40,000", () => {
  it("are listed by their index, a page at a time", async () => {
    for (const limit of [1, 50, 200]) {
      const first = await readBy(() => ada.get(`/api/v1/api-keys?limit=${limit}`))
      const second = await readBy(() => ada.get(`/api/v1/api-keys?limit=${limit}&cursor=${first.next}`))
      expect((second.data?.[0]?.id ?? "") > (first.data?.at(-1)?.id ?? "~")).toBe(true)
      for (const { data, rowsRead } of [first, second]) {
        expect(data).toHaveLength(limit)
        expect(rowsRead).toBeLessThanOrEqual(2 * (limit + 1))
      }
      expect(await planOf(first.statements)).toEqual([
        "SEARCH api_keys USING INDEX api_keys_user (workspace_id=? AND user_id=?)",
      ])
      expect(await planOf(second.statements)).toEqual([
        "SEARCH api_keys USING INDEX api_keys_user (workspace_id=? AND user_id=? AND id>?)",
      ])
    }
  })

  it("are found by their hash, within their workspace", async () => {
    const key = makeApiKey(ada.workspaceId)
    const { status, statements, rowsRead } = await readBy(() =>
      ada.app.fetch("/api/v1/me", { headers: { "x-api-key": key } }),
    )
    expect(status).toBe(401)
    expect(rowsRead).toBeLessThanOrEqual(3)
    const plan = await planOf(statements)
    expect(plan).toContain("SEARCH api_keys USING INDEX api_keys_hash (workspace_id=? AND hash=?)")
    expect(plan.filter((step) => /SCAN (?!CONSTANT ROW)|TEMP B-TREE|AUTOMATIC/.test(step))).toEqual([])
    const searches = plan.filter((step) => step.startsWith("SEARCH "))
    expect(searches.filter((step) => !step.includes("(workspace_id=?"))).toEqual([])
  })
})
