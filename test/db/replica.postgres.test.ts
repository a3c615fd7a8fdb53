import { env } from "cloudflare:workers"
import { setTimeout as wait } from "node:timers/promises"
import { eq, sql } from "drizzle-orm"
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest"
import { freshLife } from "../../src/cache/rev.ts"
import { type Db, databaseOf, openDb } from "../../src/db/db.ts"
import type { Database, Query } from "../../src/db/engine.ts"
import { ConnectionLost } from "../../src/db/errors.ts"
import { postgresDatabase } from "../../src/db/postgres-database.ts"
import { replicatedEngine, restFor } from "../../src/db/postgres-replica.ts"
import type { Answer, Wire } from "../../src/db/postgres-transaction.ts"
import { openApp } from "../support/app.ts"
import { cacheOf, hit, settled } from "../support/cached.ts"
import { type Caller, costOf, newCaller, newTask, pointersIn, taskIn } from "../support/caller.ts"
import { between } from "../support/faults.ts"
import { signedInTo } from "../support/people.ts"
import type { Pair } from "../support/postgres-pair.ts"

// A primary and a replica that streams from it, real ones. Commits of the primary do not wait for its log to be written
// (synchronous_commit is off), and replay can be paused: so a replica lags as long as a test wants it to.

let pair: Pair
/** The pair as a deployment binds it; every answer tells in `by` whose it was. */
let both: Database
let by: string[] = []

const hyperdrive = (connectionString: string) => ({ connectionString }) as Hyperdrive
const bound = (primary: string, replica: string) =>
  databaseOf({ HYPERDRIVE: hyperdrive(primary), HYPERDRIVE_REPLICA: hyperdrive(replica) })

/** The same database, which asks with everything which server it is. */
function watched(real: Database): Database {
  const replica = Number(new URL(pair.replica.url).port)
  return between(async ({ queries, run }) => {
    const results = await run([...queries, { text: "select inet_server_port()", values: [] }])
    const [[port] = []] = (results.pop()?.rows ?? []) as [number][]
    by.push(port === replica ? "replica" : "primary")
    return results
  }, real)
}

beforeAll(async () => {
  const answer = await fetch(env.POSTGRES_PAIR, { method: "POST" })
  if (!answer.ok) throw new Error(await answer.text())
  pair = await answer.json()
  both = watched(await bound(pair.primary.url, pair.replica.url))
})

beforeEach(() => {
  by = []
})
afterEach(async () => {
  const [isReplica] = await onReplica("select pg_is_in_recovery()")
  if (isReplica) await resume()
})

async function sendTo(url: string, mode: "read" | "write", ...queries: Query[]) {
  const engine = postgresDatabase(url).connect()
  try {
    return await engine.send(queries, { mode, deadlineMs: 10_000, signal: new AbortController().signal })
  } finally {
    await engine.close()
  }
}
const say = (text: string): Query => ({ text, values: [] })
const onPrimary = (...texts: string[]) => sendTo(pair.primary.url, "write", ...texts.map(say))

/** The one row of a query on the replica. */
async function onReplica(text: string): Promise<unknown[]> {
  const [result] = await sendTo(pair.replica.url, "read", say(text))
  return result?.rows[0] as unknown[]
}

async function pause() {
  await onReplica("select pg_wal_replay_pause()")
  await vi.waitFor(async () => expect(await onReplica("select pg_get_wal_replay_pause_state()")).toEqual(["paused"]))
}
const resume = () => onReplica("select pg_wal_replay_resume()")

const hexOf = (position: unknown) =>
  String(position)
    .split("/")
    .map((half) => half.toLowerCase().padStart(8, "0"))
    .join("")
const replayedSoFar = async () => hexOf((await onReplica("select pg_last_wal_replay_lsn()"))[0])
const receivedSoFar = async () => hexOf((await onReplica("select pg_last_wal_receive_lsn()"))[0])

/** Waits until the replica has it. Where a page of the log ends that may take a record more, which an idle server lacks. */
async function has(bookmark: string) {
  for (let n = 1; n <= 200; n += 1) {
    if ((await replayedSoFar()) >= bookmark) return
    if (n % 20 === 0) await onPrimary("select pg_logical_emit_message(false, 'edgewise', 'one more')")
    await wait(50)
  }
  throw new Error(`The replica never reached ${bookmark}`)
}

