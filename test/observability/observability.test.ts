import { createExecutionContext } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import { SignedIn } from "../../src/contracts/auth.ts"
import { Health } from "../../src/contracts/health.ts"
import type { Database } from "../../src/db/engine.ts"
import type { Bindings } from "../../src/env.ts"
import { newId } from "../../src/lib/ids.ts"
import { checkHealth } from "../../src/observability/health.ts"
import { consoleLog, describeError, isKept } from "../../src/observability/log.ts"
import { openApp, type TestApp } from "../support/app.ts"
import { hit } from "../support/cached.ts"
import { callerOf, newCaller, newEmail, newTask, problemIn, sharedApp } from "../support/caller.ts"
import { between, failingAt, refusing } from "../support/faults.ts"

/** An app that logs every request, reads too. */
async function openLogging(database?: Database): Promise<TestApp> {
  const { settings } = (await sharedApp()).instance
  return openApp({ settings: { ...settings, LOG_SAMPLE_RATE: 1 }, ...(database && { database }) })
}

describe("the choice of what is logged", () => {
  const table: [string, number, boolean][] = [
    ["GET", 200, false],
    ["GET", 304, false],
    ["HEAD", 200, false],
    ["OPTIONS", 204, false],
    ["GET", 400, true],
    ["GET", 404, true],
    ["HEAD", 500, true],
    ["POST", 201, true],
    ["PUT", 200, true],
    ["PATCH", 200, true],
    ["DELETE", 204, true],
    ["POST", 429, true],
  ]
  for (const [method, status, isAlways] of table) {
    it(`${isAlways ? "always keeps" : "samples"} ${method} ${status}`, () => {
      const kept = (rate: number, luck: number) => isKept({ method, status }, rate, () => luck)
      expect(kept(0, 0)).toBe(isAlways)
      expect(kept(0.1, 0.1)).toBe(isAlways)
      expect(kept(0.1, 0.099)).toBe(true)
      expect(kept(1, 0.999)).toBe(true)
    })
  }
})

describe("what is logged of an error", () => {
  it("is its name, its message and those of its causes, and where it happened", () => {
    const error = new TypeError("outer", { cause: new RangeError("inner", { cause: "not an error" }) })
    const { error: text, stack } = describeError(error)
    expect(text).toBe("TypeError: outer ← RangeError: inner")
    expect(stack).toMatch(/^\s+at /)
    expect(stack?.split("\n").length).toBeLessThanOrEqual(12)
  })

  it("hides tokens, API keys and e-mail addresses", async () => {
    const ada = await newCaller()
    const key = `ew_${"k".repeat(43)}`
    const message = `${ada.accessToken} for <${ada.email}>, then "${ada.refreshToken}" and ${key}.`
    const { error } = describeError(new Error(message, { cause: new Error(`again ${ada.accessToken}`) }))
    expect(error).toBe('Error: [token] for <[e-mail]>, then "[token]" and [token] ← Error: again [token]')
  })

  it("hides the values of a failed query, in the message and in the stack", () => {
    const typed = "lunch\n    at the harbour.js:1:1"
    const failed = new Error(`Failed query: insert into tasks values (?)\nparams: ${typed}`, {
      cause: new Error("D1_ERROR: database is locked"),
    })
    const described = describeError(failed)
    expect(described.error).toBe("Error ← Error: D1_ERROR: database is locked")
    expect(described.stack).toContain("observability.test.ts")
    expect(JSON.stringify(described)).not.toMatch(/lunch|harbour|insert/)
  })

  it("is bounded, and something even for what is no error", () => {
    expect(describeError(new Error("x".repeat(100_000))).error.length).toBe(2_000)
    expect(describeError("thrown text")).toEqual({ error: "Something that is not an Error was thrown" })
    expect(describeError(undefined).error).toContain("not an Error")
    const endless = new Error("round")
    endless.cause = endless
    expect(describeError(endless).error.split(" ← ").length).toBeLessThanOrEqual(5)
  })
})

