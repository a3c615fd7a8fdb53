import { env } from "cloudflare:workers"
import { eq, sql } from "drizzle-orm"
import { beforeEach, describe, expect, it, vi } from "vitest"
import { openDb } from "../../src/db/db.ts"
import { postgresDatabase } from "../../src/db/postgres-database.ts"
import { openApp } from "../support/app.ts"
import { type Caller, eventsOf, newCaller, newTask, taskIn } from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { between, isCommit } from "../support/faults.ts"

// Between the Worker and the server stands a proxy with 40 ms each way, which counts: what the code takes for one round
// trip must be one on the wire.

const tripMs = 80
/** Round trips that a connection takes to be made: the start-up message, then the password. */
const toConnect = 2

const far = await openApp({ database: postgresDatabase(env.SLOW_POSTGRES) })

/** The round trips of each connection since the last time. */
const trips = async (): Promise<number[]> => (await fetch(env.SLOW_POSTGRES_TRIPS)).json()

let near: Caller
let ada: Caller

beforeEach(async () => {
  near = await newCaller()
  ada = near.through(far)
  await trips()
})

const create = (caller: Caller) => caller.post("/api/v1/tasks", { projectId: caller.inboxId, title: "Far away" })

describe("on the wire", () => {
  it("a commit is one round trip, on a connection that has just been made", async () => {
    const answer = await create(ada)
    expect(answer.status).toBe(201)
    expect(await trips()).toEqual([toConnect + 1])
    expect(answer.headers.get("server-timing")).toContain("trips=1")
  })

  it("a commit with an assignee and a key is one round trip too", async () => {
    const body = { projectId: ada.inboxId, title: "Seven statements", assigneeIds: [ada.userId] }
    expect((await ada.post("/api/v1/tasks", body, { "idempotency-key": "far" })).status).toBe(201)
    expect(await trips()).toEqual([toConnect + 1])
  })

  it("a read is one round trip, of one query or of several", async () => {
    const { id } = await newTask(near)
    for (const path of [
      `/api/v1/tasks/${id}`,
      "/api/v1/tasks?include=project,assignees&assignee=me",
      "/api/v1/events",
    ]) {
      expect((await ada.get(path)).status).toBe(200)
      expect(await trips(), path).toEqual([toConnect + 1])
    }
  })

  it("a change is two round trips on one connection: what is there, and the commit", async () => {
    const { id } = await newTask(near)
    expect((await ada.patch(`/api/v1/tasks/${id}`, { priority: 2 })).status).toBe(200)
    expect(await trips()).toEqual([toConnect + 2])
  })

  it("a commit that fails in the middle is one round trip, and leaves nothing behind", async () => {
    const broken = between(
      (batch) =>
        batch.run(
          isCommit(batch)
            ? batch.queries.map((query, at) => (at === 2 ? { text: "select 1 / 0", values: [] } : query))
            : batch.queries,
        ),
      postgresDatabase(env.SLOW_POSTGRES),
    )
    const events = await eventsOf(near)
    expect((await create(near.through(await openApp({ database: broken })))).status).toBe(500)
    expect(await trips()).toEqual([toConnect + 1])
    expect(await eventsOf(near)).toEqual(events)
    expect((await newTask(near)).key).toBe("INBOX-1")
  })

  it("a connection whose end the server has told is left, though the socket stays", async () => {
    const database = postgresDatabase(env.SLOW_POSTGRES)
    const db = openDb(database.connect())
    await db.ready()
    await fetch(env.SLOW_POSTGRES_TRIPS, { method: "POST" })
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 }), 2_000)
    expect(await db.read(db.sql.select({ one: sql<number>`1` }).from(sql`(select 1) once`))).toEqual([[{ one: 1 }]])
    expect(database.connections?.()).toMatchObject({ open: 1 })
    await db.close()
  })

  it("of a connection that breaks without a goodbye nothing is left, whether it was at work or not", async () => {
    const database = postgresDatabase(env.SLOW_POSTGRES)
    for (const isAtWork of [false, true]) {
      const db = openDb(database.connect(), { sleep: () => Promise.resolve() })
      await db.ready()
      const asking = isAtWork && db.read(db.sql.select({ slept: sql`pg_sleep(0.3)` }).from(sql`(select 1) once`))
      expect(database.connections?.()).toMatchObject({ open: 1 })
      await fetch(env.SLOW_POSTGRES_TRIPS, { method: "DELETE" })
      await asking
      await db.close()
      expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 })
    }
  })

  it("nothing is written for whoever has given up while it was still connecting", async () => {
    const database = postgresDatabase(env.SLOW_POSTGRES)
    const db = openDb(database.connect(), { writeDeadlineMs: 100, sleep: () => Promise.resolve() })
    const { heads } = db.tables
    const late = db.write(db.sql.update(heads).set({ pumpedSeq: 7 }).where(eq(heads.workspaceId, ada.workspaceId)))
    await expect(late).rejects.toMatchObject({ fault: { kind: "timeout" } })
    // Waits for the connections, which come after all, and are let go.
    await db.close()
    expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 })
    expect(await trips()).toEqual([toConnect, toConnect, toConnect])
    expect(await rowsOf("select pumped_seq from heads where workspace_id = ?", ada.workspaceId)).toEqual([
      { pumped_seq: 0 },
    ])
  })

  it("ten commits at once in one workspace wait for each other, but for no round trip of another", async () => {
    const start = Date.now()
    const answers = await Promise.all(Array.from({ length: 10 }, () => create(ada)))
    const elapsed = Date.now() - start

    const keys = await Promise.all(answers.map(async (answer) => (await taskIn(answer)).key))
    expect(new Set(keys).size).toBe(10)
    expect(await trips()).toEqual(Array.from({ length: 10 }, () => toConnect + 1))
    // Holding the log's head for as little as one round trip each would take ten, beside the three of the last.
    expect(elapsed).toBeLessThan((toConnect + 1 + 9) * tripMs)
  })
})