/** One request: what it does, and the bookmark that its answer has. */
async function request<T>(from: string | null, work: (db: Db) => Promise<T>, database = both) {
  const db = openDb(database.connect(from), { sleep: () => Promise.resolve() })
  try {
    const result = await work(db)
    return { result, bookmark: db.bookmark() ?? "" }
  } finally {
    await db.close()
  }
}

/** Counts up in a row of somebody's own. */
const countUp = (db: Db, row: string) => {
  const { heads } = db.tables
  return db.write(
    db.sql
      .insert(heads)
      .values({ workspaceId: row, seq: 0, pumpedSeq: 1 })
      .onConflictDoUpdate({ target: heads.workspaceId, set: { pumpedSeq: sql`${heads.pumpedSeq} + 1` } }),
  )
}
const countIn = async (db: Db, row: string) => {
  const { heads } = db.tables
  const [found] = await db.read(db.sql.select({ n: heads.pumpedSeq }).from(heads).where(eq(heads.workspaceId, row)))
  return found[0]?.n ?? 0
}

const up = async (row: string, database = both) => (await request(null, (db) => countUp(db, row), database)).bookmark
const look = async (row: string, from: string | null, database = both) => {
  const { result, bookmark } = await request(from, (db) => countIn(db, row), database)
  return { n: result, bookmark, by: by.at(-1) }
}
const newRow = () => `wsp_${crypto.randomUUID()}`

describe("a read that brings a bookmark", () => {
  it("is answered by the replica that has reached it, and shows what was written", async () => {
    const row = newRow()
    for (let n = 1; n <= 5; n += 1) {
      const written = await up(row)
      expect(written).toMatch(/^[0-9a-f]{16}$/)
      await has(written)
      const seen = await look(row, written)
      expect(seen).toMatchObject({ n, by: "replica" })
      expect(seen.bookmark >= written).toBe(true)
    }
  })

  it("is answered by the primary while the replica has not, and then by the replica again", async () => {
    const row = newRow()
    await pause()
    const written = await up(row)
    const seen = await look(row, written)
    expect(seen).toMatchObject({ n: 1, by: "primary" })
    expect(seen.bookmark >= written).toBe(true)
    await resume()
    await has(seen.bookmark)
    expect(await look(row, seen.bookmark)).toMatchObject({ n: 1, by: "replica" })
  })

  it("shows what others did after it only once that is replayed", async () => {
    const row = newRow()
    const first = await up(row)
    await has(first)
    await pause()
    const second = await up(row)
    expect(await look(row, first)).toMatchObject({ n: 1, by: "replica" })
    await resume()
    await has(second)
    expect(await look(row, first)).toMatchObject({ n: 2, by: "replica" })
  })

  it("stays with the replica, from one request to the next, where nobody writes", async () => {
    const row = newRow()
    let known = await up(row)
    await has(known)
    await vi.waitFor(async () => expect(await receivedSoFar()).toBe(await replayedSoFar()), { timeout: 10_000 })
    for (let turn = 0; turn < 5; turn += 1) {
      const seen = await look(row, known)
      expect(seen.by).toBe("replica")
      expect(seen.bookmark >= known).toBe(true)
      known = seen.bookmark
    }
  })

  it("is one state of the replica, however many queries it has", async () => {
    const row = newRow()
    const written = await up(row)
    await has(written)
    const { result } = await request(written, async (db) => {
      const { heads } = db.tables
      const count = db.sql.select({ n: heads.pumpedSeq }).from(heads).where(eq(heads.workspaceId, row))
      const sleep = db.sql.select({ slept: sql`pg_sleep(0.5)` }).from(sql`(select 1) once`)
      const reading = db.read(count, sleep, count)
      await wait(200)
      await has(await up(row))
      return reading
    })
    expect(by).toContain("replica")
    expect([result[0][0]?.n, result[2][0]?.n]).toEqual([1, 1])
  })
})

