import { createScheduledController, runDurableObjectAlarm } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeEach, describe, expect, it } from "vitest"
import { receiptLife } from "../../src/db/commit.ts"
import { expiredInvitations, uselessSince } from "../../src/events/jobs/expired-invitations.ts"
import * as receipts from "../../src/events/jobs/expired-receipts.ts"
import type { Job } from "../../src/events/jobs/job.ts"
import { jobNames } from "../../src/events/jobs/job.ts"
import { jobs, runJobs } from "../../src/events/jobs/run.ts"
import * as unread from "../../src/events/jobs/unread-logs.ts"
import { newId } from "../../src/lib/ids.ts"
import { day, hour, minute } from "../../src/lib/time.ts"
import worker from "../../src/worker.ts"
import { openApp } from "../support/app.ts"
import { type Caller, newCaller, newEmail, newTask, pageIn } from "../support/caller.ts"
import { database, execute, isPostgres, rowsOf } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { hubs, justBefore, run, runFrom, untold } from "../support/jobs.ts"
import { insertAll } from "../support/seed.ts"

const recordOf = async (name: string) =>
  (await rowsOf<Record<string, unknown>>("select * from jobs where name = ?", name))[0]

beforeEach(() => execute("delete from jobs"))

/** What reads that many rows may cost: on D1 an entry of an index and its row. */
const bound = (rows: number) => (isPostgres ? rows : 2 * rows)

describe("a job", () => {
  const failing = (error: Error): Job => ({ ...receipts.expiredReceipts, run: () => Promise.reject(error) })
  const ending = (cursor: string | null): Job => ({
    ...receipts.expiredReceipts,
    run: async () => ({ cursor, examined: 3, done: 2, lagMs: 1 }),
  })

  it("is recorded: when, how long, how much, how late, and where the next run goes on", async () => {
    const now = Date.now()
    const told = await run(ending("here"), { now })
    expect(told).toMatchObject({
      name: "expired-receipts",
      startedAt: now,
      examined: 3,
      done: 2,
      lagMs: 1,
      error: null,
    })
    expect(await recordOf("expired-receipts")).toMatchObject({ cursor: "here", started_at: now, done: 2, error: null })
  })

  it("that fails is recorded with what failed, and goes on from where it was", async () => {
    await run(ending("here"))
    const told = await run(failing(new Error("broken for ada@example.com")))
    expect(told.error).toBe("Error: broken for [e-mail]")
    expect(await recordOf("expired-receipts")).toMatchObject({ cursor: "here", done: 0 })
  })

  it("that was overtaken does not overwrite what the later one has recorded", async () => {
    const now = Date.now()
    await run(ending("late"), { now })
    await run(ending("early"), { now: now - minute })
    expect(await recordOf("expired-receipts")).toMatchObject({ cursor: "late", started_at: now })
  })

  it("is run by the clock with all others, each on its own, whatever becomes of one", async () => {
    await worker.scheduled(createScheduledController(), env)
    const names = (await rowsOf<{ name: string; error: string | null }>("select name, error from jobs")).filter(
      ({ error }) => error === null,
    )
    expect(names.map(({ name }) => name).sort()).toEqual([...jobNames].sort())
    expect(jobs.map(({ name }) => name)).toEqual(jobNames)
    await execute("delete from jobs")
    const host = { database, hubs, now: Date.now, settings: { READ_ONLY: false } }
    await runJobs(host, [failing(new Error("broken")), unread.unreadLogs])
    expect(await recordOf("expired-receipts")).toMatchObject({ error: "Error: broken" })
    expect(await recordOf("unread-logs")).toMatchObject({ error: null })
  })

  it("does not run while the instance is read-only", async () => {
    await runJobs({ database, hubs, now: Date.now, settings: { READ_ONLY: true } })
    expect(await rowsOf("select name from jobs")).toEqual([])
  })
})

