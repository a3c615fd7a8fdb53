import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import { hour, minute } from "../../src/lib/time.ts"
import { durableEngine } from "../../src/limits/durable.ts"
import { leased } from "../../src/limits/leased.ts"
import { addressKey, relaxed } from "../../src/limits/limiter.ts"
import { policies, relaxation } from "../../src/limits/policies.ts"
import { linger, type RateLimiter } from "../../src/limits/rate-limiter.ts"

type Counter = DurableObjectStub<RateLimiter>

const durableLimiter = () => leased(durableEngine(env.RATE_LIMITER), Date.now)

const newCounter = (): Counter => env.RATE_LIMITER.getByName(crypto.randomUUID())

/** What the object has on disk: its tables, its alarm and its one row. */
const stored = (counter: Counter) =>
  runInDurableObject(counter, async (_counter: RateLimiter, { storage }) => {
    const tables = storage.sql.exec("select name from sqlite_master where name = 'window'").toArray()
    const rows = tables.length === 0 ? [] : storage.sql.exec("select taken, ends_at from window").toArray()
    return { tables: tables.length, alarm: await storage.getAlarm(), rows }
  })

/** Lets the window end without waiting for it; it has ended so long ago. */
const endWindow = (counter: Counter, ago = 1) =>
  runInDurableObject(counter, (_counter: RateLimiter, { storage }) => {
    storage.sql.exec("update window set ends_at = ?", Date.now() - ago)
  })

describe("a quota", () => {
  it("is taken exactly as often as it holds, by 50 who come at once", async () => {
    const counter = newCounter()
    const answers = await Promise.all(Array.from({ length: 50 }, () => counter.take(20, minute)))
    const allowed = answers.filter(({ isAllowed }) => isAllowed)
    expect(allowed).toHaveLength(20)
    expect(allowed.map(({ remaining }) => remaining).sort((a, b) => b - a)).toEqual(
      Array.from({ length: 20 }, (_, index) => 19 - index),
    )
    for (const { isAllowed, remaining } of answers) if (!isAllowed) expect(remaining).toBe(0)
  })

  it("is counted apart for every policy and key", async () => {
    const limiter = durableLimiter()
    const policy = { name: "test-once", quota: 1, windowMs: minute }
    const [one, other] = [crypto.randomUUID(), crypto.randomUUID()]
    expect((await limiter.take(policy, one)).isAllowed).toBe(true)
    expect((await limiter.take(policy, other)).isAllowed).toBe(true)
    expect((await limiter.take({ ...policy, name: "test-other" }, one)).isAllowed).toBe(true)
    expect((await limiter.take(policy, one)).isAllowed).toBe(false)
  })

  it("is wider by a stated factor where limits are relaxed, and says so", async () => {
    const key = crypto.randomUUID()
    const strict = await durableLimiter().take(policies.loginByAccount, key)
    const wider = await relaxed(durableLimiter()).take(policies.loginByAccount, key)
    expect(strict).toMatchObject({ policy: policies.loginByAccount, remaining: 9 })
    expect(wider.policy.quota).toBe(10 * relaxation)
    expect(wider.remaining).toBe(10 * relaxation - 2)
  })
})

