import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { minute } from "../../src/lib/time.ts"
import { addressKey } from "../../src/limits/limiter.ts"
import { openApp } from "../support/app.ts"
import { newAddress, newCaller, problemIn, sharedApp } from "../support/caller.ts"

/** As many requests as the platform lets through from one network. */
async function flood(address: string): Promise<number> {
  const key = addressKey(address)
  for (let n = 0; n < 10_000; n += 1) {
    const answer = await env.FLOOD_GUARD?.limit({ key })
    if (!answer?.success) return n
  }
  throw new Error("Nothing guards")
}

/** Does it within one minute of the clock, by which the platform counts: again when the minute has turned meanwhile. */
async function inOneMinute<T>(attempt: () => Promise<T>): Promise<T> {
  const minuteNow = () => Math.floor(Date.now() / minute)
  for (;;) {
    const begun = minuteNow()
    const done = await attempt().catch((error: unknown) => {
      if (minuteNow() === begun) throw error
    })
    if (done !== undefined && minuteNow() === begun) return done
  }
}

describe("the flood guard", () => {
  it("refuses a network that sends in masses, whoever it is, and nobody else", async () => {
    const app = await sharedApp()
    const ada = await newCaller()
    const ask = (from: string, path = "/health/live") =>
      app.fetch(path, { headers: { "cf-connecting-ip": from, authorization: `Bearer ${ada.accessToken}` } })
    const address = await inOneMinute(async () => {
      const flooding = newAddress()
      expect((await ask(flooding)).status).toBe(200)
      expect(await flood(flooding)).toBe(2_999)
      const refused = await ask(flooding, "/api/v1/me")
      expect(refused.headers.get("retry-after")).toBe("60")
      expect((await problemIn(refused, 429)).detail).toBe("Too many requests from your network")
      // Another address of the same network, and another network.
      await problemIn(await ask(flooding.replace(/::1$/, ":0:7::9")), 429)
      return flooding
    })
    expect((await ask(newAddress(), "/api/v1/me")).status).toBe(200)
    // On one's own machine it stands aside with the other limits.
    const { instance } = app
    const relaxed = await openApp({ settings: { ...instance.settings, RATE_LIMITS: "relaxed" } })
    expect((await relaxed.fetch("/health/live", { headers: { "cf-connecting-ip": address } })).status).toBe(200)
  })
})
