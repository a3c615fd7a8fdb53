import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { minute, second } from "../../src/lib/time.ts"
import { leased } from "../../src/limits/leased.ts"
import type { Policy } from "../../src/limits/policies.ts"
import { upstashEngine } from "../../src/limits/upstash.ts"
import { openApp } from "../support/app.ts"
import { newAddress, newCaller, problemIn } from "../support/caller.ts"

// The real clients of Upstash against a real Redis behind Upstash's protocol.

const url = env.TEST_UPSTASH_URL
const token = env.TEST_UPSTASH_TOKEN
const engineAt = (path = "") => upstashEngine({ url: `${url}${path}`, token })
const newKey = () => crypto.randomUUID()
const small: Policy = { name: "test-small", quota: 20, windowMs: minute }
const large: Policy = { name: "test-large", quota: 1_000, windowMs: minute }

describe("a quota in Upstash", () => {
  it("is taken exactly as often as it holds, by 50 who come at once", async () => {
    const engine = engineAt()
    const key = newKey()
    const answers = await Promise.all(Array.from({ length: 50 }, () => engine.take(small, key, 1)))
    const allowed = answers.filter(({ isAllowed }) => isAllowed)
    expect(allowed.map(({ remaining }) => remaining).sort((a, b) => b - a)).toEqual(
      Array.from({ length: 20 }, (_, n) => 19 - n),
    )
    expect(new Set(answers.map(({ window }) => window)).size).toBe(1)
    for (const { resetMs } of answers) {
      expect(resetMs).toBeGreaterThan(50 * second)
      // By the clock of who asks, which may have gone on between the two.
      expect(resetMs).toBeLessThanOrEqual(minute + 50)
    }
  })

  it("loses nothing to a part that it refuses, and tells that one may be left", async () => {
    const engine = engineAt()
    const key = newKey()
    await engine.take(small, key, 15)
    expect(await engine.take(small, key, 10)).toMatchObject({ isAllowed: false, remaining: 1 })
    expect(await engine.take(small, key, 5)).toMatchObject({ isAllowed: true, remaining: 0 })
    expect(await engine.take(small, key, 1)).toMatchObject({ isAllowed: false, remaining: 0 })
  })

  it("begins anew after its window", async () => {
    const engine = engineAt()
    const brief = { ...small, quota: 2, windowMs: 500 }
    const key = newKey()
    const first = await engine.take(brief, key, 2)
    expect((await engine.take(brief, key, 1)).isAllowed).toBe(false)
    await new Promise((resolve) => setTimeout(resolve, 600))
    const next = await engine.take(brief, key, 1)
    expect(next).toMatchObject({ isAllowed: true, remaining: 1 })
    expect(next.window).toBeGreaterThan(first.window)
  })

  it("takes back what was not spent, but not near the end of a window", async () => {
    const engine = engineAt()
    const key = newKey()
    const { window } = await engine.take(small, key, 10)
    await engine.giveBack(small, key, 9, window)
    expect((await engine.take(small, key, 1)).remaining).toBe(18)
    const brief = { ...small, windowMs: 4 * second }
    const short = await engine.take(brief, newKey(), 10)
    const other = newKey()
    await engine.take(brief, other, 10)
    await engine.giveBack(brief, other, 9, short.window)
    expect((await engine.take(brief, other, 1)).remaining).toBe(9)
  })

  it("lets in no more than it holds through several isolates, and hardly less", async () => {
    const isolates = Array.from({ length: 3 }, () => leased(engineAt(), Date.now))
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
})

describe("when Upstash is in trouble", () => {
  const troubles: [string, () => ReturnType<typeof upstashEngine>][] = [
    ["answers with 500", () => engineAt("/broken")],
    ["hangs up in the middle", () => engineAt("/cut")],
    ["takes longer than its deadline", () => engineAt("/slow")],
    ["does not know the token", () => upstashEngine({ url, token: "wrong" })],
    ["is not there", () => upstashEngine({ url: "http://127.0.0.1:9", token })],
  ]
  for (const [what, open] of troubles) {
    it(`tells so within its deadline, and lets nobody in by itself: it ${what}`, async () => {
      const start = Date.now()
      await expect(open().take(small, newKey(), 1)).rejects.toThrow()
      expect(Date.now() - start).toBeLessThan(2_900)
    })
  }

  for (const fault of ["partial", "short"]) {
    it(`of those who ask at once, only whoever was answered is let in: a ${fault} answer`, async () => {
      const key = newKey()
      // Its scripts are there already, so that what is asked now goes out together.
      await engineAt().take(small, key, 1)
      const engine = engineAt(`/${fault}`)
      const asked = await Promise.allSettled(Array.from({ length: 4 }, () => engine.take(small, key, 1)))
      const told = asked.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []))
      expect(told).toHaveLength(2)
      for (const grant of told) expect(grant.isAllowed).toBe(true)
      // What Redis has counted without telling is lost, and never given twice.
      expect(await engineAt().take(small, key, 1)).toMatchObject({ isAllowed: true, remaining: small.quota - 6 })
    })
  }

  it("nobody signs in, and whoever is signed in is served", async () => {
    const ada = await newCaller()
    const app = await openApp({ limiter: leased(engineAt("/broken"), Date.now) })
    expect((await ada.through(app).get("/api/v1/projects")).status).toBe(200)
    const login = await app.fetch("/api/v1/auth/login", {
      method: "POST",
      headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
      body: JSON.stringify({ email: ada.email, password: "a long passphrase" }),
    })
    await problemIn(login, 503)
    expect(login.headers.get("retry-after")).toBe("5")
  })
})

describe("a Worker with Upstash", () => {
  it("counts its callers there", async () => {
    const ada = await newCaller()
    const limiter = leased(engineAt(), Date.now)
    const answer = await ada.through(await openApp({ limiter })).get("/api/v1/projects")
    expect(answer.headers.get("ratelimit")).toContain('"user";r=2999;')
    expect((await engineAt().take({ name: "user", quota: 3_000, windowMs: 5 * minute }, ada.userId, 1)).remaining).toBe(
      2_969,
    )
  })
})