describe("a window", () => {
  it("begins with its first use, and later uses do not move its end", async () => {
    const counter = newCounter()
    const before = Date.now()
    const first = await counter.take(5, minute)
    const { alarm } = await stored(counter)
    expect(first.resetMs).toBe(minute)
    expect(alarm).toBeGreaterThanOrEqual(before + minute + linger)
    expect(alarm).toBeLessThanOrEqual(Date.now() + minute + linger)

    await new Promise((resolve) => setTimeout(resolve, 20))
    const second = await counter.take(5, minute)
    expect(second.resetMs).toBeLessThan(minute)
    expect((await stored(counter)).alarm).toBe(alarm)
  })

  it("tells those who are refused when it ends, and is not prolonged by them", async () => {
    const counter = newCounter()
    await counter.take(1, minute)
    const before = await stored(counter)
    const refused = await counter.take(1, minute)
    expect(refused).toMatchObject({ isAllowed: false, remaining: 0 })
    expect(refused.resetMs).toBeGreaterThan(minute - 10_000)
    expect(refused.resetMs).toBeLessThanOrEqual(minute)
    expect(await stored(counter)).toEqual(before)
  })

  it("is followed by a whole new one, even when its alarm is late", async () => {
    const counter = newCounter()
    await counter.take(1, minute)
    await endWindow(counter)
    const next = await counter.take(1, hour)
    expect(next).toMatchObject({ isAllowed: true, remaining: 0, resetMs: hour })
    expect((await stored(counter)).alarm).toBeLessThan(Date.now() + hour + linger)

    // The early alarm finds the new window, leaves its count alone, and comes again.
    await runDurableObjectAlarm(counter)
    const { rows, alarm } = await stored(counter)
    expect(rows).toMatchObject([{ taken: 1, ends_at: Number(alarm) - linger }])
    expect((await counter.take(1, hour)).isAllowed).toBe(false)
  })

  it("of somebody who comes back soon costs one row, and no more", async () => {
    const counter = newCounter()
    await counter.take(5, minute)
    await endWindow(counter)
    const written = await runInDurableObject(counter, async (object: RateLimiter, { storage }) => {
      let rows = 0
      const exec = storage.sql.exec.bind(storage.sql)
      const spy = vi.spyOn(storage.sql, "exec").mockImplementation((query, ...values) => {
        const cursor = exec(query, ...values)
        rows += cursor.rowsWritten
        return cursor
      })
      const alarms = vi.spyOn(storage, "setAlarm")
      await object.take(5, minute)
      spy.mockRestore()
      return rows + alarms.mock.calls.length
    })
    expect(written).toBe(1)
  })

  it("leaves nothing behind, once nobody has come back for a while", async () => {
    const counter = newCounter()
    await counter.take(5, minute)
    await endWindow(counter)
    await runDurableObjectAlarm(counter)
    expect((await stored(counter)).tables).toBe(1)
    await endWindow(counter, linger)
    expect(await runDurableObjectAlarm(counter)).toBe(true)
    expect(await stored(counter)).toEqual({ tables: 0, alarm: null, rows: [] })
    expect(await counter.take(5, minute)).toMatchObject({ isAllowed: true, remaining: 4, resetMs: minute })
  })

  it("survives a restart of the object", async () => {
    const counter = newCounter()
    await counter.take(2, minute)
    await evictDurableObject(counter)
    expect(await counter.take(2, minute)).toMatchObject({ isAllowed: true, remaining: 0 })
    await evictDurableObject(counter)
    expect(await counter.take(2, minute)).toMatchObject({ isAllowed: false })
    await endWindow(counter, linger)
    await evictDurableObject(counter)
    expect(await runDurableObjectAlarm(counter)).toBe(true)
    expect((await stored(counter)).tables).toBe(0)
  })

  it("is not opened by the health check", async () => {
    const counter = newCounter()
    expect(await counter.ping()).toBe("pong")
    expect(await stored(counter)).toEqual({ tables: 0, alarm: null, rows: [] })
  })
})

describe("the key of an address", () => {
  const table: [string, string][] = [
    ["192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002:0000:0000:0000:0001", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:9::1", "2001:db8:0:0::/64"],
    ["2001:db8::5:6:7:8", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::", "fe80:0:0:0::/64"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["64:ff9b::192.0.2.7", "192.0.2.7"],
    ["unknown", "unknown"],
  ]
  for (const [address, key] of table) {
    it(`is ${key} for ${address}`, () => {
      expect(addressKey(address)).toBe(key)
    })
  }

  it("differs for neighbouring networks", () => {
    expect(addressKey("2001:db8:1:3::1")).not.toBe(addressKey("2001:db8:1:2::1"))
    expect(addressKey("192.0.2.8")).not.toBe(addressKey("192.0.2.7"))
  })
})

describe("the policies", () => {
  it("are named apart, and are tighter for registering and for one account than for an address", () => {
    const names = Object.values(policies).map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    const perHour = ({ quota, windowMs }: { quota: number; windowMs: number }) => (quota * hour) / windowMs
    expect(perHour(policies.registerByAddress)).toBeLessThan(perHour(policies.loginByAccount))
    expect(perHour(policies.loginByAccount)).toBeLessThan(perHour(policies.loginByAddress))
    // What anybody without a token may do stays below the 100 in 15 minutes of anonymous callers.
    for (const { quota, windowMs } of [policies.registerByAddress, policies.loginByAddress, policies.loginByAccount]) {
      expect(quota / windowMs).toBeLessThan(100 / (15 * minute))
    }
  })
})