describe("positions and what is seen", () => {
  /** The pair, whose servers take a while to find out how far they are: before they look, or before they tell. */
  async function slow(when: "before" | "after"): Promise<Database> {
    const functions = ["pg_last_wal_replay_lsn", "pg_current_wal_insert_lsn"].map((name) => {
      const look = `at := pg_catalog.${name}()`
      const steps = when === "before" ? ["perform pg_sleep(0.6)", look] : [look, "perform pg_sleep(0.6)"]
      return `create or replace function slow_${when}.${name}() returns pg_lsn language plpgsql as
        'declare at pg_lsn; begin ${steps.join("; ")}; return at; end'`
    })
    await onPrimary(`create schema if not exists slow_${when}`, ...functions)
    await has(await up(newRow()))
    const path = `?options=${encodeURIComponent(`-c search_path=slow_${when},pg_catalog,public`)}`
    return watched(await bound(pair.primary.url + path, pair.replica.url + path))
  }

  it("what is replayed by the time that the check looks is shown, though it was not when the check began", async () => {
    const database = await slow("before")
    const row = newRow()
    await pause()
    const written = await up(row)
    const reading = look(row, written, database)
    await wait(300)
    await resume()
    expect(await reading).toMatchObject({ n: 1, by: "replica" })
  })

  it("what is replayed after the check, and shown, is in the bookmark", async () => {
    const database = await slow("after")
    // While it looks how far it is, and when the snapshot has been taken.
    for (const [ms, n] of [
      [300, 2],
      [900, 1],
    ] as const) {
      const row = newRow()
      const first = await up(row)
      await has(first)
      await pause()
      const second = await up(row)
      const reading = look(row, first, database)
      await wait(ms)
      await resume()
      const seen = await reading
      expect(seen, `resumed after ${ms} ms`).toMatchObject({ n, by: "replica" })
      expect(seen.n === 1 || seen.bookmark >= second, `resumed after ${ms} ms`).toBe(true)
    }
  })

  it("what the primary shows is in its bookmark", async () => {
    const database = await slow("after")
    const row = newRow()
    await up(row)
    const reading = look(row, null, database)
    await wait(300)
    const second = await up(row)
    const seen = await reading
    expect(by.at(-1)).toBe("primary")
    expect(seen.n === 1 || seen.bookmark >= second).toBe(true)
  })

  it("the bookmark of a write is where the log ends after its commit", async () => {
    // Unless the server wrote something of its own in between.
    await vi.waitFor(async () => {
      const written = await up(newRow())
      const [[end] = []] = ((await onPrimary("select pg_current_wal_insert_lsn()"))[0]?.rows ?? []) as [string][]
      expect(written).toBe(hexOf(end))
    })
  })

  it("while a record may be on its way, the bookmark asks for one more than is counted", async () => {
    const row = newRow()
    const first = await up(row)
    await has(first)
    await pause()
    const second = await up(row)
    await vi.waitFor(async () => expect((await receivedSoFar()) >= second).toBe(true), { timeout: 10_000 })
    const counted = await replayedSoFar()
    const seen = await look(row, first)
    expect(seen).toMatchObject({ n: 1, by: "replica" })
    expect([BigInt(`0x${seen.bookmark}`) - BigInt(`0x${counted}`), seen.bookmark <= second]).toEqual([1n, true])
    expect(await look(row, seen.bookmark)).toMatchObject({ n: 2, by: "primary" })
  })
})

describe("the primary answers", () => {
  it("whoever brings no bookmark, one of another database, or one from the future", async () => {
    const row = newRow()
    await has(await up(row))
    const future = "ffffffff00000000"
    const ofD1 = `00000001-00000001-00000001-${"0".repeat(32)}`
    for (const from of [null, ofD1, future]) {
      const seen = await look(row, from)
      expect(seen, String(from)).toMatchObject({ n: 1, by: "primary" })
      // Not the one from the future: whoever had it from a primary that was restored is not kept from replicas for ever.
      expect(seen.bookmark < future, String(from)).toBe(true)
    }
  })

  it("what must be its answer, and the replica what need not be any more", async () => {
    const row = newRow()
    const written = await up(row)
    await has(written)
    const asked = (from: string | null, reach: string | null) =>
      request(from, async (db) => {
        db.reach(reach)
        await countIn(db, row)
        return by.at(-1)
      })
    expect((await asked(written, null)).result).toBe("primary")
    expect((await asked(null, written)).result).toBe("replica")
    expect((await asked("0000000000000001", written)).result).toBe("replica")
    expect((await asked("ffffffff00000000", written)).result).toBe("primary")
    expect((await asked(written, "ffffffff00000000")).result).toBe("primary")
  })

  it("all that a request asks after it has written, and shows it", async () => {
    const row = newRow()
    const known = await up(row)
    await has(known)
    await pause()
    by = []
    const { bookmark, result } = await request(known, async (db) => {
      const before = await countIn(db, row)
      await countUp(db, row)
      db.reach(known)
      return [before, await countIn(db, row)]
    })
    expect([by, result]).toEqual([
      ["replica", "primary", "primary"],
      [1, 2],
    ])
    expect(bookmark > known).toBe(true)
    expect(await look(row, bookmark)).toMatchObject({ n: 2, by: "primary" })
  })

  it("all that a request asks after the replica lagged behind", async () => {
    const row = newRow()
    await pause()
    const written = await up(row)
    by = []
    await request(written, async (db) => {
      expect(await countIn(db, row)).toBe(1)
      await resume()
      await has(await up(row))
      expect(await countIn(db, row)).toBe(2)
    })
    expect(by).toEqual(["primary", "primary", "primary"])
  })

  it("everybody where no replica is bound, and tells no bookmark", async () => {
    const alone = await databaseOf({ HYPERDRIVE: hyperdrive(pair.primary.url) })
    const row = newRow()
    expect(await up(row, alone)).toBe("")
    expect(await look(row, "0000000000000001", alone)).toMatchObject({ n: 1, bookmark: "" })
  })
})

