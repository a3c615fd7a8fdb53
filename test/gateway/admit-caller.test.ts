import { parseRateLimit } from "ratelimit-header-parser"
import { parseList } from "structured-headers"
import { beforeAll, describe, expect, it } from "vitest"
import { policies } from "../../src/limits/policies.ts"
import { openApp } from "../support/app.ts"
import { type Caller, newAddress, newCaller, problemIn } from "../support/caller.ts"
import { deadLimiter, limiterOf } from "../support/limiters.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const refusing = limiterOf(async (policy) => ({
  policy,
  isAllowed: false,
  remaining: 0,
  resetMs: 42_000,
  window: null,
}))

describe("whoever is signed in", () => {
  it("is told what is left, in the draft's words and in those that clients know", async () => {
    const eve = await newCaller()
    const first = await eve.get("/api/v1/me")
    const second = await eve.get("/api/v1/projects")
    const left = [first, second].map((answer) => parseRateLimit(answer.headers))
    expect(left.map((told) => [told?.limit, told?.remaining])).toEqual([
      [3_000, 2_999],
      [3_000, 2_998],
    ])
    const reset = (left[0]?.reset?.getTime() ?? 0) - Date.now()
    expect(reset).toBeGreaterThan(290_000)
    expect(reset).toBeLessThanOrEqual(301_000)
    const [policy] = parseList(first.headers.get("ratelimit-policy") ?? "")
    expect([policy?.[0], Object.fromEntries(policy?.[1] ?? [])]).toEqual(["user", { q: 3_000, w: 300 }])
    const [limit] = parseList(first.headers.get("ratelimit") ?? "")
    expect([limit?.[0], limit?.[1].get("r")]).toEqual(["user", 2_999])
  })

  it("is told when it was too much, and when to come back", async () => {
    const answer = await ada.through(await openApp({ limiter: refusing })).get("/api/v1/projects")
    expect(answer.headers.get("retry-after")).toBe("42")
    const problem = await problemIn(answer, 429)
    expect(problem).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      code: "rate_limited",
      detail: "user: 3000 requests in 300 seconds",
    })
  })

  it("is counted by the person or the key, whatever the address", async () => {
    const seen: string[] = []
    const { instance } = await openApp()
    const limiter = limiterOf((policy, key, later) => {
      seen.push(`${policy.name} ${key}`)
      return instance.limiter.take(policy, key, later)
    })
    const made = (await (await ada.post("/api/v1/api-keys", { name: "x", scopes: ["task:read"] })).json()) as {
      id: string
      key: string
    }
    const through = ada.through(await openApp({ limiter }))
    await through.get("/api/v1/tasks", { "cf-connecting-ip": newAddress() })
    await through.as(made.key).get("/api/v1/tasks", { "cf-connecting-ip": newAddress() })
    expect(seen).toEqual([`user ${ada.userId}`, `api-key ${made.id}`])
  })

  it("is served when the limiter does not answer", async () => {
    const answer = await ada.through(await openApp({ limiter: deadLimiter })).get("/api/v1/projects")
    expect(answer.status).toBe(200)
    expect(answer.headers.get("ratelimit")).toBeNull()
  })
})

describe("what caches answer for", () => {
  it("is not counted: documents, pages, avatars, health, the keys of tokens", async () => {
    const app = await openApp({ limiter: refusing })
    for (const path of [
      "/docs",
      "/openapi.json",
      "/invitations",
      "/avatars/A-1.svg",
      "/health/live",
      "/.well-known/jwks.json",
    ]) {
      const answer = await app.fetch(path, { headers: { "cf-connecting-ip": newAddress() } })
      expect([answer.status, answer.headers.get("ratelimit")], path).toEqual([200, null])
    }
  })
})

describe("whoever shows no valid token", () => {
  it("may try a hundred times in a quarter of an hour from one network, and no header changes that", async () => {
    const { quota } = policies.anonymousByAddress
    const app = await openApp()
    const network = newAddress().replace(/::1$/, "")
    const attempt = (n: number, token?: string) =>
      app.fetch("/api/v1/me", {
        headers: {
          // Another address of the same /64, and what a client may say about itself.
          "cf-connecting-ip": `${network}:0:${n.toString(16)}::1`,
          "x-forwarded-for": newAddress(),
          "x-real-ip": newAddress(),
          forwarded: `for="[${newAddress()}]"`,
          ...(token && { authorization: `Bearer ${token}` }),
        },
      })
    const first = await Promise.all(
      Array.from({ length: quota }, (_, n) => attempt(n, n % 2 === 0 ? "x.y.z" : undefined)),
    )
    expect(new Set(first.map(({ status }) => status))).toEqual(new Set([401]))
    expect((await problemIn(await attempt(quota), 429)).detail).toContain("anonymous")
    // Nobody pays for it who is signed in.
    expect((await attempt(quota + 1, ada.accessToken)).status).toBe(200)
  })

  it("is refused all the same when the limiter does not answer", async () => {
    const app = await openApp({ limiter: deadLimiter })
    await problemIn(await app.fetch("/api/v1/me"), 401)
  })
})
