import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { hintOf, isApiKeyLike, makeApiKey, parseApiKey } from "../../src/lib/api-key.ts"
import { newId } from "../../src/lib/ids.ts"
import { describeError } from "../../src/observability/log.ts"

const workspaceId = newId("workspace")
const word = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

describe("an API key", () => {
  it("names its workspace, and is one word that a double click selects", () => {
    for (let n = 0; n < 200; n += 1) {
      const key = makeApiKey(workspaceId)
      expect(key).toMatch(/^ew_[0-7][0-9a-z]{25}_[0-9A-Za-z]{43}_[0-9a-z]{7}$/)
      expect(parseApiKey(key)).toEqual({ workspaceId })
      expect(isApiKeyLike(key)).toBe(true)
    }
  })

  it("is another one each time, and uses the whole alphabet", () => {
    const keys = Array.from({ length: 500 }, () => makeApiKey(workspaceId).slice(30, 73))
    expect(new Set(keys).size).toBe(500)
    expect(new Set(keys.join("")).size).toBe(62)
  })

  it("is not taken with any one character changed, left out or doubled, before anybody is asked", () => {
    const key = makeApiKey(workspaceId)
    for (let at = 0; at < key.length; at += 1) {
      const [before, after] = [key.slice(0, at), key.slice(at + 1)]
      expect(parseApiKey(before + after)).toBeNull()
      expect(parseApiKey(before + key.charAt(at) + key.charAt(at) + after)).toBeNull()
      for (const other of word) {
        if (other !== key.charAt(at)) expect(parseApiKey(before + other + after)).toBeNull()
      }
    }
  })

  it("is nothing else: whatever text comes, it is told apart without an error", () => {
    const key = makeApiKey(workspaceId)
    const near = fc.tuple(fc.nat(key.length), fc.nat(10), fc.string({ unit: "binary", maxLength: 10 }))
    const texts = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom(...word), maxLength: 200 }),
      fc.string({ unit: fc.constantFrom(...word), minLength: 77, maxLength: 77 }).map((text) => `ew_${text}`),
      near.map(([at, cut, text]) => key.slice(0, at) + text + key.slice(at + cut)),
    )
    fc.assert(
      fc.property(texts, (text) => {
        fc.pre(text !== key)
        expect(parseApiKey(text)).toBeNull()
      }),
      { numRuns: 3_000 },
    )
  })

  it("is not a refresh token, nor an access token", () => {
    for (const other of ["ewr_x", "eyJhbGciOi", "", "EW_x"]) expect(isApiKeyLike(other)).toBe(false)
  })

  it("is known again by its hint, which does not give it away", () => {
    const key = makeApiKey(workspaceId)
    expect(hintOf(key)).toMatch(/^ew_.{4}….{4}$/)
    expect(key.endsWith(hintOf(key).slice(-4))).toBe(true)
  })

  it("does not get into the log with an error", () => {
    const key = makeApiKey(workspaceId)
    expect(describeError(new Error(`No such key: ${key}`)).error).toBe("Error: No such key: [token]")
  })
})
