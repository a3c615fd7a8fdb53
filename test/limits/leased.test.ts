import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { minute, second } from "../../src/lib/time.ts"
import { durableEngine } from "../../src/limits/durable.ts"
import { leased } from "../../src/limits/leased.ts"
import { leaseLife } from "../../src/limits/leasing.ts"
import type { Engine } from "../../src/limits/limiter.ts"
import type { Policy } from "../../src/limits/policies.ts"

const large: Policy = { name: "test-large", quota: 1_000, windowMs: minute }
const small: Policy = { name: "test-small", quota: 50, windowMs: minute }

/** The real engine, with what was asked of it. */
function counting(engine: Engine = durableEngine(env.RATE_LIMITER)) {
  const asked: number[] = []
  const returned: number[] = []
  const counted: Engine = {
    take: (policy, key, count) => {
      asked.push(count)
      return engine.take(policy, key, count)
    },
    giveBack: (policy, key, count, window) => {
      returned.push(count)
      return engine.giveBack(policy, key, count, window)
    },
  }
  return { engine: counted, asked, returned }
}

const newKey = () => crypto.randomUUID()

describe("a leased limit", () => {
  it("asks once for a hundredth of a large quota, and counts down all the same", async () => {
    const { engine, asked } = counting()
    const limiter = leased(engine, Date.now)
    const key = newKey()
    const left: number[] = []
    for (let n = 0; n < 25; n += 1) left.push((await limiter.take(large, key)).remaining)
    expect(asked).toEqual([10, 10, 10])
    expect(left).toEqual(Array.from({ length: 25 }, (_, n) => 999 - n))
  })

  it("takes many at once, or nothing: from what it holds, and else from the engine", async () => {
    const { engine, asked } = counting()
    const limiter = leased(engine, Date.now)
    const key = newKey()
    const take = async (count: number) => {
      const { isAllowed, remaining } = await limiter.take(large, key, undefined, count)
      return [isAllowed, remaining]
    }
    expect(await take(4)).toEqual([true, 996])
    expect(await take(6)).toEqual([true, 990])
    expect(await take(99)).toEqual([true, 891])
    expect(asked).toEqual([10, 99])
    await engine.take(large, key, 850)
    expect((await take(50))[0]).toBe(false)
    expect(await take(41)).toEqual([true, 0])
    expect((await take(1))[0]).toBe(false)
  })

  it("lets in no more than the quota, however many are taken at once by several isolates", async () => {
    const isolates = Array.from({ length: 3 }, () => leased(durableEngine(env.RATE_LIMITER), Date.now))
    const key = newKey()
    let admitted = 0
    for (let round = 0; round < 12; round += 1) {
      const counts = [1, 3, 17, 40]
      const takes = isolates.flatMap((limiter) => counts.map((count) => [limiter, count] as const))
      const verdicts = await Promise.all(takes.map(([limiter, count]) => limiter.take(large, key, undefined, count)))
      admitted += verdicts.reduce((sum, { isAllowed }, index) => sum + (isAllowed ? (takes[index]?.[1] ?? 0) : 0), 0)
    }
    expect(admitted).toBeLessThanOrEqual(1_000)
    expect(admitted).toBeGreaterThanOrEqual(900)
  })

  it("asks for a small quota each time", async () => {
    const { engine, asked } = counting()
    const limiter = leased(engine, Date.now)
    const key = newKey()
    for (let n = 0; n < 5; n += 1) await limiter.take(small, key)
    expect(asked).toEqual([1, 1, 1, 1, 1])
  })

  it("lets in no more than the quota through several isolates, and leaves no more unused than they hold", async () => {
    const isolates = Array.from({ length: 3 }, () => leased(durableEngine(env.RATE_LIMITER), Date.now))
    const key = newKey()
    let admitted = 0
    for (let round = 0; round < 14; round += 1) {
      const verdicts = await Promise.all(
        isolates.flatMap((limiter) => Array.from({ length: 30 }, () => limiter.take(large, key))),
      )
      admitted += verdicts.filter(({ isAllowed }) => isAllowed).length
    }
    expect(admitted).toBeLessThanOrEqual(1_000)
    expect(admitted).toBeGreaterThanOrEqual(1_000 - 3 * 10)
  })

  it("takes one by one what is left of a quota", async () => {
    const { engine, asked } = counting()
    const key = newKey()
    await engine.take(large, key, 995)
    const limiter = leased(engine, Date.now)
    const verdicts = []
    for (let n = 0; n < 6; n += 1) verdicts.push(await limiter.take(large, key))
    expect(verdicts.map(({ isAllowed }) => isAllowed)).toEqual([true, true, true, true, true, false])
    expect(verdicts.at(-1)).toMatchObject({ remaining: 0 })
    expect(verdicts.at(-1)?.resetMs).toBeGreaterThan(50 * second)
    expect(asked.slice(1, 3)).toEqual([10, 1])
  })

  it("gives back after the answer what it has not spent in its time, once, and only within the window", async () => {
    const clock = { at: Date.now() }
    const { engine, asked, returned } = counting()
    const limiter = leased(engine, () => clock.at)
    const [key, other] = [newKey(), newKey()]
    await limiter.take(large, key)
    clock.at += leaseLife
    const work: (() => Promise<unknown>)[] = []
    await limiter.take(large, other, (item) => void work.push(item))
    expect(returned).toEqual([])
    await Promise.all(work.map((item) => item()))
    expect(returned).toEqual([9])
    expect((await engine.take(large, key, 1)).remaining).toBe(998)

    clock.at += 2 * minute
    await limiter.take(large, newKey(), (item) => void work.push(item))
    expect(work).toHaveLength(1)
    expect(asked.length).toBe(4)
  })

  it("is not given back to a window that has followed", async () => {
    const { engine } = counting()
    const key = newKey()
    const brief = { ...large, windowMs: 200 }
    const first = await engine.take(brief, key, 10)
    await new Promise((resolve) => setTimeout(resolve, 250))
    const next = await engine.take(brief, key, 10)
    expect(next.window).not.toBe(first.window)
    await engine.giveBack(brief, key, 9, first.window)
    expect((await engine.take(brief, key, 1)).remaining).toBe(989)
  })

  it("asks again after its engine has failed, and spends nothing that it was not given", async () => {
    let isDown = true
    const real = durableEngine(env.RATE_LIMITER)
    const { engine, asked } = counting({
      ...real,
      take: (...args) => (isDown ? Promise.reject(new Error("down")) : real.take(...args)),
    })
    const limiter = leased(engine, Date.now)
    const key = newKey()
    for (let n = 0; n < 3; n += 1) await expect(limiter.take(large, key)).rejects.toThrow("down")
    isDown = false
    expect((await limiter.take(large, key)).remaining).toBe(999)
    expect(asked).toEqual([10, 10, 10, 10])
  })
})
