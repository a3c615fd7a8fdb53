import * as fc from "fast-check"
import { generateKeyBetween } from "fractional-indexing"
import { exportJWK, generateKeyPair } from "jose"
import { describe, expect, it, vi } from "vitest"
import { accessTokenLife, openAccessTokens } from "../../src/lib/access-token.ts"
import { byteLength, fromBase64Url, toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { isCommonPassword } from "../../src/lib/common-passwords.ts"
import { DeadlineExceeded, within } from "../../src/lib/deadline.ts"
import { fnv1a } from "../../src/lib/hash.ts"
import { equalSecrets, hmac, hmacKey, sha256 } from "../../src/lib/hmac.ts"
import { type IdKind, idPattern, idPrefixes, newId } from "../../src/lib/ids.ts"
import { formatInvitationToken, type InvitationToken, parseInvitationToken } from "../../src/lib/invitation-token.ts"
import { Lru } from "../../src/lib/lru.ts"
import { HasherBusy, scryptHasher } from "../../src/lib/passwords.ts"
import { isPosition, positionAtEnd } from "../../src/lib/positions.ts"
import { formatRefreshToken, parseRefreshToken, type RefreshToken } from "../../src/lib/refresh-token.ts"
import { endOfDate, rfc3339, rfc3339OrNull, startOfDate } from "../../src/lib/time.ts"

describe("ids", () => {
  const kinds = Object.keys(idPrefixes) as IdKind[]

  it("name their kind and match the pattern of no other", () => {
    for (const kind of kinds) {
      const id = newId(kind)
      expect(id.startsWith(`${idPrefixes[kind]}_`)).toBe(true)
      expect(kinds.filter((other) => idPattern(other).test(id))).toEqual([kind])
    }
  })

  it("do not repeat, and sort by the time they were made", async () => {
    const first = newId("task")
    await new Promise((resolve) => setTimeout(resolve, 2))
    const later = Array.from({ length: 1_000 }, () => newId("task"))
    expect(new Set(later).size).toBe(1_000)
    for (const id of later) expect(id > first).toBe(true)
  })

  it("are 26 letters of Crockford's base 32 that hold 128 bits", () => {
    const pattern = idPattern("task")
    const digits = newId("task").slice(4)
    expect(pattern.test(`tsk_${digits}`)).toBe(true)
    const wrong = [
      `tsk_8${digits.slice(1)}`,
      `tsk_${digits.slice(1)}`,
      `tsk_${digits}0`,
      `tsk_${digits.slice(0, 25)}u`,
      `tsk_${digits.slice(0, 25)}I`,
      ` tsk_${digits}`,
      `tsk_${digits}\n`,
      `TSK_${digits}`,
      digits,
    ]
    expect(wrong.filter((id) => pattern.test(id))).toEqual([])
  })
})

describe("positions", () => {
  const moment = fc.tuple(fc.integer({ min: Date.UTC(2020), max: Date.UTC(2073) }), fc.integer({ min: 0, max: 4_095 }))

  it("sort as the moments at which they were given", () => {
    fc.assert(
      fc.property(moment, moment, (a, b) => {
        const order = a[0] - b[0] || a[1] - b[1]
        const [left, right] = [positionAtEnd(...a), positionAtEnd(...b)]
        expect(left < right).toBe(order < 0)
        expect(left > right).toBe(order > 0)
      }),
      { numRuns: 1_000 },
    )
  })

  it("differ for neighbours within one millisecond, whatever the year", () => {
    for (const year of [2026, 2038, 2041, 2073]) {
      const offsets = Array.from({ length: 4_096 }, (_, offset) => positionAtEnd(Date.UTC(year), offset))
      expect(offsets).toEqual([...new Set(offsets)].sort())
    }
  })

  it("are fractional indexes: before, between and after them there is room", () => {
    fc.assert(
      fc.property(moment, ([now, offset]) => {
        const [left, right] = [positionAtEnd(now, offset), positionAtEnd(now + 1, offset)]
        expect(isPosition(left)).toBe(true)
        const between = generateKeyBetween(left, right)
        expect(generateKeyBetween(null, left) < left).toBe(true)
        expect(left < between && between < right).toBe(true)
        expect(generateKeyBetween(right, null) > right).toBe(true)
      }),
    )
  })

  it("go on sorting when nine digits no longer suffice", () => {
    expect(positionAtEnd(Date.UTC(2080)) > positionAtEnd(Date.UTC(2070), 4_095)).toBe(true)
    expect(isPosition(positionAtEnd(Date.UTC(2080)))).toBe(true)
  })

  it("are recognised, and everything else is refused without an exception", () => {
    expect(["a0", "a1V", "Zz", "b12"].filter((text) => !isPosition(text))).toEqual([])
    expect(["", "a", "a00", "0", "-", "a0!", "é", "b1"].filter(isPosition)).toEqual([])
    fc.assert(fc.property(fc.string(), (text) => typeof isPosition(text) === "boolean"))
  })
})

describe("bytes", () => {
  it("come back from base64url as they were", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = toBase64Url(new Uint8Array(bytes))
        expect(text).toMatch(/^[\w-]*$/)
        expect(fromBase64Url(text)).toEqual(new Uint8Array(bytes))
      }),
    )
  })

  it("are null for what is not base64url", () => {
    expect(["a", "ab+/", "a*", "é", "ab=c"].map(fromBase64Url)).toEqual([null, null, null, null, null])
  })

  it("are counted in UTF-8", () => {
    expect(["", "a", "é", "€", "😀"].map(byteLength)).toEqual([0, 1, 2, 3, 4])
  })
})