describe("the job of unread logs", () => {
  const later = () => Date.now() + unread.patience + minute
  const lanesOf = async (workspaceId: string) => (await hubs.status(workspaceId)).lanes
  const headOf = async (workspaceId: string) =>
    (await rowsOf<{ seq: number; pumped_seq: number }>("select * from heads where workspace_id = ?", workspaceId))[0]

  it("wakes the hub of a workspace whose poke was lost, once it has had time, and no other", async () => {
    const ada = await untold()
    await newTask(ada)
    expect(await lanesOf(ada.workspaceId)).toBeNull()
    const place = justBefore(ada.workspaceId)
    const woken: string[] = []
    const noting = { catchUp: async (id: string) => void woken.push(id) }
    await runFrom(unread.unreadLogs, place, { hubs: noting })
    expect(woken).not.toContain(ada.workspaceId)

    const now = later()
    const told = await runFrom(unread.unreadLogs, place, { now })
    expect(told.done).toBeGreaterThanOrEqual(1)
    expect(told.lagMs).toBeGreaterThanOrEqual(unread.patience)
    expect(told.lagMs).toBeLessThan(unread.patience + 2 * minute + 30_000)
    const head = await headOf(ada.workspaceId)
    expect(head?.pumped_seq).toBe(0)
    // Sockets are served before the hub answers; its other readers go on behind it.
    const read = async () => (await lanesOf(ada.workspaceId))?.webhooks.seq
    await expect.poll(read, { timeout: 5_000 }).toBe(head?.seq)

    // The hub writes down how far it is: then nothing is to be done any more.
    const pumped = async () => {
      await runDurableObjectAlarm(env.WORKSPACE_HUB.getByName(ada.workspaceId))
      return (await headOf(ada.workspaceId))?.pumped_seq
    }
    await expect.poll(pumped, { timeout: 10_000 }).toBe(head?.seq)
    await runFrom(unread.unreadLogs, place, { now, hubs: noting })
    expect(woken).not.toContain(ada.workspaceId)
  })

  it("goes on past a hub that cannot be reached, and tells of it", async () => {
    const people = await Promise.all([untold(), untold(), untold()])
    const ids = people.map(({ workspaceId }) => workspaceId).sort()
    const woken: string[] = []
    const told = await runFrom(unread.unreadLogs, justBefore(ids[0] as string), {
      now: later(),
      hubs: {
        catchUp: async (id) => {
          if (id === ids[1]) throw new Error("unreachable")
          woken.push(id)
        },
      },
    })
    expect(woken).toEqual(expect.arrayContaining([ids[0], ids[2]]))
    expect(told.done).toBe(woken.length)
    expect(String(told.error)).toContain("unreachable")
  })

  it("looks at a window in each run, wakes no more than it may, and comes around", async () => {
    const nth = (n: number) => `wsp_${String(n).padStart(26, "0")}`
    const rows = Array.from({ length: unread.window + 1_000 }, (_, n) => ({
      workspaceId: nth(n),
      seq: 5,
      // The last ones are unread.
      pumpedSeq: n < unread.window - 600 ? 5 : 4,
    }))
    await insertAll("heads", rows)
    const woken: string[] = []
    const noting = { catchUp: async (id: string) => void woken.push(id) }
    const first = await runFrom(unread.unreadLogs, null, { hubs: noting })
    expect(first).toMatchObject({ examined: unread.window, done: unread.wokenAtMost, trips: 1 })
    expect(first.rowsRead).toBeLessThanOrEqual(bound(unread.window) + 600)
    expect(first.cursor).toBe(nth(unread.window - 600 + unread.wokenAtMost - 1))
    const second = await runFrom(unread.unreadLogs, first.cursor, { hubs: noting })
    expect(second.done).toBe(500)
    const third = await runFrom(unread.unreadLogs, second.cursor, { hubs: noting })
    const fourth = await runFrom(unread.unreadLogs, third.cursor, { hubs: noting })
    // What other tests have left stands behind these.
    expect(fourth.cursor).toBeNull()
    expect(woken.slice(0, 1_600)).toEqual(rows.slice(unread.window - 600).map(({ workspaceId }) => workspaceId))
    await execute("delete from heads where workspace_id < 'wsp_00000001'")
  })

  it("harms nobody when it runs twice at once", async () => {
    const ada = await untold()
    await newTask(ada)
    const now = later()
    await Promise.all([run(unread.unreadLogs, { now }), run(unread.unreadLogs, { now })])
    const head = await headOf(ada.workspaceId)
    const read = async () => (await lanesOf(ada.workspaceId))?.inbox
    await expect.poll(read, { timeout: 5_000 }).toEqual({ seq: head?.seq, failing: null })
    expect((await recordOf("unread-logs"))?.["error"]).toBeNull()
  })
})

