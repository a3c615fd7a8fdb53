import { env } from "cloudflare:workers"
import { sql } from "drizzle-orm"
import { describe, expect, it, vi } from "vitest"
import { Health } from "../../src/contracts/health.ts"
import { type Db, openDb } from "../../src/db/db.ts"
import { postgresDatabase } from "../../src/db/postgres-database.ts"
import { openApp } from "../support/app.ts"
import { newCaller, newTask, problemIn, taskIn } from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"

const url = env.HYPERDRIVE?.connectionString ?? ""
/** A port where nobody listens. */
const nowhere = "postgres://postgres:x@127.0.0.1:9/edgewise"

const sleeping = (db: Db, seconds: number, mark: string) =>
  db.sql.select({ slept: sql`pg_sleep(${seconds})`, mark: sql`${mark}::text` }).from(sql`(select 1) once`)

const quick = { sleep: () => Promise.resolve() }

describe("a connection", () => {
  it("is made by the first thing that is asked, used for all of a request, and closed at its end", async () => {
    const database = postgresDatabase(url)
    const ada = (await newCaller()).through(await openApp({ database }))
    expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 })
    await Promise.all(Array.from({ length: 8 }, () => newTask(ada)))
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 }), 5_000)
    expect((await ada.app.fetch("/health/live")).status).toBe(200)
    expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 })
  })

  it("is counted while it waits, works and idles", async () => {
    const database = postgresDatabase(url)
    const db = openDb(database.connect())
    const connecting = db.ready()
    expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 1 })
    await connecting
    expect(database.connections?.()).toEqual({ open: 1, idle: 1, waiting: 0 })
    const reading = db.read(sleeping(db, 0.05, "counted"))
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 1, idle: 0, waiting: 0 }), 1_000)
    await reading
    expect(database.connections?.()).toEqual({ open: 1, idle: 1, waiting: 0 })
    await db.close()
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 }), 5_000)
  })

  it("is not counted for ever when its request was taken away", async () => {
    let time = 0
    const database = postgresDatabase(url, () => time)
    const engine = database.connect()
    await engine.ready()
    time = 60_000
    expect(database.connections?.()).toEqual({ open: 1, idle: 1, waiting: 0 })
    time = 60_001
    expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 })
    await engine.close()
  })

  it("serves two who ask at once without mixing their transactions", async () => {
    const database = postgresDatabase(url)
    const db = openDb(database.connect())
    const numbers = Array.from({ length: 20 }, (_, n) => n)
    const counted = () => expect(database.connections?.()).toEqual({ open: 1, idle: 1, waiting: 0 })
    const answers = await Promise.all(
      numbers.map(async (n) => {
        const [[one], [two]] = await db.read(
          db.sql.select({ n: sql<number>`${n}::int` }).from(sql`(select 1) once`),
          db.sql.select({ n: sql<number>`${n}::int + 100` }).from(sql`(select 1) once`),
        )
        return [one?.n, two?.n]
      }),
    )
    expect(answers).toEqual(numbers.map((n) => [n, n + 100]))
    counted()
    await db.close()
  })
})

describe("a server that cannot be reached", () => {
  it("is told with 503, Retry-After and no word of where it is, whatever is asked", async () => {
    const app = await openApp({ database: postgresDatabase(nowhere) })
    const ada = (await newCaller()).through(app)
    const answers = [
      await ada.get("/api/v1/tasks"),
      await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x" }, { "idempotency-key": "down" }),
      await ada.patch("/api/v1/me", { name: "Grace" }),
      await app.fetch("/api/v1/auth/login", {
        method: "POST",
        headers: { "content-type": "application/json", "cf-connecting-ip": "192.0.2.77" },
        body: JSON.stringify({ email: ada.email, password: "a long passphrase" }),
      }),
    ]
    for (const answer of answers) {
      const problem = await problemIn(answer, 503)
      expect(problem.code).toBe("unavailable")
      expect(answer.headers.get("retry-after")).toBe("2")
      expect(JSON.stringify(problem)).not.toMatch(/127\.0\.0\.1|postgres/i)
    }
  })

  it("makes the instance unhealthy, and names the database and the pool", async () => {
    const answer = await (await openApp({ database: postgresDatabase(nowhere) })).fetch("/health")
    expect(answer.status).toBe(503)
    const { checks } = Health.parse(await answer.json())
    expect(checks).toMatchObject({
      database: { status: "unhealthy" },
      pool: { status: "unhealthy", connections: { open: 0, idle: 0, waiting: 0 } },
      objects: { status: "healthy" },
    })
  })

  it("is tried three times", async () => {
    let tries = 0
    const engine = postgresDatabase(nowhere).connect()
    const counting: typeof engine = {
      ...engine,
      send: (...asked) => {
        tries += 1
        return engine.send(...asked)
      },
    }
    const db = openDb(counting, quick)
    await expect(db.read(db.sql.select().from(db.tables.heads))).rejects.toMatchObject({ fault: { kind: "lost" } })
    expect(tries).toBe(3)
  })
})

