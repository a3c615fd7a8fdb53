import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest"
import { migratePostgres } from "../../scripts/postgres/migrate.ts"
import { type PostgresServer, startPostgres } from "../../scripts/postgres/server.ts"
import { type Server, startServer } from "../support/server.ts"

// Writers at work, and their database killed under them: what was answered with 2xx is there, once, and what was not is
// told clearly and in time.

const clients = 8
const beforeTheCrash = 120
const afterTheCrash = 120
/** What one request may take at most: three attempts of ten seconds, and the pauses between them. */
const patienceMs = 35_000

const isMissing = inject("postgresMissing") !== ""

let postgres: PostgresServer
let server: Server

beforeAll(async () => {
  if (isMissing) return
  // Writes must reach the disk: the server is killed, not asked to stop.
  postgres = await startPostgres({ isDurable: true })
  await migratePostgres(postgres.url)
  server = await startServer({ postgres: postgres.url })
})

afterAll(async () => {
  await server?.stop()
  await postgres?.stop()
})

type Task = { id: string; key: string; title: string }

async function send(path: string, init: RequestInit & { headers: Record<string, string> }) {
  const start = Date.now()
  const answer = await fetch(`${server.url}/api/v1${path}`, init)
  return { answer, text: await answer.text(), elapsed: Date.now() - start }
}

async function register() {
  const { answer, text } = await send("/auth/register", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "storm@example.com", password: "a long passphrase", name: "Storm" }),
  })
  expect(answer.status, text).toBe(201)
  const { accessToken, workspace } = JSON.parse(text) as { accessToken: string; workspace: { inboxId: string } }
  return {
    inboxId: workspace.inboxId,
    headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
  }
}

async function kill(): Promise<void> {
  const pid = postgres.pid()
  if (!pid) throw new Error("There is no server to kill")
  process.kill(pid, "SIGKILL")
  // Its children notice that it is gone a moment later, and only then can another one start on the same data.
  await sleep(2_000)
}

describe.skipIf(isMissing)("a Postgres that is killed while 8 clients write", () => {
  it("loses nothing that was answered with 2xx, doubles nothing, and answers the rest with 503 in time", {
    timeout: 240_000,
  }, async ({ annotate }) => {
    const { inboxId, headers } = await register()
    const created = new Map<string, Task>()
    const told = { replayed: 0, unavailable: 0, slowest: 0 }
    let next = 0
    let isDown = false
    let isOver = false

    async function attempt(title: string): Promise<boolean> {
      const { answer, text, elapsed } = await send("/tasks", {
        method: "POST",
        headers: { ...headers, "idempotency-key": title },
        body: JSON.stringify({ projectId: inboxId, title }),
      })
      told.slowest = Math.max(told.slowest, elapsed)
      if (answer.status === 201) {
        if (answer.headers.get("idempotency-replayed")) told.replayed += 1
        created.set(title, JSON.parse(text) as Task)
        return true
      }
      expect(answer.status, text).toBe(503)
      expect(JSON.parse(text)).toMatchObject({ code: "unavailable", status: 503 })
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0)
      told.unavailable += 1
      return false
    }

    /** Creates one task, however often it must be asked. */
    async function create(title: string): Promise<void> {
      for (let attempts = 0; attempts < 100; attempts += 1) {
        if (await attempt(title)) return
        await sleep(isDown ? 250 : 50)
      }
      throw new Error(`${title} was never created`)
    }

    async function client(): Promise<void> {
      while (!isOver) {
        next += 1
        await create(`Task ${next}`)
      }
    }
    const storm = Promise.all(Array.from({ length: clients }, client))
    // Awaited at the end; what goes wrong before ends the storm, and is told there.
    storm.catch(() => undefined)

    while (created.size < beforeTheCrash) await sleep(5)
    isDown = true
    await kill()
    const reading = await send("/tasks", { headers })
    expect(reading.answer.status, reading.text).toBe(503)
    const health = await fetch(`${server.url}/health`)
    expect([health.status, await health.json()]).toMatchObject([503, { checks: { database: { status: "unhealthy" } } }])
    const atTheRestart = created.size
    await postgres.start()
    isDown = false
    while (created.size < atTheRestart + afterTheCrash) await sleep(5)
    isOver = true
    await storm

    // Nothing is left of all the connections that broke: at once, or after the minute that one is counted whose request
    // the runtime has taken away.
    await vi.waitFor(
      async () => {
        const { checks } = (await (await fetch(`${server.url}/health`)).json()) as { checks: Record<string, object> }
        expect(checks["pool"]).toHaveProperty("connections", { open: 1, idle: 1, waiting: 0 })
      },
      { timeout: 70_000, interval: 250 },
    )

    const tasks: Task[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { text } = await send(`/tasks?limit=200${cursor && `&cursor=${cursor}`}`, { headers })
      const page = JSON.parse(text) as { data: Task[]; next: string | null }
      tasks.push(...page.data)
      cursor = page.next
    }
    const events: { seq: number; type: string; subjectId: string }[] = []
    for (let after = 0; ; ) {
      const { text } = await send(`/events?limit=200&after=${after}`, { headers })
      const page = JSON.parse(text) as { data: typeof events; next: number }
      if (page.data.length === 0) break
      events.push(...page.data)
      after = page.next
    }

    const lost = [...created.values()].filter(({ id }) => !tasks.some((task) => task.id === id))
    const doubled = tasks.length - new Set(tasks.map(({ title }) => title)).size
    await annotate(
      `${created.size} created with 2xx, ${told.replayed} of which had landed before a 503; ${told.unavailable} answers were 503; the slowest answer took ${told.slowest} ms; ${lost.length} lost, ${doubled} doubled`,
    )
    expect(told.unavailable).toBeGreaterThan(0)
    expect(told.slowest).toBeLessThan(patienceMs)
    expect(lost).toEqual([])
    expect(doubled).toBe(0)
    expect(tasks).toHaveLength(created.size)
    const numbers = tasks.map(({ key }) => Number(key.split("-")[1])).sort((a, b) => a - b)
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.filter(({ type }) => type === "task.created")).toHaveLength(tasks.length)
  })
})

describe.skipIf(isMissing)("a Postgres that is down when the Worker starts", () => {
  it("is told with 503, and everything works once it is there", async () => {
    await server.stop()
    await kill()
    server = await startServer({ postgres: postgres.url })
    const login = () =>
      send("/auth/login", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email: "storm@example.com", password: "a long passphrase" }),
      })
    const early = await login()
    expect(early.answer.status).toBe(503)
    expect(early.answer.headers.get("retry-after")).toBe("2")
    expect(JSON.parse(early.text)).toMatchObject({ code: "unavailable" })
    expect(early.elapsed).toBeLessThan(patienceMs)
    await postgres.start()
    expect((await login()).answer.status).toBe(200)
  })
})