describe("keyed codes", () => {
  const hex = (text: string) => fromBase64Url(text)?.toHex()

  it("are those of RFC 4231 and FIPS 180", async () => {
    const key = await hmacKey(utf8("Jefe"))
    expect(hex(await hmac(key, "what do ya want for nothing?"))).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    )
    expect(hex(await sha256("abc"))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  })

  it("compare as their texts do", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 3 })
    fc.assert(fc.property(text, text, (a, b) => equalSecrets(a, b) === (a === b) && equalSecrets(a, a)))
    expect(equalSecrets("secret", "secret ")).toBe(false)
    expect(equalSecrets("", "")).toBe(true)
  })
})

describe("refresh tokens", () => {
  const token = (): RefreshToken => ({
    userId: newId("user"),
    sessionId: newId("session"),
    generation: 12,
    secret: toBase64Url(crypto.getRandomValues(new Uint8Array(32))),
  })
  const key = () => hmacKey(crypto.getRandomValues(new Uint8Array(32)))

  it("say what was put into them, to the instance that made them", async () => {
    const [ours, theirs, content] = [await key(), await key(), token()]
    const text = await formatRefreshToken(ours, content)
    expect(await parseRefreshToken(ours, text)).toEqual(content)
    expect(await parseRefreshToken(theirs, text)).toBeNull()
  })

  it("are refused after any edit, and nothing makes the parser throw", async () => {
    const instanceKey = await key()
    const text = await formatRefreshToken(instanceKey, token())
    const edit = fc.record({
      at: fc.nat(text.length),
      removed: fc.nat(3),
      inserted: fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom("0", ".", "é", "\n", "")),
    })
    const edited = fc
      .array(edit, { maxLength: 3 })
      .map((edits) =>
        edits.reduce(
          (result, { at, removed, inserted }) => result.slice(0, at) + inserted + result.slice(at + removed),
          text,
        ),
      )
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: "binary" }), edited), async (candidate) => {
        const parsed = await parseRefreshToken(instanceKey, candidate)
        expect(parsed !== null).toBe(candidate === text)
      }),
      { numRuns: 1_000, examples: [[text], [text.replace(".12.", ".012.")], [`${text}\n`], [`${text}=`]] },
    )
  })
})

