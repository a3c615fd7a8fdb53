import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute } from "../support/database.ts"
import { buildManyDeliveries, failedCount, readBy, sweepOnce } from "../support/many-deliveries.ts"
import { looked, ours, planOf } from "../support/postgres-plans.ts"

let path: string

beforeAll(async () => {
  path = await buildManyDeliveries()
  await execute("analyze")
})

/** By an index, within the workspace. Gives how many rows were looked at. */
async function expectSearches(statements: Query[]): Promise<number> {
  const plan = await planOf(statements)
  const scans = ours(plan).filter(
    (step) => step["Relation Name"]?.startsWith("webhook") && step["Node Type"] !== "ModifyTable",
  )
  expect(scans.length).toBeGreaterThan(0)
  expect(scans.filter((step) => !/^Index( Only)? Scan$/.test(step["Node Type"]))).toEqual([])
  expect(scans.filter((step) => !step["Index Cond"]?.includes("workspace_id"))).toEqual([])
  return looked(scans)
}

const reads = (statements: Query[]) => statements.filter(({ text }) => text.startsWith("select"))

describe("deliveries among 60,000", () => {
  it("are listed by their key, a page at a time", async () => {
    for (const limit of [1, 50, 200]) {
      const first = await readBy((ada) => ada.get(`${path}/deliveries?limit=${limit}`))
      const second = await readBy((ada) => ada.get(`${path}/deliveries?limit=${limit}&cursor=${first.next}`))
      for (const { data, statements } of [first, second]) {
        expect(data).toHaveLength(limit)
        expect(await expectSearches(statements)).toBeLessThanOrEqual(3 * (limit + 1) + 3)
      }
      expect(second.data?.[0]?.seq).toBe((first.data?.at(-1)?.seq ?? 0) - 1)
    }
  })

  it("of a status are looked for among 1,000 at a time, and all found", async () => {
    const found: number[] = []
    let cursor = ""
    for (let pages = 0; pages < 100; pages += 1) {
      const page = await readBy((ada) => ada.get(`${path}/deliveries?status=failed&limit=5${cursor}`))
      if (pages % 7 === 0) expect(await expectSearches(page.statements)).toBeLessThanOrEqual(2 * 1_000 + 20)
      found.push(...(page.data ?? []).map(({ seq }) => seq))
      if (!page.next) break
      cursor = `&cursor=${page.next}`
    }
    expect(found).toEqual(Array.from({ length: failedCount }, (_, n) => failedCount - n))
  })

  it("are found one by one, with 50 attempts at most", async () => {
    const { log, statements } = await readBy((ada) => ada.get(`${path}/deliveries/5`))
    expect(log).toHaveLength(50)
    expect(await expectSearches(statements)).toBeLessThanOrEqual(52)
  })

  it("that are due are found by when they are", async () => {
    const { due, statements } = await sweepOnce()
    expect(due).toHaveLength(200)
    // Asked again, with what is under way by now: as many again.
    expect(await expectSearches(reads(statements))).toBeLessThanOrEqual(2 * 200 + 10)
    const lease = statements.filter(({ text }) => text.startsWith("update"))
    expect(lease).toHaveLength(1)
    // Leasing again finds nothing that is still due and given, but it is the same plan.
    expect(await expectSearches(lease)).toBeLessThanOrEqual(2_000)
  })
})

describe("webhooks among 5,000 of others", () => {
  it("are listed by their index", async () => {
    const { statements } = await readBy((ada) => ada.get("/api/v1/webhooks"))
    expect(await expectSearches(statements)).toBeLessThanOrEqual(3)
  })
})

// Last: what is replayed is sent, and changes what there is.
describe("a range of deliveries among 60,000", () => {
  it("is replayed by its key, 200 at a time", async () => {
    const { status, cost, statements } = await readBy((ada) =>
      ada.post(`${path}/replays`, { fromSeq: 1_000, toSeq: 15_000 }),
    )
    expect([status, cost.trips]).toEqual([200, 2])
    expect(await expectSearches(reads(statements))).toBeLessThanOrEqual(204)
  })
})