describe("a bookmark of Postgres", () => {
  it("is none to D1, whose primary answers", async () => {
    const begun: string[] = []
    const session = { prepare: () => ({ bind: () => ({}) }), batch: async () => [], getBookmark: () => null }
    const DB = {
      withSession: (from: string) => {
        begun.push(from)
        return session
      },
    } as unknown as D1Database
    const database = await databaseOf({ DB })
    const ofD1 = `00000001-00000001-00000001-${"0".repeat(32)}`
    const terms = { mode: "read", deadlineMs: 1_000, signal: new AbortController().signal } as const
    for (const bookmark of ["0000000001c38460", ofD1]) {
      await database.connect(bookmark).send([], terms)
      const engine = database.connect()
      engine.reach(bookmark)
      await engine.send([], terms)
    }
    expect(begun).toEqual(["first-primary", "first-primary", ofD1, ofD1])
  })
})

describe("what servers may say that the pair does not", () => {
  const terms = { mode: "read", deadlineMs: 1_000, signal: new AbortController().signal } as const
  const query = say("select 1")
  const answer = (rows: unknown[][] = [], command = "SELECT"): PromiseFulfilledResult<Answer> => ({
    status: "fulfilled",
    value: { rows, rowCount: rows.length, command },
  })
  const failure = (reason: Error): PromiseRejectedResult => ({ status: "rejected", reason })
  const wire = (send: Wire["send"]): Wire => ({ ready: async () => undefined, close: async () => undefined, send })
  const silent = wire(() => Promise.reject(new Error("must not be asked")))
  const engineOver = (servers: { primary?: Wire; replica?: Wire }, from: string | null) =>
    replicatedEngine({ primary: silent, replica: silent, rest: restFor(Date.now), ...servers }, from)

  it("a later query of a request must have what an earlier one was shown, whichever replica it meets", async () => {
    const asked: unknown[] = []
    const replica = wire(async (messages) => {
      asked.push(messages[1]?.values[0])
      const at = `0/${3 + asked.length}0`
      return [answer(), answer([[true]]), answer(), answer([[at, at]]), answer([[1]]), answer([], "COMMIT")]
    })
    const engine = engineOver({ replica }, "0000000000000010")
    const told = []
    for (let turn = 0; turn < 3; turn += 1) {
      await engine.send([query], terms)
      told.push(engine.bookmark())
    }
    expect(asked).toEqual(["00000000/00000010", "00000000/00000040", "00000000/00000050"])
    expect(told).toEqual(["0000000000000040", "0000000000000050", "0000000000000060"])
  })

  it("a commit has landed whose server cannot tell its position, and then nobody tells a bookmark", async () => {
    const begun = [answer(), answer([], "INSERT"), answer([], "COMMIT")]
    for (const end of [answer([[null]]), failure(new Error("not supported"))]) {
      const engine = engineOver({ primary: wire(async () => [...begun, end]) }, null)
      expect(await engine.send([query], { ...terms, mode: "write" })).toHaveLength(1)
      expect(engine.bookmark()).toBe(null)
    }
  })

  it("a connection that is lost before the position came is as one that is lost before the answer", async () => {
    const lost = new ConnectionLost(null)
    const begun = [answer(), answer([], "INSERT"), answer([], "COMMIT")]
    const engine = engineOver({ primary: wire(async () => [...begun, failure(lost)]) }, null)
    await expect(engine.send([query], { ...terms, mode: "write" })).rejects.toBe(lost)
    expect(engine.bookmark()).toBe(null)
  })
})

