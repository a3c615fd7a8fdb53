import * as fc from "fast-check"
import { Webhook as Verifier } from "standardwebhooks"
import { describe, expect, it } from "vitest"
import { byteLength } from "../../src/lib/bytes.ts"
import { cutTexts } from "../../src/lib/cut-texts.ts"
import { hmacKey } from "../../src/lib/hmac.ts"
import { eachInParallel } from "../../src/lib/parallel.ts"
import { parseRetryAfter } from "../../src/lib/retry-after.ts"
import { formatSecret, messageIdOf, secretBytes, signatureOf } from "../../src/lib/webhook-signature.ts"

describe("a signature", () => {
  const scope = { workspaceId: "wsp_1", id: "whk_1" }

  it("is believed by whoever knows one of the secrets, and by nobody else", async () => {
    const key = await hmacKey(new Uint8Array(32).fill(7))
    const [newest, before, other] = await Promise.all([2, 1, 3].map((n) => secretBytes(key, scope, n)))
    if (!newest || !before || !other) throw new Error("No secrets")
    const id = messageIdOf("whk_1", 42)
    const timestamp = Math.floor(Date.now() / 1000)
    const body = JSON.stringify({ type: "task.created", text: "ü 👍 \u2028" })
    const headers = {
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": await signatureOf([newest, before], { id, timestamp, body }),
    }
    for (const secret of [newest, before]) {
      expect(new Verifier(formatSecret(secret)).verify(body, headers)).toEqual(JSON.parse(body))
    }
    expect(() => new Verifier(formatSecret(other)).verify(body, headers)).toThrow()
    expect(() => new Verifier(formatSecret(newest)).verify(body, { ...headers, "webhook-id": "msg_1_43" })).toThrow()
  })

  it("follows from the workspace, the webhook, the generation and the instance", async () => {
    const key = await hmacKey(new Uint8Array(32).fill(7))
    const secrets = await Promise.all([
      secretBytes(key, scope, 1),
      secretBytes(key, scope, 2),
      secretBytes(key, { ...scope, id: "whk_2" }, 1),
      secretBytes(key, { ...scope, workspaceId: "wsp_2" }, 1),
      secretBytes(await hmacKey(new Uint8Array(32).fill(8)), scope, 1),
    ])
    expect(new Set(secrets.map(formatSecret)).size).toBe(5)
    expect(formatSecret(await secretBytes(key, scope, 1))).toBe(formatSecret(secrets[0] ?? new Uint8Array()))
  })
})

describe("Retry-After", () => {
  const now = Date.parse("2026-11-25T12:00:00Z")

  it("is a number of seconds or a date", () => {
    expect(parseRetryAfter("120", now)).toBe(120_000)
    expect(parseRetryAfter(" 0 ", now)).toBe(0)
    expect(parseRetryAfter("Wed, 25 Nov 2026 12:01:00 GMT", now)).toBe(60_000)
    expect(parseRetryAfter("Wednesday, 25-Nov-26 12:01:00 GMT", now)).toBe(60_000)
    expect(parseRetryAfter("Wed Nov 25 12:01:00 2026", now)).toBe(60_000)
    expect(parseRetryAfter("Wed, 25 Nov 2026 11:00:00 GMT", now)).toBe(0)
    for (const none of [null, "", "soon", "-1", "1.5", "1e3", "2026-11-26", "99999999999", "Wed, GMT"]) {
      expect(parseRetryAfter(none, now), String(none)).toBeNull()
    }
  })

  it("of whatever kind is a time to wait, or none", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.date({ noInvalidDate: true }).map((at) => at.toUTCString()),
        ),
        (text) => {
          const wait = parseRetryAfter(text, now)
          expect(wait === null || (Number.isFinite(wait) && wait >= 0)).toBe(true)
        },
      ),
    )
  })
})

describe("cutting texts", () => {
  const fits = (value: unknown, most: number) => byteLength(JSON.stringify(value)) <= most

  it("leaves what fits as it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(fits(value, 15_000))
        expect(cutTexts(value, 20_000)).toEqual({ value, pointers: [] })
      }),
    )
  })

  it("makes whatever texts make too long fit, and names them", () => {
    const text = fc.string({ unit: "binary", minLength: 0, maxLength: 30_000 }).filter((value) => value.isWellFormed())
    fc.assert(
      fc.property(
        text,
        text,
        fc.dictionary(fc.string({ maxLength: 10 }), fc.boolean(), { maxKeys: 5 }),
        (a, b, rest) => {
          const whole = { before: { "a/b~": a }, after: { list: [b, 1, null], rest } }
          const { value, pointers } = cutTexts(whole, 20_000)
          expect(fits(value, 20_000)).toBe(true)
          expect(JSON.stringify(value).isWellFormed()).toBe(true)
          const cut = value as typeof whole
          for (const [pointer, before, after] of [
            ["/before/a~1b~0", a, cut.before["a/b~"]],
            ["/after/list/0", b, cut.after.list[0] as string],
          ] as const) {
            expect(pointers.includes(pointer)).toBe(before !== after)
            if (before !== after) expect(before.startsWith(after.slice(0, -1)) && after.endsWith("…")).toBe(true)
          }
          expect(cut.after.rest).toEqual(rest)
        },
      ),
      { numRuns: 50 },
    )
  })

  it("ends, and leaves the rest, where something else makes it long", () => {
    const numbers = Array.from({ length: 10_000 }, (_, n) => n)
    expect(cutTexts({ numbers, text: "x".repeat(100) }, 20_000)).toMatchObject({
      pointers: ["/text"],
      value: { numbers },
    })
  })
})

describe("work in parallel", () => {
  it("is done once for each, within both bounds, as much at once as they allow", async () => {
    const items = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(items, fc.scheduler(), async (keys, scheduler) => {
        const running: string[] = []
        const done: number[] = []
        let most = 0
        const bounds = { total: 4, perKey: 3, keyOf: (item: { key: string }) => item.key }
        const all = keys.map((key, n) => ({ key, n }))
        const finished = eachInParallel(all, bounds, async ({ key, n }) => {
          running.push(key)
          most = Math.max(most, running.length)
          expect(running.length).toBeLessThanOrEqual(4)
          expect(running.filter((other) => other === key).length).toBeLessThanOrEqual(3)
          await scheduler.schedule(Promise.resolve())
          running.splice(running.indexOf(key), 1)
          done.push(n)
        })
        await scheduler.waitFor(finished)
        expect(done.toSorted((a, b) => a - b)).toEqual(all.map(({ n }) => n))
        const perKey = Map.groupBy(keys, (key) => key)
        const possible = [...perKey.values()].reduce((sum, { length }) => sum + Math.min(3, length), 0)
        expect(most).toBe(Math.min(4, possible))
      }),
    )
  })
})
