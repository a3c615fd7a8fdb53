import { createExecutionContext } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { exportJWK, generateKeyPair } from "jose"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Problem } from "../src/contracts/common.ts"
import { type Bindings, parseSettings, SettingsError } from "../src/env.ts"
import worker from "../src/worker.ts"

const newKey = async () => {
  const { privateKey } = await generateKeyPair("EdDSA", { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: "one" } as {
    kty: string
    crv: string
    x: string
    d: string
    kid: string
  }
}

const key = await newKey()
const secrets = { SIGNING_KEY: JSON.stringify(key), INSTANCE_KEY: key.x }

/** What the refusal of these settings says. */
function refusalOf(settings: Partial<Bindings>): string {
  try {
    parseSettings(settings)
  } catch (error) {
    if (error instanceof SettingsError) return error.message
    throw error
  }
  throw new Error("The settings were accepted")
}

describe("settings", () => {
  it("have a default for everything but the secrets", () => {
    expect(parseSettings(secrets)).toMatchObject({
      ENVIRONMENT: "production",
      ISSUER: "edgewise",
      RATE_LIMITS: "standard",
      LOG_SAMPLE_RATE: 0.1,
      SIGNING_KEY: key,
      INSTANCE_KEY: key.x,
    })
    expect(parseSettings(secrets).VERSION).toMatch(/^\d+\.\d+\.\d+/)
    expect(parseSettings({ ...secrets, LOG_SAMPLE_RATE: "0.5", ISSUER: "here", VERSION: "9" })).toMatchObject({
      LOG_SAMPLE_RATE: 0.5,
      ISSUER: "here",
      VERSION: "9",
    })
  })

  it("widen no limit in production", () => {
    const relaxed = { ...secrets, RATE_LIMITS: "relaxed" }
    expect(refusalOf(relaxed)).toBe("RATE_LIMITS: must not be relaxed in production")
    expect(refusalOf({ ...relaxed, ENVIRONMENT: "production" })).toBe("RATE_LIMITS: must not be relaxed in production")
    for (const ENVIRONMENT of ["development", "preview"]) {
      expect(parseSettings({ ...relaxed, ENVIRONMENT }).RATE_LIMITS).toBe("relaxed")
    }
  })

  // Recognisable in a message, should one quote what it got.
  const marked = "S3CRET"
  const wrong: [string, Partial<Bindings>][] = [
    ["not JSON", { SIGNING_KEY: marked }],
    ["empty", { SIGNING_KEY: "" }],
    ["a text", { SIGNING_KEY: JSON.stringify(marked) }],
    ["of another type", { SIGNING_KEY: JSON.stringify({ ...key, kty: marked }) }],
    ["only its public half", { SIGNING_KEY: JSON.stringify({ ...key, d: undefined }) }],
    ["too short", { SIGNING_KEY: JSON.stringify({ ...key, d: marked }) }],
    ["without an id", { SIGNING_KEY: JSON.stringify({ ...key, kid: "" }) }],
    ["not JSON", { PREVIOUS_SIGNING_KEY: marked }],
    ["too short", { INSTANCE_KEY: marked }],
    ["too long", { INSTANCE_KEY: `${key.x}${marked}` }],
    ["empty", { INSTANCE_KEY: "" }],
    ["none of the three", { ENVIRONMENT: marked }],
    ["neither of the two", { RATE_LIMITS: marked }],
    ["no number", { LOG_SAMPLE_RATE: marked }],
    ["more than all", { LOG_SAMPLE_RATE: "2" }],
    ["less than none", { LOG_SAMPLE_RATE: "-1" }],
    ["empty", { ISSUER: "" }],
  ]
  for (const [how, settings] of wrong) {
    const [name = ""] = Object.keys(settings)
    it(`are refused by name and without their value: ${name}, ${how}`, () => {
      const message = refusalOf({ ...secrets, ...settings })
      expect(new Set(message.split("; ").map((part) => part.split(": ")[0]))).toEqual(new Set([name]))
      for (const secret of [marked, key.d, key.x]) expect(message).not.toContain(secret)
    })
  }

  it("are all named when several are missing", () => {
    expect(refusalOf({})).toMatch(/SIGNING_KEY: .*; INSTANCE_KEY: /)
  })
})

describe("a Worker whose settings are wrong", () => {
  const told: string[] = []

  beforeEach(() => {
    told.length = 0
    vi.spyOn(console, "error").mockImplementation((text: string) => void told.push(text))
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  const ask = (settings: Partial<Bindings>) =>
    worker.fetch(
      new Request("https://edgewise.test/health/live") as Parameters<typeof worker.fetch>[0],
      { ...env, ...settings },
      createExecutionContext(),
    )

  const wrong: [string, Partial<Bindings>][] = [
    ["RATE_LIMITS", { ENVIRONMENT: "production", RATE_LIMITS: "relaxed" }],
    ["SIGNING_KEY", { SIGNING_KEY: "" }],
    ["INSTANCE_KEY", { INSTANCE_KEY: "short" }],
  ]
  for (const [name, settings] of wrong) {
    it(`serves nothing but a problem, and names ${name} in its log only`, async () => {
      const answer = await ask(settings)
      expect(answer.status).toBe(503)
      expect(answer.headers.get("content-type")).toBe("application/problem+json")
      expect(answer.headers.get("retry-after")).toBe("60")
      expect(answer.headers.get("cache-control")).toBe("no-store")
      const text = await answer.text()
      const { code, instance } = Problem.parse(JSON.parse(text))
      expect(code).toBe("unavailable")
      expect(text).not.toContain(name)
      expect(told).toHaveLength(1)
      expect(told[0]).toContain(`${name}: `)
      expect(told[0]).toContain(instance.split(":").at(-1))
    })
  }

  it("serves as soon as they are right", async () => {
    expect((await ask({ SIGNING_KEY: "" })).status).toBe(503)
    expect((await ask({})).status).toBe(200)
  })
})