describe("on the wire", () => {
  /** Round trips that a connection takes to be made: the start-up message, then the password. */
  const toConnect = 2
  let far: Caller

  /** The round trips of each connection to each server since the last time. */
  const trips = async () => ({
    primary: (await (await fetch(pair.primary.trips)).json()) as number[],
    replica: (await (await fetch(pair.replica.trips)).json()) as number[],
  })

  beforeAll(async () => {
    far = (
      await newCaller(await openApp({ database: await bound(pair.primary.slowUrl, pair.replica.slowUrl) }))
    ).cached()
  })
  beforeEach(trips)

  const bookmarkOf = (answer: Response) => ({ "edgewise-bookmark": answer.headers.get("edgewise-bookmark") ?? "" })
  const create = () => far.post("/api/v1/tasks", { projectId: far.inboxId, title: "Far away" })

  it("a commit is one round trip, and tells how far it is", async () => {
    const answer = await create()
    expect(answer.status).toBe(201)
    expect(answer.headers.get("edgewise-bookmark")).toMatch(/^[0-9a-f]{16}$/)
    expect(await trips()).toEqual({ primary: [toConnect + 1], replica: [] })
  })

  it("a change is two round trips on one connection", async () => {
    const { id } = await newTask(far)
    await trips()
    expect((await far.patch(`/api/v1/tasks/${id}`, { priority: 2 })).status).toBe(200)
    expect(await trips()).toEqual({ primary: [toConnect + 2], replica: [] })
  })

  it("a read of the replica is one round trip, and one more to the primary where the replica lags", async () => {
    const known = bookmarkOf(await create())
    await has(known["edgewise-bookmark"])
    await trips()
    for (const path of ["/api/v1/me", "/api/v1/workspaces"]) {
      expect((await far.get(path, known)).status).toBe(200)
      expect(await trips(), path).toEqual({ primary: [], replica: [toConnect + 1] })
      expect((await far.get(path, { ...known, "cache-control": "no-cache" })).status).toBe(200)
      expect(await trips(), path).toEqual({ primary: [toConnect + 1], replica: [] })
    }
    await pause()
    const later = bookmarkOf(await create())
    await trips()
    const answer = await far.get("/api/v1/me", later)
    expect([answer.status, costOf(answer).trips]).toEqual([200, 2])
    expect(await trips()).toEqual({ primary: [toConnect + 1], replica: [toConnect + 1] })
  })
})

