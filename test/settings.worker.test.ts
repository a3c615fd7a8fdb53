import { createExecutionContext } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { exportJWK, generateKeyPair } from "jose"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Problem } from "../src/contracts/common.ts"
import { type Bindings, parseSettings, SettingsError } from "../src/env.ts"
import worker from "../src/worker.ts"
import { openApp } from "./support/app.ts"
import {
  eventsOf,
  newAddress,
  newCaller,
  newEmail,
  newTask,
  password,
  problemIn,
  sharedApp,
  taskIn,
} from "./support/caller.ts"
import { execute } from "./support/database.ts"

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
      ORIGIN: undefined,
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
    ["no URL", { UPSTASH_REDIS_REST_URL: marked, UPSTASH_REDIS_REST_TOKEN: "x" }],
    ["more than all", { LOG_SAMPLE_RATE: "2" }],
    ["less than none", { LOG_SAMPLE_RATE: "-1" }],
    ["empty", { ISSUER: "" }],
    ["no URL", { WEBHOOK_RESOLVER: marked }],
    ["longer than half a minute", { WEBHOOK_TIMEOUT: "31" }],
    ["no time at all", { WEBHOOK_TIMEOUT: "0" }],
    ["no numbers", { WEBHOOK_WAITS: `5,${marked}` }],
    ["no list", { WEBHOOK_WAITS: "" }],
  ]
  for (const [how, settings] of wrong) {
    const [name = ""] = Object.keys(settings)
    it(`are refused by name and without their value: ${name}, ${how}`, () => {
      const message = refusalOf({ ...secrets, ...settings })
      expect(new Set(message.split("; ").map((part) => part.split(": ")[0]))).toEqual(new Set([name]))
      for (const secret of [marked, key.d, key.x]) expect(message).not.toContain(secret)
    })
  }

  it("for Upstash are both there or neither", () => {
    const both = { UPSTASH_REDIS_REST_URL: "https://x.upstash.io", UPSTASH_REDIS_REST_TOKEN: "x" }
    expect(parseSettings({ ...secrets, ...both })).toMatchObject(both)
    for (const name of Object.keys(both)) {
      expect(refusalOf({ ...secrets, ...both, [name]: undefined })).toMatch(
        /^UPSTASH_REDIS_REST_TOKEN: must be set where/,
      )
    }
  })

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

describe("an instance that is read-only", () => {
  it("reads and signs in, refuses every write with 503 and Retry-After, and changes nothing", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    const { settings } = (await sharedApp()).instance
    const app = await openApp({ settings: { ...settings, READ_ONLY: true } })
    const frozen = ada.through(app)
    const events = await eventsOf(ada)

    expect(await taskIn(await frozen.get(`/api/v1/tasks/${task.id}`))).toEqual(task)
    expect((await frozen.get("/api/v1/events")).status).toBe(200)
    const sign = (path: string, body: object) =>
      app.fetch(`/api/v1/auth/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
        body: JSON.stringify(body),
      })
    expect((await sign("login", { email: ada.email, password })).status).toBe(200)
    const email = newEmail()
    const writes = [
      await frozen.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x" }, { "idempotency-key": "frozen" }),
      await frozen.patch(`/api/v1/tasks/${task.id}`, { priority: 3 }),
      await frozen.delete(`/api/v1/tasks/${task.id}`),
      await frozen.post("/api/v1/projects", { name: "x" }),
      await frozen.patch("/api/v1/me", { name: "x" }),
      await sign("register", { email, password, name: "x" }),
    ]
    for (const answer of writes) {
      expect(answer.headers.get("retry-after")).toBe("60")
      expect(await problemIn(answer, 503)).toMatchObject({
        code: "unavailable",
        detail: "This instance is read-only for the moment; nothing was written",
      })
    }
    // A name that the workspace has not heard of yet waits for the next sign-in.
    await execute("update users set name = 'Grace' where id = ?", ada.userId)
    expect((await sign("login", { email: ada.email, password })).status).toBe(200)
    expect(await eventsOf(ada)).toEqual(events)
    expect((await sign("login", { email, password })).status).toBe(401)
  })

  it("is one by a setting that is true or false, and nothing else", () => {
    for (const [READ_ONLY, expected] of [
      ["true", true],
      ["false", false],
    ] as const) {
      expect(parseSettings({ ...secrets, READ_ONLY }).READ_ONLY).toBe(expected)
    }
    expect(parseSettings(secrets).READ_ONLY).toBe(false)
    expect(refusalOf({ ...secrets, READ_ONLY: "perhaps" })).toMatch(/^READ_ONLY: /)
  })
})

describe("a deployment without a database", () => {
  it("serves nothing, and says in its log which binding is missing", async () => {
    const lines = vi.spyOn(console, "error").mockImplementation(() => undefined)
    vi.resetModules()
    const { default: fresh } = (await import("../src/worker.ts")) as { default: typeof worker }
    const { DB: _db, HYPERDRIVE: _hyperdrive, ...bindings } = env
    const request = new Request("https://edgewise.test/health") as Parameters<typeof fresh.fetch>[0]
    const answer = await fresh.fetch(request, bindings as Bindings, createExecutionContext())
    expect(answer.status).toBe(503)
    expect(Problem.parse(await answer.json()).detail).not.toContain("HYPERDRIVE")
    expect(lines.mock.calls.flat().join()).toContain("DB: bind a D1 database as DB, or a Hyperdrive as HYPERDRIVE")
  })
})
