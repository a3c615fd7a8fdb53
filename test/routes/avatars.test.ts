import { beforeAll, describe, expect, it } from "vitest"
import { Me } from "../../src/contracts/me.ts"
import { MemberPage } from "../../src/contracts/members.ts"
import { type Caller, costOf, newCaller, problemIn } from "../support/caller.ts"
import { joined } from "../support/people.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const avatarOf = async (caller: Caller) => Me.parse(await (await caller.get("/api/v1/me")).json()).avatarUrl

describe("GET /avatars/:file", () => {
  it("draws the initials of a user, for anybody, at no cost, and for ever", async () => {
    await ada.patch("/api/v1/me", { name: "Ada Lovelace" })
    const url = await avatarOf(ada)
    expect(url).toMatch(/^\/avatars\/AL-\d+\.svg$/)
    const answer = await ada.app.fetch(url)
    expect(answer.status).toBe(200)
    expect(costOf(answer)).toEqual({ trips: 0, read: 0, written: 0 })
    expect(answer.headers.get("content-type")).toBe("image/svg+xml")
    expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable")
    expect(await answer.text()).toContain(">AL</text>")
  })

  it("may run and load nothing, and be shown on any page", async () => {
    const { headers } = await ada.app.fetch("/avatars/AL-7.svg")
    expect(headers.get("content-security-policy")).toContain("default-src 'none'")
    expect(headers.get("x-content-type-options")).toBe("nosniff")
    expect(headers.get("cross-origin-resource-policy")).toBe("cross-origin")
  })

  it("draws any name that there can be", async () => {
    for (const name of [
      "王小明",
      "דוד כהן",
      "👩🏽‍🚀 Ana",
      "🇩🇪",
      "<script> & 'x'",
      "%2F..%2F",
      "!?!",
      "e\u0301 \u202e",
    ]) {
      await ada.patch("/api/v1/me", { name })
      const url = await avatarOf(ada)
      const answer = await ada.app.fetch(url)
      expect(answer.status, `${name} ${url}`).toBe(200)
      expect(await answer.text()).toMatch(/<text [^>]*>[^<>&]+<\/text><\/svg>$/)
    }
  })

  it("is 404 for an address of no avatar", async () => {
    const files = [
      "x",
      "ABC-1.svg",
      "A-99.svg",
      "%3Cscript%3E-1.svg",
      "%00-1.svg",
      "%FF-1.svg",
      "A-1.png",
      "%F0%9F-1.svg",
    ]
    for (const file of [...files, `a${"%CC%81".repeat(500)}-1.svg`]) {
      expect((await problemIn(await ada.app.fetch(`/avatars/${file}`), 404)).code, file).toBe("not_found")
    }
    await problemIn(await ada.app.fetch("/avatars/A-1.svg", { method: "POST" }), 405)
  })

  it("is the one that the list of members names", async () => {
    const eve = await joined(ada, "member", "Eve Adams")
    const { data } = MemberPage.parse(await (await ada.get("/api/v1/members")).json())
    const listed = data.find(({ userId }) => userId === eve.userId)
    expect(listed?.avatarUrl).toMatch(/^\/avatars\/EA-\d+\.svg$/)
    expect(listed?.avatarUrl).toBe(await avatarOf(eve))
  })
})
