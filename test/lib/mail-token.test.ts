import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { hmacKey } from "../../src/lib/hmac.ts"
import { newId } from "../../src/lib/ids.ts"
import {
  formatMailToken,
  isGenuine,
  type MailPurpose,
  type MailToken,
  parseMailToken,
} from "../../src/lib/mail-token.ts"

const purposes: MailPurpose[] = ["verification", "reset", "change"]
const [key, otherKey] = await Promise.all([1, 2].map((n) => hmacKey(new Uint8Array(32).fill(n))))
if (!key || !otherKey) throw new Error("No keys")

const address = fc.emailAddress().map((email) => email.toLowerCase())
const token: fc.Arbitrary<MailToken> = fc
  .record({
    purpose: fc.constantFrom(...purposes),
    expiresAt: fc.integer({ min: 1, max: 8.64e15 / 10 }),
    email: address,
  })
  .map((part) => ({ ...part, userId: newId("user"), email: part.purpose === "change" ? part.email : "" }))
const state = fc.array(fc.string({ unit: "binary" }), { maxLength: 3 })

describe("a token for mail", () => {
  it("comes back as it was made, and holds until it expires", async () => {
    await fc.assert(
      fc.asyncProperty(token, state, async (made, values) => {
        const text = await formatMailToken(key, made, values)
        expect(text.length).toBeLessThanOrEqual(512)
        // What the log blanks, wherever it turns up.
        expect(text).toMatch(/^ew[a-z]_[\w.-]{20,}$/)
        const parsed = parseMailToken(made.purpose, text)
        expect(parsed).toMatchObject(made)
        if (!parsed) return
        expect(await isGenuine(key, parsed, values, made.expiresAt - 1)).toBe(true)
        expect(await isGenuine(key, parsed, values, made.expiresAt)).toBe(false)
      }),
    )
  })

  it("is worthless with another state, another key, or for another purpose", async () => {
    await fc.assert(
      fc.asyncProperty(token, state, state, async (made, values, others) => {
        const text = await formatMailToken(key, made, values)
        const parsed = parseMailToken(made.purpose, text)
        if (!parsed) throw new Error("It does not parse")
        const isSame = JSON.stringify(values) === JSON.stringify(others)
        expect(await isGenuine(key, parsed, others, 0)).toBe(isSame)
        expect(await isGenuine(otherKey, parsed, values, 0)).toBe(false)
        for (const purpose of purposes.filter((name) => name !== made.purpose)) {
          expect(parseMailToken(purpose, text)).toBeNull()
          expect(await isGenuine(key, { ...parsed, purpose }, values, 0)).toBe(false)
        }
      }),
    )
  })

  it("is worthless with any character changed, missing or added", async () => {
    await fc.assert(
      fc.asyncProperty(
        token,
        fc.nat(),
        fc.constantFrom("", "A", "b", "0", ".", "_", "=", "\u0000"),
        async (made, n, character) => {
          const text = await formatMailToken(key, made, ["x"])
          const at = n % text.length
          for (const changed of [
            text.slice(0, at) + character + text.slice(at + 1),
            text.slice(0, at) + character + text.slice(at),
          ]) {
            if (changed === text) continue
            const parsed = parseMailToken(made.purpose, changed)
            if (parsed) expect(await isGenuine(key, parsed, ["x"], 0), changed).toBe(false)
          }
        },
      ),
    )
  })

  it("is told from any other text without an error", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("ewv_", "ewp_", "ewc_", newId("user"), "1", "9".repeat(15), "A".repeat(43), ".", "/w", "gICA"),
    )
    fc.assert(
      fc.property(fc.constantFrom(...purposes), fc.array(part, { maxLength: 12 }), (purpose, parts) => {
        for (const text of [parts.join(""), parts.join(".")]) parseMailToken(purpose, text)
      }),
      { numRuns: 1_000 },
    )
  })

  it("holds an address where it leads to one, and nowhere else", () => {
    const mac = "A".repeat(43)
    const at = (prefix: string, email: string) => `${prefix}_${newId("user")}.1${email}.${mac}`
    const email = `.${toBase64Url(utf8("ada@example.com"))}`
    expect(parseMailToken("change", at("ewc", email))).toMatchObject({ email: "ada@example.com" })
    expect(parseMailToken("change", at("ewc", ""))).toBeNull()
    expect(parseMailToken("change", at("ewc", "._w"))).toBeNull()
    expect(parseMailToken("reset", at("ewp", email))).toBeNull()
    expect(parseMailToken("verification", at("ewv", ""))).toMatchObject({ email: "" })
  })
})
