import { beforeAll, describe, expect, it } from "vitest"
import { expectSearchesOnly, planOf } from "../support/d1-plans.ts"
import { execute } from "../support/database.ts"
import { buildManyDeliveries, failedCount, readBy, sweepOnce } from "../support/many-deliveries.ts"

let path: string

beforeAll(async () => {
  path = await buildManyDeliveries()
})

/** What is leased is given as one parameter, and looked at once, as are the webhooks that are owed something. */
const withoutGiven = (plan: string[]) =>
  plan.filter((step) => !["SCAN j VIRTUAL TABLE INDEX 1:", "SCAN owed", "SCAN leased"].includes(step))
/** The projects that a webhook names stand in its row. */
const withoutNamed = (plan: string[]) => plan.filter((step) => step !== "SCAN c VIRTUAL TABLE INDEX 1:")

async function expectPages(): Promise<void> {
  for (const limit of [1, 50, 200]) {
    const first = await readBy((ada) => ada.get(`${path}/deliveries?limit=${limit}`))
    const second = await readBy((ada) => ada.get(`${path}/deliveries?limit=${limit}&cursor=${first.next}`))
    for (const { data, cost, statements } of [first, second]) {
      expect(data).toHaveLength(limit)
      expect(cost.trips).toBe(1)
      expect(cost.read).toBeLessThanOrEqual(3 * (limit + 1) + 3)
      expectSearchesOnly(withoutNamed(await planOf(statements)))
    }
    expect(second.data?.[0]?.seq).toBe((first.data?.at(-1)?.seq ?? 0) - 1)
  }
}

describe("deliveries among 60,000", () => {
  it("are listed by their key, a page at a time", expectPages)

  it("of a status are looked for among 1,000 at a time, and all found", async () => {
    const found: number[] = []
    let cursor = ""
    for (let pages = 0; pages < 100; pages += 1) {
      const page = await readBy((ada) => ada.get(`${path}/deliveries?status=failed&limit=5${cursor}`))
      expect(page.cost.read).toBeLessThanOrEqual(2 * 1_000 + 20)
      expectSearchesOnly(withoutNamed(await planOf(page.statements)))
      found.push(...(page.data ?? []).map(({ seq }) => seq))
      if (!page.next) break
      cursor = `&cursor=${page.next}`
    }
    expect(found).toEqual(Array.from({ length: failedCount }, (_, n) => failedCount - n))
  })

  it("are found one by one, with 50 attempts at most", async () => {
    const { log, cost, statements } = await readBy((ada) => ada.get(`${path}/deliveries/5`))
    expect(log).toHaveLength(50)
    expect(cost.read).toBeLessThanOrEqual(57)
    expectSearchesOnly(withoutNamed(await planOf(statements)))
  })

  it("that are due are found by when they are, and leased by the same index", async () => {
    const { due, rowsRead, statements } = await sweepOnce()
    expect(due).toHaveLength(200)
    const plan = await planOf(statements)
    expectSearchesOnly(withoutGiven(plan))
    expect(plan.join()).toContain("webhook_deliveries_due")
    expect(rowsRead).toBeLessThanOrEqual(2_000)
  })

  it("keep their plans when the database has been analysed", async () => {
    await execute("analyze")
    await expectPages()
    const { statements } = await sweepOnce()
    expectSearchesOnly(withoutGiven(await planOf(statements)))
  })
})

describe("webhooks among 5,000 of others", () => {
  it("are listed by their index", async () => {
    const { cost, statements } = await readBy((ada) => ada.get("/api/v1/webhooks"))
    expect(cost.read).toBeLessThanOrEqual(6)
    expectSearchesOnly(await planOf(statements))
  })
})

// Last: what is replayed is sent, and changes what there is.
describe("a range of deliveries among 60,000", () => {
  it("is replayed by its key, 200 at a time", async () => {
    const { status, cost, statements } = await readBy((ada) =>
      ada.post(`${path}/replays`, { fromSeq: 1_000, toSeq: 15_000 }),
    )
    expect([status, cost.trips]).toEqual([200, 2])
    expect(cost.read).toBeLessThanOrEqual(200 * 9)
    const plan = (await planOf(statements)).filter((step) => step.includes("webhook"))
    expectSearchesOnly(withoutNamed(plan))
  })
})