describe("the job of expired receipts", () => {
  const { expiredReceipts, window } = receipts
  const keep = async (caller: Caller, key: string) => {
    await caller.post("/api/v1/tasks", { projectId: caller.inboxId, title: "x" }, { "idempotency-key": key })
  }
  const age = (caller: Caller, key: string, ms: number) =>
    execute(
      "update receipts set created_at = created_at - ? where workspace_id = ? and key = ?",
      ms,
      caller.workspaceId,
      key,
    )
  const keysOf = async ({ workspaceId }: Caller) =>
    (await rowsOf<{ key: string }>("select key from receipts where workspace_id = ? order by key", workspaceId)).map(
      ({ key }) => key,
    )

  it("deletes what is older than seven days, and nothing else", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    for (const caller of [ada, eve]) for (const key of ["a", "b", "c"]) await keep(caller, key)
    await age(ada, "a", receiptLife + hour)
    await age(ada, "b", receiptLife - hour)
    const told = await runFrom(expiredReceipts, null)
    expect(told).toMatchObject({ done: 1, cursor: null })
    expect(told.lagMs).toBeGreaterThanOrEqual(hour)
    expect(told.lagMs).toBeLessThan(hour + minute)
    expect([await keysOf(ada), await keysOf(eve)]).toEqual([
      ["b", "c"],
      ["a", "b", "c"],
    ])
    expect(await runFrom(expiredReceipts, null)).toMatchObject({ done: 0, lagMs: 0 })
  })

  it("leaves a receipt that was made anew in that very moment", async () => {
    const ada = await newCaller()
    await keep(ada, "again")
    await age(ada, "again", receiptLife + hour)
    let isRead = false
    const overtaken = between(async (batch) => {
      const isDelete = batch.sql.some((text) => /delete from "?receipts/.test(text))
      if (isDelete && !isRead) {
        isRead = true
        await keep(ada, "again")
      }
      return batch.run()
    })
    expect(await runFrom(expiredReceipts, null, { database: overtaken })).toMatchObject({ done: 0 })
    expect([isRead, await keysOf(ada)]).toEqual([true, ["again"]])
  })

  it("does a window in each run, is resumed where it was killed, and comes to its end", async () => {
    const ada = await newCaller()
    const old = Date.now() - receiptLife - day
    const rows = Array.from({ length: 2 * window + 100 }, (_, n) => ({
      workspaceId: "wsp_0",
      actorId: `usr_${n % 7}`,
      key: String(n),
      fingerprint: "x",
      answer: "empty" as const,
      body: null,
      firstSeq: 1,
      lastSeq: 1,
      commitId: "x",
      createdAt: n % 10 === 0 ? Date.now() : old,
    }))
    await insertAll("receipts", rows)
    await keep(ada, "fresh")
    const dying = between((batch) =>
      batch.sql.some((text) => /delete/.test(text)) ? Promise.reject(new Error("killed")) : batch.run(),
    )
    expect(await run(expiredReceipts, { database: dying })).toMatchObject({ error: "Error: killed", done: 0 })
    expect((await recordOf("expired-receipts"))?.["cursor"]).toBeNull()

    const first = await run(expiredReceipts)
    expect(first).toMatchObject({ examined: window, done: 0.9 * window, error: null })
    expect(first.rowsRead).toBeLessThanOrEqual(2 * bound(window) + 10)
    const second = await run(expiredReceipts)
    expect(second).toMatchObject({ examined: window, done: 0.9 * window })
    const both = await Promise.all([run(expiredReceipts), run(expiredReceipts)])
    expect(both.map(({ error }) => error)).toEqual([null, null])
    const [left] = await rowsOf<{ n: number }>("select count(*) as n from receipts where workspace_id = 'wsp_0'")
    expect(Number(left?.n)).toBe(rows.length / 10)
    expect(await keysOf(ada)).toEqual(["fresh"])
    expect((await recordOf("expired-receipts"))?.["cursor"]).toBeNull()
    await execute("delete from receipts where workspace_id = 'wsp_0'")
  })
})