describe("a replica on which something goes wrong", () => {
  /** Reads, and meanwhile something happens. */
  async function reading(query: string, meanwhile: () => Promise<unknown> = () => Promise.resolve()) {
    const row = newRow()
    const known = await up(row)
    await has(known)
    by = []
    const { result } = await request(known, async (db) => {
      const asked = db.sql.select({ seen: sql<string>`${sql.raw(query)}::text` }).from(sql`(select 1) once`)
      const [read] = await Promise.all([db.read(asked), wait(150).then(meanwhile)])
      return read[0][0]?.seen
    })
    return result
  }
  const sleepThere = (seconds: number) =>
    `(select pg_sleep(case when pg_is_in_recovery() then ${seconds} else 0 end) is not null)`

  it("because replay was in the way leaves the read to the primary", async () => {
    await onPrimary("create table in_the_way (n int)")
    const query = `(select count(*)::text || ${sleepThere(1)} from in_the_way)`
    expect(await reading(query, () => onPrimary("lock table in_the_way in access exclusive mode"))).toBe("0true")
    expect(by).toEqual(["primary"])
    const conflicts = "select confl_lock from pg_stat_database_conflicts where datname = 'edgewise'"
    await vi.waitFor(async () => expect(Number((await onReplica(conflicts))[0])).toBe(1), { timeout: 5_000 })
    // It is well, and goes on to be asked.
    expect(await reading("(select 1)")).toBe("1")
    expect(by).toEqual(["replica"])
  })

  it("because it takes too long leaves the read to the primary, within the time that there is", async () => {
    const start = Date.now()
    // Of its own: an isolate leaves such a replica alone for a while.
    both = watched(await bound(pair.primary.url, pair.replica.url))
    expect(await reading(sleepThere(30))).toBe("true")
    expect(by).toEqual(["primary"])
    expect(Date.now() - start).toBeLessThan(5_000)
    expect(await reading("(select 1)")).toBe("1")
    expect(by).toEqual(["primary"])
    both = watched(await bound(pair.primary.url, pair.replica.url))
  })

  it("because the query is wrong leaves it to the primary to say so", async () => {
    await expect(reading("(select 1 / 0)")).rejects.toMatchObject({ code: "22012" })
    expect(await reading("(select 1 / case when pg_is_in_recovery() then 0 else 1 end)")).toBe("1")
    expect(by).toEqual(["primary"])
  })

  it("because it is down leaves reads to the primary, and is not tried again for a while", async () => {
    let time = 0
    const there = async () => ((await (await fetch(pair.replica.trips)).json()) as number[]).length
    const database = watched(postgresDatabase(pair.primary.url, () => time, pair.replica.slowUrl))
    const row = newRow()
    const known = await up(row)
    await has(known)
    expect(await look(row, known, database)).toMatchObject({ n: 1, by: "replica" })
    await fetch(`${env.POSTGRES_PAIR}/stop`, { method: "POST" })
    try {
      await there()
      const seen = []
      for (const at of [0, 0, 9_999, 10_000]) {
        time = at
        seen.push([(await look(row, known, database)).by, await there()])
      }
      expect(seen).toEqual([
        ["primary", 1],
        ["primary", 0],
        ["primary", 0],
        ["primary", 1],
      ])
    } finally {
      await fetch(`${env.POSTGRES_PAIR}/start`, { method: "POST" })
    }
    await has(known)
    time = 20_000
    expect(await look(row, known, database)).toMatchObject({ n: 1, by: "replica" })
    await vi.waitFor(() => expect(database.connections?.()).toEqual({ open: 0, idle: 0, waiting: 0 }), 5_000)
  })
})

describe("through the API", () => {
  const titleIn = async (answer: Response) => (await taskIn(answer)).title
  const told = (answer: Response) => answer.headers.get("edgewise-bookmark") ?? ""

  /** Somebody whose colo knows them, and a task that the replica has. */
  async function regular() {
    const ada = (await newCaller(await openApp({ database: both }))).cached()
    const path = `/api/v1/tasks/${(await newTask(ada)).id}`
    const known = await hit(ada, path)
    await has(told(known))
    await settled()
    await wait(freshLife)
    by = []
    return { ada, path, known: told(known) }
  }

  /** Somebody else who may see it. */
  async function colleague(ada: Caller): Promise<Caller> {
    const bob = await newCaller(ada.app)
    const row = { values: [ada.workspaceId, bob.userId] }
    await sendTo(
      pair.primary.url,
      "write",
      {
        text: "insert into members (workspace_id, user_id, role, name, revision, created_at, updated_at) values ($1, $2, 'admin', 'Bob', 1, 0, 0)",
        ...row,
      },
      { text: "insert into memberships (workspace_id, user_id, created_at) values ($1, $2, 0)", ...row },
    )
    return (await signedInTo(ada, bob)).cached()
  }

  it("own writes are seen at once while the replica lags, with a bookmark and without", async () => {
    const { ada, path, known } = await regular()
    const again = await ada.get(path)
    expect([cacheOf(again), by, told(again) >= known]).toEqual(["MISS", ["replica"], true])
    await pause()
    const written = await ada.patch(path, { title: "Mine" })
    expect(await titleIn(written)).toBe("Mine")
    for (let turn = 0; turn < 8; turn += 1) {
      expect(await titleIn(await ada.get(path))).toBe("Mine")
      expect(await titleIn(await ada.get(path, { "edgewise-bookmark": told(written) }))).toBe("Mine")
      const me = await ada.get("/api/v1/me", { "edgewise-bookmark": told(written) })
      expect([me.status, told(me) >= told(written)]).toEqual([200, true])
      await wait(turn * 50)
    }
  })

  it("what others write is seen once the replica has it, or when the primary is asked", async () => {
    const { ada, path } = await regular()
    const bob = await colleague(ada)
    const seen = await hit(bob, path)
    await has(told(seen))
    await settled()
    await pause()
    await ada.patch(path, { title: "Theirs" })
    await wait(freshLife)
    by = []
    expect([await titleIn(await bob.get(path)), by]).toEqual(["Write tests", ["replica"]])
    expect(await titleIn(await bob.get(path, { "cache-control": "no-cache" }))).toBe("Theirs")
    expect(by).toEqual(["replica", "primary"])
    await resume()
    await wait(freshLife + 500)
    expect(await titleIn(await bob.get(path))).toBe("Theirs")
  })

  it("what somebody brings along never goes down from one answer to the next", async () => {
    const { ada, path, known } = await regular()
    const all: string[] = [known]
    const revisions: number[] = []
    const bring = () => ({ "edgewise-bookmark": all.at(-1) ?? "" })
    const lags = (turn: number) => turn % 5 >= 2
    for (let turn = 0; turn < 15; turn += 1) {
      if (lags(turn) && !lags(turn - 1)) await pause()
      if (!lags(turn)) await resume()
      const written = await ada.patch(path, { title: `Turn ${turn}` }, bring())
      all.push(told(written))
      if (!lags(turn)) await has(told(written))
      const me = await ada.get("/api/v1/me", bring())
      all.push(told(me))
      const read = await ada.get(path, bring())
      all.push(told(read))
      revisions.push((await taskIn(written)).revision, (await taskIn(read)).revision)
    }
    expect(all).toEqual(all.toSorted())
    expect(revisions).toEqual(revisions.toSorted((one, other) => one - other))
    expect(new Set(by)).toEqual(new Set(["primary", "replica"]))
  })

  it("a bookmark that was made up is refused", async () => {
    const ada = await newCaller(await openApp({ database: both }))
    for (const wrong of ["x", "0000000001C38460", "1c38460", "0/1C38460"]) {
      expect(await pointersIn(await ada.get("/api/v1/me", { "edgewise-bookmark": wrong })), wrong).toEqual([
        "Edgewise-Bookmark",
      ])
    }
  })
})