describe("a server that does not answer", () => {
  it("is given up at the deadline, and so is the statement there", async () => {
    const mark = crypto.randomUUID()
    const database = postgresDatabase(url)
    const db = openDb(database.connect(), { ...quick, readDeadlineMs: 150 })
    const start = Date.now()
    await expect(db.read(sleeping(db, 60, mark))).rejects.toMatchObject({ fault: { kind: "timeout" } })
    expect(Date.now() - start).toBeLessThan(10_000)
    await vi.waitFor(async () => {
      const running = await rowsOf(
        "select pid from pg_stat_activity where state = 'active' and query like '%pg_sleep%' and query not like '%pg_stat_activity%'",
      )
      expect(running).toEqual([])
    }, 10_000)
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 }), 5_000)
    // The same request can go on, on a connection of its own.
    expect(await db.read(sleeping(db, 0, mark))).toEqual([[{ slept: "", mark }]])
    await db.close()
  })

  it("because others hold the row is told as a timeout, and nothing was written", async () => {
    const ada = await newCaller()
    const holder = openDb(postgresDatabase(url).connect())
    const { heads } = holder.tables
    const holding = holder.write(
      holder.sql.update(heads).set({ pumpedSeq: 1 }).where(sql`${heads.workspaceId} = ${ada.workspaceId}`),
      sleeping(holder, 1.5, "holding"),
    )
    await vi.waitFor(async () => {
      const [held] = await rowsOf("select count(*) as count from pg_stat_activity where wait_event = 'PgSleep'")
      expect(Number(held?.["count"])).toBeGreaterThan(0)
    })
    const waiting = openDb(postgresDatabase(url).connect(), { ...quick, writeDeadlineMs: 100 })
    const late = waiting.write(
      waiting.sql.update(heads).set({ pumpedSeq: 2 }).where(sql`${heads.workspaceId} = ${ada.workspaceId}`),
    )
    await expect(late).rejects.toMatchObject({ fault: { kind: "timeout" } })
    await holding
    const [head] = await rowsOf("select pumped_seq from heads where workspace_id = ?", ada.workspaceId)
    expect(head).toEqual({ pumped_seq: 1 })
    await Promise.all([holder.close(), waiting.close()])
  })
})

describe("a connection that is cut in the middle", () => {
  it("is made anew, and the commit lands once", async () => {
    const ada = await newCaller()
    const database = postgresDatabase(url)
    let isCut = false
    const app = await openApp({
      database: {
        connections: database.connections,
        connect: () => {
          const engine = database.connect()
          return {
            ...engine,
            send: async (queries, terms) => {
              if (isCut || !queries.some(({ text }) => text.startsWith('insert into "events"'))) {
                return engine.send(queries, terms)
              }
              isCut = true
              // The server ends this very connection after the rows are written and before they are committed.
              const cut = { text: "select pg_terminate_backend(pg_backend_pid())", values: [] }
              return engine.send([...queries, cut], terms)
            },
          }
        },
      },
    })
    const task = await taskIn(
      await ada.through(app).post("/api/v1/tasks", { projectId: ada.inboxId, title: "Once, however it ends" }),
    )
    expect(isCut).toBe(true)
    expect(task.key).toBe("INBOX-1")
    expect(await rowsOf("select id from tasks where workspace_id = ?", ada.workspaceId)).toEqual([{ id: task.id }])
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 }), 5_000)
  })
})

describe("the order of text", () => {
  it("is that of its bytes, in a database whose locale orders otherwise", async () => {
    const [locale] = await rowsOf("select 'a' < 'B' as is_alphabetical")
    expect(locale).toEqual({ is_alphabetical: true })
    const [order] = await rowsOf(
      "select min(column_name) as unsorted from information_schema.columns where table_schema = 'public' and data_type = 'text' and collation_name is distinct from 'C'",
    )
    expect(order).toEqual({ unsorted: null })
    const ada = await newCaller()
    for (const position of ["a1", "Zz", "a0V", "a0"]) await newTask(ada, { position, title: position })
    const answer = await ada.get(`/api/v1/projects/${ada.inboxId}/tasks`)
    const { data } = (await answer.json()) as { data: { title: string }[] }
    expect(data.map(({ title }) => title)).toEqual(["Zz", "a0", "a0V", "a1"])
  })
})