describe("the log line of a request", () => {
  it("tells who did what, how it ended and what it cost", async () => {
    const app = await openLogging()
    const ada = await newCaller(app)
    const task = await newTask(ada)
    app.lines.length = 0
    const answer = await ada.get(`/api/v1/tasks/${task.id}`)

    const count = expect.any(Number)
    expect(app.lines).toEqual([
      {
        level: "info",
        requestId: answer.headers.get("x-request-id"),
        method: "GET",
        route: "/api/v1/tasks/:idOrKey",
        status: 200,
        durationMs: count,
        userId: ada.userId,
        workspaceId: ada.workspaceId,
        sessionId: expect.stringMatching(/^ses_/),
        trips: 1,
        rowsRead: count,
        rowsWritten: 0,
        dbMs: count,
        cache: "BYPASS",
      },
    ])
  })

  it("tells what the cache did: a miss, a hit, and a 304", async () => {
    const app = await openLogging()
    const ada = (await newCaller(app)).cached()
    const { id } = await newTask(ada)
    const first = await ada.get(`/api/v1/tasks/${id}`)
    await hit(ada, `/api/v1/tasks/${id}`)
    await hit(ada, `/api/v1/tasks/${id}`, { "if-none-match": first.headers.get("etag") ?? "" })
    const told = app.lines.map(({ status, trips, rowsRead, cache, tier }) => ({ status, trips, rowsRead, cache, tier }))
    expect(told.find(({ cache }) => cache === "MISS")).toEqual({
      status: 200,
      trips: 1,
      rowsRead: expect.any(Number),
      cache: "MISS",
      tier: undefined,
    })
    const kept = { trips: 0, rowsRead: 0, cache: "HIT", tier: "isolate" }
    expect(told.slice(-2)).toEqual([
      { status: 200, ...kept },
      { status: 304, ...kept },
    ])
  })

  it("counts the same as Server-Timing", async () => {
    const app = await openLogging()
    const ada = await newCaller(app)
    const answer = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Counted" })
    const line = app.lines.at(-1)
    expect(answer.headers.get("server-timing")).toBe(
      `db;dur=${line?.dbMs};desc="trips=${line?.trips} read=${line?.rowsRead} written=${line?.rowsWritten}"`,
    )
    expect(line?.rowsWritten).toBeGreaterThan(0)
  })

  it("warns of a refusal by its code, and names nobody where nobody is known", async () => {
    const app = await openLogging()
    const answer = await app.fetch("/api/v1/tasks")
    expect(app.lines).toMatchObject([
      { level: "warn", status: 401, problem: "unauthenticated", requestId: answer.headers.get("x-request-id") },
    ])
    expect(app.lines[0]).not.toHaveProperty("userId")
    expect(app.lines[0]).not.toHaveProperty("error")
  })

  it("has the error and the stack of a failure, whose answer has the id alone", async () => {
    const ada = await newCaller()
    const app = await openLogging(failingAt(0))
    const answer = await ada.through(app).post("/api/v1/tasks", { projectId: ada.inboxId, title: "Broken" })
    const problem = await problemIn(answer, 500)
    expect(app.lines).toMatchObject([{ level: "error", status: 500, problem: "internal" }])
    expect(app.lines[0]?.error).toMatch(/malformed JSON|division by zero/)
    expect(app.lines[0]?.stack).toMatch(/^\s+at /)
    expect(problem.instance).toBe(`urn:edgewise:request:${app.lines[0]?.requestId}`)
    expect(JSON.stringify(problem)).not.toMatch(/JSON|SQL|D1/)
  })

  it("says that a stored answer was given again", async () => {
    const app = await openLogging()
    const ada = await newCaller(app)
    const send = () => ada.post("/api/v1/projects", { name: "Once" }, { "idempotency-key": "once" })
    await send()
    await send()
    expect(app.lines.slice(-2).map(({ replayed, status, level }) => [replayed, status, level])).toEqual([
      [undefined, 201, "info"],
      [true, 201, "info"],
    ])
    expect(app.lines.at(-1)).not.toHaveProperty("problem")
  })

  it("is left out for reads when none are sampled", async () => {
    const app = await openApp()
    const ada = await newCaller(app)
    app.lines.length = 0
    await ada.get("/api/v1/me")
    await ada.get("/api/v1/tasks/tsk_x")
    expect(app.lines.map(({ status }) => status)).toEqual([404])
  })

  it("goes out as one line of JSON with the time", () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined)
    try {
      const numbers = { durationMs: 1, trips: 0, rowsRead: 0, rowsWritten: 0, dbMs: 0 }
      consoleLog({ level: "info", requestId: "req", method: "GET", route: "/", status: 200, ...numbers })
      const [text] = log.mock.calls[0] as [string]
      expect(text).not.toContain("\n")
      expect(JSON.parse(text)).toMatchObject({ at: expect.stringMatching(/^\d{4}-.*Z$/), level: "info", status: 200 })
    } finally {
      log.mockRestore()
    }
  })
})