describe("invitation tokens", () => {
  const token = (): InvitationToken => ({
    workspaceId: newId("workspace"),
    invitationId: newId("invitation"),
    generation: 12,
  })
  const key = () => hmacKey(crypto.getRandomValues(new Uint8Array(32)))

  it("say what was put into them, to the instance that made them", async () => {
    const [ours, theirs, content] = [await key(), await key(), token()]
    const text = await formatInvitationToken(ours, content)
    expect(await parseInvitationToken(ours, text)).toEqual(content)
    expect(await parseInvitationToken(theirs, text)).toBeNull()
    expect(await parseRefreshToken(ours, text)).toBeNull()
  })

  it("are refused after any edit, and nothing makes the parser throw", async () => {
    const instanceKey = await key()
    const text = await formatInvitationToken(instanceKey, token())
    const edit = fc.record({
      at: fc.nat(text.length),
      removed: fc.nat(3),
      inserted: fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom("0", ".", "é", "\n", "")),
    })
    const edited = fc
      .array(edit, { maxLength: 3 })
      .map((edits) =>
        edits.reduce(
          (result, { at, removed, inserted }) => result.slice(0, at) + inserted + result.slice(at + removed),
          text,
        ),
      )
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: "binary" }), edited), async (candidate) => {
        const parsed = await parseInvitationToken(instanceKey, candidate)
        expect(parsed !== null).toBe(candidate === text)
      }),
      { numRuns: 1_000, examples: [[text], [text.replace(".12.", ".012.")], [`${text}\n`], [`${text}=`]] },
    )
  })
})

describe("access tokens", () => {
  const claims = { userId: newId("user"), workspaceId: newId("workspace"), role: "owner", sessionId: newId("session") }
  const signingKey = async () => {
    const { privateKey } = await generateKeyPair("EdDSA", { extractable: true })
    return { ...(await exportJWK(privateKey)), kid: crypto.randomUUID() }
  }
  const open = async () => openAccessTokens({ issuer: "edgewise", signingKey: await signingKey() })

  it("are verified once, and remembered until they expire", async () => {
    const tokens = await open()
    const now = Date.now()
    const text = await tokens.issue({ ...claims, role: "owner" }, now)
    const verify = vi.spyOn(crypto.subtle, "verify")
    try {
      expect(await tokens.verify(text, now)).toEqual(claims)
      expect(await tokens.verify(text, now + 1_000)).toEqual(claims)
      expect(verify).toHaveBeenCalledTimes(1)
    } finally {
      verify.mockRestore()
    }
    const expiry = Math.floor(now / 1_000) * 1_000 + accessTokenLife
    expect(await tokens.verify(text, expiry - 1)).toEqual(claims)
    expect(await tokens.verify(text, expiry)).toBeNull()
  })

  it("expire for those who see them first at that moment, too", async () => {
    const tokens = await open()
    const issued = Date.UTC(2026, 0, 1)
    const text = await tokens.issue({ ...claims, role: "owner" }, issued)
    expect(await tokens.verify(text, issued + accessTokenLife)).toBeNull()
    expect(await tokens.verify(text, issued + accessTokenLife - 1)).toEqual(claims)
  })

  it("are null for any other text, and nothing makes the verifier throw", async () => {
    const tokens = await open()
    const text = await tokens.issue({ ...claims, role: "owner" }, Date.now())
    const part = fc.oneof(
      fc.string(),
      fc.json().map((json) => toBase64Url(utf8(json))),
      fc.constantFrom(...text.split(".")),
    )
    const candidate = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("."))
    await fc.assert(
      fc.asyncProperty(candidate, async (other) => {
        if (other !== text) expect(await tokens.verify(other, Date.now())).toBeNull()
      }),
      { numRuns: 1_000 },
    )
  })
})

describe("the map of what was used last", () => {
  it("forgets what was used longest ago, and never holds more than its capacity", () => {
    const lru = new Lru<string, number>(2)
    lru.set("a", 1)
    lru.set("b", 2)
    expect(lru.get("a")).toBe(1)
    lru.set("c", 3)
    expect([lru.get("a"), lru.get("b"), lru.get("c")]).toEqual([1, undefined, 3])
  })

  it("replaces a value without forgetting another", () => {
    const lru = new Lru<string, number>(2)
    lru.set("a", 1)
    lru.set("b", 2)
    lru.set("a", 3)
    expect([lru.get("a"), lru.get("b")]).toEqual([3, 2])
  })
})