describe("the job of expired invitations", () => {
  const invited = async (ada: Caller, email = newEmail()) => {
    const answer = await ada.post("/api/v1/invitations", { email, role: "member" })
    return { email, ...((await answer.json()) as { id: string }) }
  }
  const expire = (ada: Caller, id: string) =>
    execute("update invitations set expires_at = 1 where workspace_id = ? and id = ?", ada.workspaceId, id)
  const entered = async (ada: Caller) =>
    (await rowsOf<{ invitation_id: string }>("select * from invitees where workspace_id = ?", ada.workspaceId)).map(
      ({ invitation_id }) => invitation_id,
    )

  it("decides by the invitation, and waits for one that is not there yet", () => {
    const entry = { email: "x", workspaceId: "w", invitationId: "i", createdAt: 1_000 }
    const found = { workspaceId: "w", id: "i", status: "pending" as const, expiresAt: 5_000 }
    expect(uselessSince(entry, found, 4_999)).toBeNull()
    expect(uselessSince(entry, found, 5_000)).toBe(5_000)
    for (const other of [
      undefined,
      { ...found, status: "accepted" as const },
      { ...found, status: "revoked" as const },
    ]) {
      expect(uselessSince(entry, other, 1_000 + hour - 1)).toBeNull()
      expect(uselessSince(entry, other, 1_000 + hour)).toBe(1_000 + hour)
    }
  })

  it("takes out of the directory who cannot accept any more; the invitation stays, and can be sent again", async () => {
    const ada = await newCaller()
    const [old, fresh] = [await invited(ada), await invited(ada)]
    await expire(ada, old.id)
    await execute(
      "insert into invitees (email, workspace_id, invitation_id, created_at) values ('x', ?, 'inv_x', 1)",
      ada.workspaceId,
    )
    expect(await runFrom(expiredInvitations, null)).toMatchObject({ done: 2, cursor: null })
    expect(await entered(ada)).toEqual([fresh.id])
    const listed = await pageIn(await ada.get("/api/v1/invitations"))
    expect(listed.data.map(({ id }) => id)).toEqual([old.id, fresh.id])

    expect((await ada.post(`/api/v1/invitations/${old.id}/mail`)).status).toBe(200)
    expect((await entered(ada)).sort()).toEqual([old.id, fresh.id].sort())
    expect(await runFrom(expiredInvitations, null)).toMatchObject({ done: 0, lagMs: 0 })
  })

  it("leaves an entry whose invitation is sent again in that very moment", async () => {
    const ada = await newCaller()
    const { id } = await invited(ada)
    await expire(ada, id)
    let isSent = false
    const overtaken = between(async (batch) => {
      if (!isSent && batch.sql.some((text) => /delete from "?invitees/.test(text))) {
        isSent = true
        await ada.post(`/api/v1/invitations/${id}/mail`)
      }
      return batch.run()
    })
    await runFrom(expiredInvitations, null, { database: overtaken })
    expect([isSent, await entered(ada)]).toEqual([true, [id]])
  })

  it("does a window in each run, from where the last one ended, twice at once or not", async () => {
    const rows = Array.from({ length: 2_300 }, (_, n) => ({
      email: `0${String(n).padStart(5, "0")}@example.com`,
      workspaceId: newId("workspace"),
      invitationId: newId("invitation"),
      createdAt: 1,
    }))
    await insertAll("invitees", rows)
    const first = await run(expiredInvitations)
    expect(first).toMatchObject({ examined: 1_000, done: 1_000, error: null })
    expect(first.rowsRead).toBeLessThanOrEqual(3 * bound(1_000) + 1_000)
    await Promise.all([run(expiredInvitations), run(expiredInvitations)])
    const last = await run(expiredInvitations)
    expect(last.error).toBeNull()
    expect(await rowsOf("select email from invitees where email < '1'")).toEqual([])
    expect((await recordOf("expired-invitations"))?.["cursor"]).toBeNull()
  })
})

it("an app tells its hubs, so that the job finds nothing to do", async () => {
  const app = await openApp()
  const ada = await newCaller(app)
  await newTask(ada)
  await expect
    .poll(async () => (await hubs.status(ada.workspaceId)).lanes?.inbox.seq ?? 0, { timeout: 5_000 })
    .toBeGreaterThan(0)
})