describe("the log", () => {
  it("holds nothing that was typed, and no secret, whatever is asked and however it ends", async () => {
    const secrets = {
      email: newEmail(),
      password: "correct-horse-battery",
      wrong: "not-the-password-9",
      name: "Augusta-King",
      title: "Buy-a-mechanical-loom",
      description: "first\n    at the-secret-workshop.js:1:1",
      typo: "not-a-status",
    }
    const { email, password, wrong, name, title, description, typo } = secrets
    const app = await openLogging()
    const send = (path: string, body: unknown, on = app) =>
      on.fetch(`/api/v1${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", "cf-connecting-ip": "192.0.2.99" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      })

    const registered = SignedIn.parse(await (await send("/auth/register", { email, password, name })).json())
    await send("/auth/register", { email, password, name })
    await send("/auth/register", { email, password: email, name })
    await send("/auth/login", { email, password: wrong })
    await send("/auth/login", `{"password": "${password}`)
    const signedIn = SignedIn.parse(await (await send("/auth/login", { email, password })).json())
    const next = (await (await send("/auth/refresh", { refreshToken: signedIn.refreshToken })).json()) as object
    await send("/auth/refresh", { refreshToken: `${signedIn.refreshToken}x` })
    await app.fetch(`/${email}/${password}?token=${signedIn.accessToken}`)

    const ada = callerOf(app, registered)
    const input = { projectId: ada.inboxId, title, description }
    await ada.post("/api/v1/tasks", input)
    await ada.post("/api/v1/tasks", { ...input, status: typo })
    await ada.get(`/api/v1/tasks?status=${typo}`)
    await ada.get(`/api/v1/tasks/${typo}`, { authorization: `Bearer ${ada.accessToken}x` })
    await ada.patch("/api/v1/me", { name: `${name}-the-second` }, { "idempotency-key": `key-of-${name}` })

    const quoting = between((batch) =>
      Promise.reject(new Error(`Failed query: ${batch.sql[0]}\nparams: ${title},${description},${email}`)),
    )
    for (const db of [failingAt(0), quoting, refusing("D1_ERROR: Network connection lost.")]) {
      const broken = await openLogging(db)
      await ada.through(broken).post("/api/v1/tasks", input)
      await send("/auth/register", { email: newEmail(), password, name }, broken)
      await send("/auth/login", { email, password }, broken)
      expect(broken.lines).toHaveLength(3)
      app.lines.push(...broken.lines)
    }

    const log = JSON.stringify(app.lines)
    const statuses = new Set(app.lines.map(({ status }) => status))
    for (const status of [201, 200, 400, 401, 404, 409, 422, 500, 503]) expect(statuses).toContain(status)
    const tokens = [registered, signedIn, next as typeof signedIn].flatMap(({ accessToken, refreshToken }) => [
      ...accessToken.split("."),
      ...refreshToken.split(".").slice(-2),
    ])
    const texts = [...Object.values(secrets).filter((text) => text !== description), "the-secret-workshop", ...tokens]
    expect(texts.filter((text) => log.includes(text))).toEqual([])
  })
})

describe("checking health", () => {
  const isolate = { version: "1.2.3", startedAt: 1_000 }
  const fine = () => Promise.resolve()

  it("is healthy when all answer, and tells since when, and which version", async () => {
    const health = await checkHealth({ one: fine, two: fine }, { ...isolate, now: () => 6_000 })
    expect(health).toEqual({
      status: "healthy",
      timestamp: "1970-01-01T00:00:06.000Z",
      version: "1.2.3",
      uptimeMs: 5_000,
      checks: { one: { status: "healthy", latencyMs: 0 }, two: { status: "healthy", latencyMs: 0 } },
    })
  })

  it("is degraded when one is slow", async () => {
    let time = 0
    const slow = async () => {
      time += 1_001
    }
    const health = await checkHealth({ slow }, { ...isolate, now: () => time })
    expect(health).toMatchObject({ status: "degraded", checks: { slow: { status: "degraded", latencyMs: 1_001 } } })
  })

  it("is unhealthy when one fails, and tells the kind of error but not its text", async () => {
    const broken = () => Promise.reject(new TypeError("secret detail"))
    const health = await checkHealth({ fine, broken }, { ...isolate, now: () => 0 })
    expect(health.status).toBe("unhealthy")
    expect(health.checks).toEqual({
      fine: { status: "healthy", latencyMs: 0 },
      broken: { status: "unhealthy", latencyMs: 0, detail: "TypeError" },
    })
  })

  it("is unhealthy when one cannot even be asked", async () => {
    const absent = () => {
      throw new TypeError("no such binding")
    }
    const health = await checkHealth({ fine, absent }, { ...isolate, now: () => 0 })
    expect(health.checks["absent"]).toMatchObject({ status: "unhealthy", detail: "TypeError" })
  })

  it("does not wait for one that hangs", async () => {
    vi.useFakeTimers()
    try {
      const hanging = () => new Promise(() => undefined)
      const checking = checkHealth({ fine, hanging }, { ...isolate, now: () => Date.now() })
      await vi.advanceTimersByTimeAsync(3_000)
      const health = await checking
      expect(health.status).toBe("unhealthy")
      expect(health.checks).toMatchObject({
        fine: { status: "healthy" },
        hanging: { status: "unhealthy", detail: "DeadlineExceeded", latencyMs: 3_000 },
      })
    } finally {
      vi.useRealTimers()
    }
  })
})

describe("GET /health", () => {
  const healthIn = async (answer: Response, status: number) => {
    const text = await answer.text()
    expect(answer.status, text).toBe(status)
    expect(answer.headers.get("cache-control")).toBe("no-store")
    return Health.parse(JSON.parse(text))
  }

  it("is 200 and tells the latency of every check", async () => {
    const health = await healthIn(await (await sharedApp()).fetch("/health"), 200)
    expect(health.status).toBe("healthy")
    expect(health.checks).toMatchObject({ database: { status: "healthy" }, objects: { status: "healthy" } })
    expect(health.uptimeMs).toBeGreaterThanOrEqual(0)
    expect(Math.abs(Date.parse(health.timestamp) - Date.now())).toBeLessThan(60_000)
  })

  it("is 503 and names the database when that is broken, or has no tables", async () => {
    const noTables = between(({ run }) => run([{ text: "select 1 from no_such_table", values: [] }]))
    for (const db of [refusing("D1_ERROR: secret detail"), noTables]) {
      const answer = await (await openApp({ database: db })).fetch("/health")
      const health = await healthIn(answer, 503)
      expect(health.status).toBe("unhealthy")
      expect(health.checks).toMatchObject({ database: { status: "unhealthy" }, objects: { status: "healthy" } })
      expect(JSON.stringify(health)).not.toMatch(/secret|no_such/)
    }
  })

  it("is 503 and names the objects when those are not bound", async () => {
    const { hono } = await sharedApp()
    const bindings: Partial<Bindings> = { ...env }
    delete bindings.RATE_LIMITER
    const answer = await hono.fetch(new Request("https://edgewise.test/health"), bindings, createExecutionContext())
    const health = await healthIn(answer, 503)
    expect(health.checks).toMatchObject({ database: { status: "healthy" }, objects: { status: "unhealthy" } })
  })

  it("needs no token", async () => {
    const authorization = `Bearer ${newId("user")}`
    expect((await (await sharedApp()).fetch("/health", { headers: { authorization } })).status).toBe(200)
  })
})

describe("GET /health/live", () => {
  it("answers as long as the Worker runs, whatever is broken behind it", async () => {
    const answer = await (await openApp({ database: refusing("gone") })).fetch("/health/live")
    expect([answer.status, await answer.json()]).toEqual([200, { status: "alive" }])
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("server-timing")).toContain("trips=0")
  })
})