describe("a race: many who write and read at once, while replay stops and goes on", () => {
  let answered = 0
  let isOver = false
  /** Until so many more have been answered, however fast this machine is. */
  async function untilAnswered(more: number) {
    const enough = answered + more
    while (answered < enough && !isOver) await wait(5)
  }

  /** Who does one thing after the other, and brings along what the last answer told. How many the replica answered. */
  async function client(turns: number): Promise<number> {
    const row = newRow()
    const replica = Number(new URL(pair.replica.url).port)
    const read = async (db: Db) => {
      const { heads } = db.tables
      const server = sql<number>`inet_server_port()`
      const [[found]] = await db.read(
        db.sql.select({ n: heads.pumpedSeq, server }).from(heads).where(eq(heads.workspaceId, row)),
      )
      return found
    }
    let known = "0000000000000001"
    let count = 0
    for (let n = 1; n <= turns; n += 1) {
      const { bookmark: written } = await request(known, (db) => countUp(db, row))
      await wait(Math.random() * 40)
      const { result, bookmark } = await request(written, read)
      expect([result?.n, written > known, bookmark >= written]).toEqual([n, true, true])
      known = bookmark
      answered += 1
      count += result?.server === replica ? 1 : 0
    }
    return count
  }

  it("shows nobody less than they have written or seen", async () => {
    async function meddle() {
      while (!isOver) {
        await pause()
        await untilAnswered(5)
        await resume()
        // Whoever reads now finds what they have written, unless they are quicker than the replica.
        await untilAnswered(10)
      }
    }
    const meddling = meddle()
    const counts = await Promise.all(Array.from({ length: 10 }, () => client(20))).finally(() => {
      isOver = true
      return meddling
    })
    const ofReplica = counts.reduce((sum, count) => sum + count, 0)
    expect(ofReplica).toBeGreaterThan(10)
    expect(ofReplica).toBeLessThan(190)
  })
})

describe("a replica that was promoted", () => {
  it("answers nobody any more: what it has from then on nobody else has", async () => {
    const row = newRow()
    const known = await up(row)
    await has(known)
    expect(await onReplica("select pg_promote()")).toEqual([true])
    // Somebody writes to it. The position that it was promoted at goes on to be told there.
    await sendTo(pair.replica.url, "write", {
      text: "update heads set pumped_seq = 99 where workspace_id = $1",
      values: [row],
    })
    expect(await look(row, known)).toMatchObject({ n: 1, by: "primary" })
    expect(await look(row, await up(row))).toMatchObject({ n: 2, by: "primary" })
  })
})