describe("password hashes", () => {
  const cheap = { ln: 1, r: 1, p: 1 }

  it("have the cost of ASVS 5 by default, in PHC form with a salt of their own", async () => {
    const hasher = scryptHasher()
    const hash = await hasher.hash("a long passphrase")
    expect(hash).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[\w-]{22}\$[\w-]{43}$/)
    expect(await hasher.verify("a long passphrase", hash)).toBe(true)
    expect(await hasher.verify("a long passphrasE", hash)).toBe(false)
    expect(hasher.isOutdated(hash)).toBe(false)
  })

  it("differ for equal passwords, and verify with the cost that they were made with", async () => {
    const [old, today] = [scryptHasher({ cost: cheap }), scryptHasher({ cost: { ...cheap, ln: 2 } })]
    const hash = await old.hash("secret words")
    expect(await old.hash("secret words")).not.toBe(hash)
    expect(await today.verify("secret words", hash)).toBe(true)
    expect([old.isOutdated(hash), today.isOutdated(hash)]).toEqual([false, true])
  })

  it("are the same for both ways to compose a character", async () => {
    const hasher = scryptHasher({ cost: cheap })
    expect(await hasher.verify("cafe\u0301 au lait", await hasher.hash("caf\u00e9 au lait"))).toBe(true)
  })

  it("take any text, and never verify a pretended account", async () => {
    const hasher = scryptHasher({ cost: cheap })
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        expect(await hasher.verify(text, await hasher.hash(text))).toBe(true)
        expect(await hasher.pretend(text)).toBe(false)
      }),
    )
  })

  it("may not cost more than the platform allows", () => {
    expect(() => scryptHasher({ cost: { ln: 16, r: 8, p: 3 } })).toThrow(RangeError)
    expect(() => scryptHasher({ cost: { ln: 17, r: 8, p: 1 } })).not.toThrow()
  })

  it("refuse to be compared with what is no hash", async () => {
    expect(() => scryptHasher({ cost: cheap }).isOutdated("plain")).toThrow(TypeError)
  })
})

describe("the queue for the hasher", () => {
  const forever = () => new Promise<never>(() => undefined)
  const done = () => Promise.resolve("done")

  it("is as long as it says, and whoever comes then is sent away before any work", async () => {
    const hasher = scryptHasher({ queueLength: 2 })
    void hasher.admit(0, forever)
    void hasher.admit(0, forever)
    const work = vi.fn(done)
    await expect(hasher.admit(0, work)).rejects.toThrow(HasherBusy)
    expect(work).not.toHaveBeenCalled()
  })

  it("has the place again when work ends, well or badly", async () => {
    const hasher = scryptHasher({ queueLength: 1 })
    expect(await hasher.admit(0, done)).toBe("done")
    await expect(hasher.admit(0, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken")
    expect(await hasher.admit(0, done)).toBe("done")
  })

  it("gives up the places of abandoned requests after half a minute", async () => {
    const hasher = scryptHasher({ queueLength: 1 })
    void hasher.admit(0, forever)
    await expect(hasher.admit(30_000, done)).rejects.toThrow(HasherBusy)
    expect(await hasher.admit(30_001, done)).toBe("done")
  })
})

describe("common passwords", () => {
  it("are known in any case, and passphrases are not among them", () => {
    expect(
      ["password", "PassWord", "12345678", "iloveyou", "qwertyuiop"].filter((word) => !isCommonPassword(word)),
    ).toEqual([])
    expect(["a long passphrase", "", "constructor", "hw7 fjl2"].filter(isCommonPassword)).toEqual([])
  })
})

describe("a deadline", () => {
  it("passes on the answer, and the failure", async () => {
    expect(await within(1_000, Promise.resolve("answer"))).toBe("answer")
    await expect(within(1_000, Promise.reject(new TypeError("broken")))).rejects.toThrow(TypeError)
  })

  it("ends the wait for what does not answer", async () => {
    await expect(within(5, new Promise(() => undefined))).rejects.toThrow(DeadlineExceeded)
  })
})

describe("the hash of texts", () => {
  it("is 32-bit FNV-1a in base 36", () => {
    expect(["", "a", "foobar"].map((text) => Number.parseInt(fnv1a(text), 36))).toEqual([
      0x811c9dc5, 0xe40c292c, 0xbf9cf968,
    ])
  })
})

describe("time", () => {
  it("is RFC 3339 in UTC on the wire", () => {
    expect(rfc3339(0)).toBe("1970-01-01T00:00:00.000Z")
    expect([rfc3339OrNull(null), rfc3339OrNull(1)]).toEqual([null, "1970-01-01T00:00:00.001Z"])
  })

  it("gives a date its first and last millisecond", () => {
    expect(rfc3339(startOfDate("2028-02-29"))).toBe("2028-02-29T00:00:00.000Z")
    expect(rfc3339(endOfDate("2028-02-29"))).toBe("2028-02-29T23:59:59.999Z")
  })
})
