import { createScheduledController, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { JobList, JobRun } from "../../src/contracts/operator.ts"
import { receiptLife } from "../../src/db/commit.ts"
import { expiredEntryLife } from "../../src/domain/invitations.ts"
import { parseSettings } from "../../src/env.ts"
import * as purging from "../../src/events/jobs/deleted-workspaces.ts"
import * as digests from "../../src/events/jobs/digests.ts"
import { expiredInvitations, uselessSince } from "../../src/events/jobs/expired-invitations.ts"
import * as receipts from "../../src/events/jobs/expired-receipts.ts"
import type { Job } from "../../src/events/jobs/job.ts"
import { jobNames } from "../../src/events/jobs/job.ts"
import { jobs, runJobs } from "../../src/events/jobs/run.ts"
import * as unread from "../../src/events/jobs/unread-logs.ts"
import type { UserHub } from "../../src/hub/user-hub.ts"
import { newId } from "../../src/lib/ids.ts"
import { day, hour, minute } from "../../src/lib/time.ts"
import worker from "../../src/worker.ts"
import { openApp } from "../support/app.ts"
import { type Caller, newAddress, newCaller, newTask, pageIn, password } from "../support/caller.ts"
import { database, execute, isPostgres, rowsOf } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { aside, hubs, inboxes, justBefore, run, runFrom, untold } from "../support/jobs.ts"
import { insertAll, seedTasks } from "../support/seed.ts"
import { fillWorkspace, ofWorkspaces, rowsLeft } from "../support/whole-workspace.ts"

// On Postgres all tests share a database, and jobs are about all that is in it: so what runs them for real is in this one
// file, and each test looks at a place of its own, under a name or a clock of its own.

const recordOf = async ({ name }: Pick<Job, "name">) =>
  (await rowsOf<Record<string, unknown>>("select * from jobs where name = ?", name))[0]

/** What reads that many rows may cost: on D1 an entry of an index and its row. */
const bound = (rows: number) => (isPostgres ? rows : 2 * rows)

describe("a job", () => {
  const ending = (cursor: string | null, job: Job): Job => ({
    ...job,
    run: async () => ({ cursor, examined: 3, done: 2, lagMs: 1 }),
  })
  const failing = (job: Job): Job => ({ ...job, run: () => Promise.reject(new Error("broken for ada@example.com")) })

  it("is recorded: when, how long, how much, how late, and where the next run goes on", async () => {
    const now = Date.now()
    const job = await aside(unread.unreadLogs)
    const told = await run(ending("here", job), { now })
    expect(told).toMatchObject({ name: job.name, startedAt: now, examined: 3, done: 2, lagMs: 1, error: null })
    expect(await recordOf(job)).toMatchObject({ cursor: "here", started_at: now, done: 2, error: null })
  })

  it("that fails is recorded with what failed, and goes on from where it was", async () => {
    const job = await aside(unread.unreadLogs, "here")
    const told = await run(failing(job))
    expect(told.error).toBe("Error: broken for [e-mail]")
    expect(await recordOf(job)).toMatchObject({ cursor: "here", done: 0, error: told.error })
  })

  it("that was overtaken does not overwrite what the later one has recorded", async () => {
    const now = Date.now()
    const job = await aside(unread.unreadLogs)
    await run(ending("late", job), { now })
    await run(ending("early", job), { now: now - minute })
    expect(await recordOf(job)).toMatchObject({ cursor: "late", started_at: now })
  })

  it("is run by the clock with all others, each on its own, whatever becomes of one", async () => {
    const since = Date.now()
    await worker.scheduled(createScheduledController(), env)
    expect(jobs.map(({ name }) => name)).toEqual(jobNames)
    for (const job of jobs) {
      const record = await recordOf(job)
      expect(record).toMatchObject({ error: null })
      expect(Number(record?.["started_at"])).toBeGreaterThanOrEqual(since)
    }
    const [broken, fine] = [await aside(unread.unreadLogs), await aside(unread.unreadLogs)]
    await runJobs({ database, hubs, inboxes, now: Date.now, settings: { READ_ONLY: false } }, [
      failing(broken),
      ending("x", fine),
    ])
    expect(await recordOf(broken)).toMatchObject({ error: "Error: broken for [e-mail]" })
    expect(await recordOf(fine)).toMatchObject({ cursor: "x", error: null })
  })

  it("does not run while the instance is read-only", async () => {
    const job = await aside(unread.unreadLogs)
    await runJobs({ database, hubs, inboxes, now: Date.now, settings: { READ_ONLY: true } }, [ending("x", job)])
    expect(await recordOf(job)).toMatchObject({ cursor: null, started_at: 0 })
  })

  it("is listed for operators with its last run, without where it is, and is run by hand", async () => {
    const app = await openApp({ settings: { ...parseSettings(env), OPERATOR_TOKEN: operatorToken } })
    const headers = { authorization: `Bearer ${operatorToken}` }
    const list = async () => {
      const answer = await app.fetch("/api/v1/operator/jobs", { headers })
      const text = await answer.text()
      expect(text).not.toContain("cursor")
      return JobList.parse(JSON.parse(text)).data
    }
    expect((await list()).map(({ name }) => name)).toEqual(jobNames)
    for (const name of jobNames) {
      const answer = await app.fetch(`/api/v1/operator/jobs/${name}/runs`, { method: "POST", headers })
      const told = JobRun.parse(await answer.json())
      expect([answer.status, told.error]).toEqual([200, null])
      expect((await list()).find((job) => job.name === name)?.lastRun).toEqual(told)
    }
  })
})

const operatorToken = `operator-${crypto.randomUUID()}`

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

  it("looks at a window in each run, wakes no more than it may, and goes on behind it", async () => {
    const nth = (n: number) => `wsp_00aa${String(n).padStart(22, "0")}`
    const isRead = (n: number) => n < unread.window - 600
    const rows = Array.from({ length: unread.window + 1_000 }, (_, n) => ({
      workspaceId: nth(n),
      seq: 5,
      pumpedSeq: isRead(n) ? 5 : 4,
    }))
    await insertAll("heads", rows)
    const woken: string[] = []
    const noting = { catchUp: async (id: string) => void woken.push(id) }
    const first = await runFrom(unread.unreadLogs, "wsp_00aa", { hubs: noting })
    expect(first).toMatchObject({ examined: unread.window, done: unread.wokenAtMost, trips: 1 })
    expect(first.rowsRead).toBeLessThanOrEqual(bound(unread.window) + 600)
    expect(first.cursor).toBe(nth(unread.window - 600 + unread.wokenAtMost - 1))
    for (let cursor = first.cursor; cursor !== null && cursor < nth(rows.length - 1); ) {
      cursor = (await runFrom(unread.unreadLogs, cursor, { hubs: noting })).cursor
    }
    expect(woken.filter((id) => id.startsWith("wsp_00aa"))).toEqual(
      rows.filter((_row, n) => !isRead(n)).map(({ workspaceId }) => workspaceId),
    )
    await execute("delete from heads where workspace_id < 'wsp_00ab'")
  })

  it("harms nobody when it runs twice at once", async () => {
    const ada = await untold()
    await newTask(ada)
    const now = later()
    const job = await aside(unread.unreadLogs, justBefore(ada.workspaceId))
    await Promise.all([run(job, { now }), run(job, { now })])
    const head = await headOf(ada.workspaceId)
    const read = async () => (await lanesOf(ada.workspaceId))?.inbox
    await expect.poll(read, { timeout: 5_000 }).toEqual({ seq: head?.seq, failing: null })
    expect(await recordOf(job)).toMatchObject({ error: null, cursor: null })
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

  const placeOf = ({ workspaceId }: Caller) => JSON.stringify([justBefore(workspaceId), "", ""])

  it("deletes what is older than seven days, and nothing else", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    for (const caller of [ada, eve]) for (const key of ["a", "b", "c"]) await keep(caller, key)
    await age(ada, "a", receiptLife + hour)
    await age(ada, "b", receiptLife - hour)
    const told = await runFrom(expiredReceipts, placeOf(ada))
    expect(told.done).toBe(1)
    expect(told.lagMs).toBeGreaterThanOrEqual(hour)
    expect(told.lagMs).toBeLessThan(hour + minute)
    expect([await keysOf(ada), await keysOf(eve)]).toEqual([
      ["b", "c"],
      ["a", "b", "c"],
    ])
    expect(await runFrom(expiredReceipts, placeOf(ada))).toMatchObject({ done: 0, lagMs: 0 })
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
    expect(await runFrom(expiredReceipts, placeOf(ada), { database: overtaken })).toMatchObject({ done: 0 })
    expect([isRead, await keysOf(ada)]).toEqual([true, ["again"]])
  })

  it("does a window in each run, is resumed where it was killed, and comes to its end", async () => {
    const workspaceId = "wsp_00aa"
    const old = Date.now() - receiptLife - day
    const rows = Array.from({ length: 2 * window + 100 }, (_, n) => ({
      workspaceId,
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
    const begin = JSON.stringify(["wsp_00a", "", ""])
    const job = await aside(expiredReceipts, begin)
    const dying = between((batch) =>
      batch.sql.some((text) => /delete/.test(text)) ? Promise.reject(new Error("killed")) : batch.run(),
    )
    expect(await run(job, { database: dying })).toMatchObject({ error: "Error: killed", done: 0 })
    expect(await recordOf(job)).toMatchObject({ cursor: begin })

    const first = await run(job)
    expect(first).toMatchObject({ examined: window, error: null })
    // What it looked at, and again what it deleted, each with an entry of the key.
    expect(first.rowsRead).toBeLessThanOrEqual(2 * bound(window) + 50)
    const second = await run(job)
    expect(second.examined).toBe(window)
    const both = await Promise.all([run(job), run(job)])
    expect(both.map(({ error }) => error)).toEqual([null, null])
    const [left] = await rowsOf<{ n: number }>("select count(*) as n from receipts where workspace_id = ?", workspaceId)
    expect([Number(left?.n), first.done + second.done > 1.7 * window]).toEqual([rows.length / 10, true])
    await execute("delete from receipts where workspace_id = ?", workspaceId)
  })
})

describe("the job of expired invitations", () => {
  // Addresses that sort behind those of all others.
  const invited = async (ada: Caller, email = `zz-${crypto.randomUUID()}@example.com`) => {
    const answer = await ada.post("/api/v1/invitations", { email, role: "member" })
    return { email, ...((await answer.json()) as { id: string }) }
  }
  const behind = JSON.stringify(["zz-", "", ""])
  const expire = (ada: Caller, id: string) =>
    execute("update invitations set expires_at = 1 where workspace_id = ? and id = ?", ada.workspaceId, id)
  const entered = async (ada: Caller) =>
    (await rowsOf<{ invitation_id: string }>("select * from invitees where workspace_id = ?", ada.workspaceId)).map(
      ({ invitation_id }) => invitation_id,
    )

  it("decides by the invitation, and waits for one that is not there yet", () => {
    const entry = { email: "x", workspaceId: "w", invitationId: "i", createdAt: 1_000 }
    const found = { workspaceId: "w", id: "i", status: "pending" as const, expiresAt: 5_000 }
    expect(uselessSince(entry, found, 5_000 + expiredEntryLife - 1)).toBeNull()
    expect(uselessSince(entry, found, 5_000 + expiredEntryLife)).toBe(5_000 + expiredEntryLife)
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
      "insert into invitees (email, workspace_id, invitation_id, created_at) values (?, ?, 'inv_x', 1)",
      `zz-${crypto.randomUUID()}@example.com`,
      ada.workspaceId,
    )
    expect(await runFrom(expiredInvitations, behind)).toMatchObject({ examined: 3, done: 2, cursor: null })
    expect(await entered(ada)).toEqual([fresh.id])
    const listed = await pageIn(await ada.get("/api/v1/invitations"))
    expect(listed.data.map(({ id }) => id)).toEqual([old.id, fresh.id])

    expect((await ada.post(`/api/v1/invitations/${old.id}/mail`)).status).toBe(200)
    expect((await entered(ada)).sort()).toEqual([old.id, fresh.id].sort())
    expect(await runFrom(expiredInvitations, behind)).toMatchObject({ done: 0, lagMs: 0 })
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
    await runFrom(expiredInvitations, behind, { database: overtaken })
    expect([isSent, await entered(ada)]).toEqual([true, [id]])
  })

  it("does a window in each run, from where the last one ended, twice at once or not", async () => {
    const rows = Array.from({ length: 2_300 }, (_, n) => ({
      email: `00aa${String(n).padStart(5, "0")}@example.com`,
      workspaceId: newId("workspace"),
      invitationId: newId("invitation"),
      createdAt: 1,
    }))
    await insertAll("invitees", rows)
    const job = await aside(expiredInvitations, JSON.stringify(["00a", "", ""]))
    const first = await run(job)
    expect(first).toMatchObject({ examined: 1_000, done: 1_000, error: null })
    expect(first.rowsRead).toBeLessThanOrEqual(3 * bound(1_000) + 1_050)
    const [second, third] = await Promise.all([run(job), run(job)])
    expect([second?.error, third?.error]).toEqual([null, null])
    expect((await run(job)).error).toBeNull()
    expect(await rowsOf("select email from invitees where email < '00ab'")).toEqual([])
  })
})

const { deletedWorkspaces, purgedAfter } = purging
// By a clock of their own, so that nobody else finds these workspaces, and this clock finds nobody else's: see fillWorkspace.
const then = Date.now() + 3_650 * day
const longAgo = () => then - purgedAfter - day

const purgeAll = async (first: string, limit = 40) => {
  const runs = []
  for (let cursor: string | null = justBefore(first); runs.length < limit; ) {
    const told = await runFrom(deletedWorkspaces, cursor, { now: then })
    runs.push(told)
    if (told.error) throw told.error
    if (told.done === 0) return runs
    cursor = told.cursor ?? justBefore(first)
  }
  throw new Error("No end")
}

describe("the job of deleted workspaces", () => {
  it("leaves nothing of one whose time is over, in any table, and everything of every other one", async () => {
    const [gone, other, deleted] = [
      await fillWorkspace(longAgo()),
      await fillWorkspace(null),
      await fillWorkspace(then - 30 * day),
    ]
    const full = await rowsLeft(gone.workspaceId)
    expect(Object.keys(full).sort()).toEqual([...ofWorkspaces.map(({ name }) => name), "workspaces"].sort())

    const told = await runFrom(deletedWorkspaces, justBefore(gone.workspaceId), { now: then })
    expect(told).toMatchObject({ cursor: null, done: Object.keys(full).length - 2 })
    expect(told.error).toBeUndefined()
    expect(told.lagMs).toBeGreaterThanOrEqual(day)
    expect(told.lagMs).toBeLessThan(day + 60_000)
    expect(await rowsLeft(gone.workspaceId)).toEqual({})
    for (const { workspaceId } of [other, deleted]) expect(await rowsLeft(workspaceId)).toEqual(full)
    expect(await runFrom(deletedWorkspaces, justBefore(gone.workspaceId), { now: then })).toMatchObject({
      done: 0,
      lagMs: 0,
    })
  })

  it("believes the workspace, and the directory only where there is no workspace any more", async () => {
    const [restored, left, halfGone] = [
      await fillWorkspace(null),
      await fillWorkspace(longAgo()),
      await fillWorkspace(longAgo()),
    ]
    await execute("update workspaces set deleted_at = 1 where id = ?", restored.workspaceId)
    await execute("update workspaces set deleted_at = null where id = ?", left.workspaceId)
    await execute("delete from profiles where workspace_id = ?", halfGone.workspaceId)
    await runFrom(deletedWorkspaces, justBefore(restored.workspaceId), { now: then })
    expect(Object.keys(await rowsLeft(restored.workspaceId)).length).toBe(ofWorkspaces.length + 1)
    expect(await rowsLeft(left.workspaceId)).toEqual({})
    expect(await rowsLeft(halfGone.workspaceId)).toEqual({})
  })

  it("takes a large one away in bounded parts, and comes to the next one", async () => {
    const [large, next] = [await fillWorkspace(longAgo()), await fillWorkspace(longAgo())]
    const inboxId = `${large.workspaceId} projects`
    await seedTasks({ ...large, inboxId } as never, 12_000)
    const runs = await purgeAll(large.workspaceId)
    const done = runs.map((each) => each.done)
    expect(Math.max(...done)).toBeLessThanOrEqual(purging.budget)
    expect(runs.length).toBeGreaterThanOrEqual(4)
    expect(Math.max(...runs.map(({ trips }) => trips))).toBeLessThanOrEqual(130)
    expect([await rowsLeft(large.workspaceId), await rowsLeft(next.workspaceId)]).toEqual([{}, {}])
  })

  it("takes what people were told there out of their inboxes, and nothing else; before it forgets who they are", async () => {
    const [gone, kept] = [await fillWorkspace(longAgo()), newId("workspace")]
    const [member] = await rowsOf<{ user_id: string }>(
      "select user_id from members where workspace_id = ?",
      gone.workspaceId,
    )
    const hub = env.USER_HUB.getByName(String(member?.user_id))
    const told = { kind: "assigned", seq: 1, projectId: "prj", taskId: "tsk", taskKey: "A-1", title: "Secret" } as const
    const news = { ...told, actorId: null, actorName: null, text: "", at: 1, inbox: true, mailAt: null }
    const watches = [{ reminderId: null, at: then, date: null, beforeMs: 0 }]
    for (const workspaceId of [gone.workspaceId, kept]) {
      await hub.notify([{ ...news, workspaceId }], [{ workspaceId, taskId: "tsk", since: 0, watches }])
    }
    const from = justBefore(gone.workspaceId)
    const away = { forget: () => Promise.reject(new Error("unreachable")) }
    expect((await runFrom(deletedWorkspaces, from, { now: then, inboxes: away })).error).toBeDefined()
    expect(await rowsLeft(gone.workspaceId)).toHaveProperty("members")

    await runFrom(deletedWorkspaces, from, { now: then })
    expect(await rowsLeft(gone.workspaceId)).toEqual({})
    const left = await runInDurableObject(hub, async (_hub, { storage }) =>
      storage.sql
        .exec("select workspace_id from notifications union all select workspace_id from watches")
        .toArray()
        .map(({ workspace_id: id }) => id),
    )
    expect(left).toEqual([kept, kept])
  })

  it("is resumed when it is killed, at whichever statement that was", async () => {
    const survived: number[] = []
    for (let at = 0; at < 40; at += 3) {
      const { workspaceId } = await fillWorkspace(longAgo())
      let writes = 0
      const dying = between((batch) => {
        if (batch.sql.some((text) => /^\s*(delete|update)/i.test(text))) writes += 1
        return writes > at ? Promise.reject(new Error("killed")) : batch.run()
      })
      const told = await runFrom(deletedWorkspaces, justBefore(workspaceId), { database: dying, now: then })
      if (told.error) {
        // As long as anything is left, the directory has it, and the next run finds it.
        const left = await rowsLeft(workspaceId)
        expect(left).toHaveProperty("workspaces")
        survived.push(Object.keys(left).length)
      }
      await runFrom(deletedWorkspaces, justBefore(workspaceId), { now: then })
      expect(await rowsLeft(workspaceId), `killed at ${at}`).toEqual({})
    }
    // It was killed in the middle, too, and not only before anything was done.
    expect(survived.length).toBeGreaterThan(5)
    expect(Math.min(...survived)).toBeLessThan(8)
  })

  it("harms nobody when it runs twice at once", async () => {
    const all = await Promise.all([1, 2, 3].map(() => fillWorkspace(longAgo())))
    const first = all.map(({ workspaceId }) => workspaceId).sort()[0] as string
    const job = await aside(deletedWorkspaces, justBefore(first))
    const runs = await Promise.all([run(job, { now: then }), run(job, { now: then })])
    expect(runs.map(({ error }) => error)).toEqual([null, null])
    for (const { workspaceId } of all) expect(await rowsLeft(workspaceId)).toEqual({})
  })

  it("goes on past one that fails, and tells of it", async () => {
    const all = [await fillWorkspace(longAgo()), await fillWorkspace(longAgo())]
    const [broken, fine] = all as [(typeof all)[number], (typeof all)[number]]
    const told = await runFrom(deletedWorkspaces, justBefore(broken.workspaceId), {
      now: then,
      hubs: {
        forget: (id) => (id === broken.workspaceId ? Promise.reject(new Error("unreachable")) : hubs.forget(id)),
      },
    })
    expect(String(told.error)).toContain("unreachable")
    expect(await rowsLeft(fine.workspaceId)).toEqual({})
    expect(await rowsLeft(broken.workspaceId)).toEqual({ workspaces: 1 })
    await runFrom(deletedWorkspaces, justBefore(broken.workspaceId), { now: then })
    expect(await rowsLeft(broken.workspaceId)).toEqual({})
  })

  it("does away with what its hub has stored", async () => {
    const ada = await newCaller()
    await newTask(ada)
    await hubs.catchUp(ada.workspaceId)
    const hub = env.WORKSPACE_HUB.getByName(ada.workspaceId)
    const stored = () =>
      runInDurableObject(hub, async (_hub, { storage }) => ({
        tables: storage.sql.exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'").toArray()
          .length,
        alarm: (await storage.getAlarm()) !== null,
      }))
    // Cursors are stored within the second.
    await expect.poll(async () => (await stored()).tables, { timeout: 5_000 }).toBeGreaterThan(0)
    expect((await stored()).alarm).toBe(true)
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    await execute("update profiles set deleted_at = 1 where workspace_id = ?", ada.workspaceId)
    // The deletion itself is told after its answer.
    await expect.poll(async () => (await hubs.status(ada.workspaceId)).lanes?.inbox.seq ?? 0).toBeGreaterThan(2)
    await runFrom(deletedWorkspaces, justBefore(ada.workspaceId))
    expect(await rowsLeft(ada.workspaceId)).toEqual({})
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(await stored()).toEqual({ tables: 0, alarm: false })
    expect(await hubs.status(ada.workspaceId)).toEqual({ lanes: null, parked: [] })
  })

  it("lets whoever made it sign in, at any moment of it, and brings nothing back", async () => {
    const ada = await newCaller()
    const login = () =>
      ada.app.fetch("/api/v1/auth/login", {
        method: "POST",
        headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
        body: JSON.stringify({ email: ada.email, password }),
      })
    await ada.delete(`/api/v1/workspaces/${ada.workspaceId}`)
    await execute("update profiles set deleted_at = 1 where workspace_id = ?", ada.workspaceId)
    let times = 0
    const meeting = between(async (batch) => {
      const found = await batch.run()
      if (batch.sql.some((text) => /^\s*delete/i.test(text))) {
        times += 1
        expect((await login()).status).toBe(200)
        const refreshed = await ada.app.fetch("/api/v1/auth/refresh", {
          method: "POST",
          headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
          body: JSON.stringify({ refreshToken: ada.refreshToken }),
        })
        expect([200, 401]).toContain(refreshed.status)
      }
      return found
    })
    const told = await runFrom(deletedWorkspaces, justBefore(ada.workspaceId), { database: meeting })
    expect(told.error).toBeUndefined()
    expect(times).toBeGreaterThan(3)
    expect(await rowsLeft(ada.workspaceId)).toEqual({})
    const mine = await rowsOf("select workspace_id from memberships where user_id = ?", ada.userId)
    expect(mine).toHaveLength(1)
  })

  it("looks at a window of the directory in each run", async () => {
    const rows = Array.from({ length: purging.window + 50 }, (_, n) => ({
      id: `wsp_00aa${String(n).padStart(22, "0")}`,
      name: "window",
      inboxId: "x",
      createdBy: "x",
      createdAt: 1,
      deletedAt: null,
    }))
    await insertAll("workspaces", rows)
    const first = await runFrom(deletedWorkspaces, "wsp_00aa")
    expect(first).toMatchObject({ examined: purging.window, done: 0, cursor: rows[purging.window - 1]?.id })
    expect(first.rowsRead).toBeLessThanOrEqual(5 * purging.window)
    const second = await runFrom(deletedWorkspaces, first.cursor)
    expect(second.examined).toBeGreaterThanOrEqual(50)
    await execute("delete from workspaces where name = 'window'")
  })
})

describe("the job of digests", () => {
  const hubOf = (userId: string) => env.USER_HUB.getByName(userId)

  /** Somebody who has one notification to be mailed with the next digest. */
  async function waiting(rhythm: "daily" | "at_once"): Promise<Caller> {
    const ada = await newCaller()
    await execute("update users set email_verified_at = 1 where id = ?", ada.userId)
    await ada.patch("/api/v1/me", { mail: rhythm })
    const task = await newTask(ada)
    await hubOf(ada.userId).notify([
      {
        workspaceId: ada.workspaceId,
        kind: "assigned",
        seq: 1,
        projectId: ada.inboxId,
        taskId: task.id,
        taskKey: task.key,
        title: "Owed",
        actorId: null,
        actorName: null,
        text: "",
        at: Date.now(),
        inbox: true,
        mailAt: Date.now() + hour,
      },
    ])
    return ada
  }

  it("has sent what an alarm has failed to send, tells how late it was, and finds nothing the next time", async () => {
    const ada = await waiting("daily")
    const place = justBefore(ada.userId)
    expect(await runFrom(digests.digests, place)).toMatchObject({ done: 0, lagMs: 0 })
    const isOwed = () =>
      runInDurableObject(hubOf(ada.userId), async (_hub: UserHub, { storage }) => {
        await storage.deleteAlarm()
        storage.sql.exec("update notifications set mail_at = ?", Date.now() - minute)
      })
    await isOwed()
    const late = await runFrom(digests.digests, place)
    expect(late).toMatchObject({ done: 1 })
    expect(late.error).toBeUndefined()
    expect(late.lagMs).toBeGreaterThanOrEqual(minute)
    await expect
      .poll(
        () =>
          runInDurableObject(hubOf(ada.userId), (_hub: UserHub, { storage }) =>
            storage.sql.exec("select count(*) as n from notifications where mail_at is not null").one(),
          ),
        { timeout: 10_000 },
      )
      .toEqual({ n: 0 })
    expect(await runFrom(digests.digests, place)).toMatchObject({ done: 0, lagMs: 0 })
  })

  it("asks those whose mail is gathered, as many as it may, and goes on behind them; one that fails keeps no other", async () => {
    const now = { emailVerifiedAt: 1, name: "digest window", timeZone: "UTC", revision: 1, createdAt: 1, updatedAt: 1 }
    const ids = Array.from({ length: 60 }, (_, n) => `usr_00aa${String(n).padStart(22, "0")}`)
    const settings = [{ mail: "hourly" }, { mail: "at_once" }, {}]
    await insertAll(
      "users",
      ids.map((id, n) => ({ ...now, id, email: `${id}@example.com`, settings: settings[n % 3] ?? {} })),
    )
    const asked: string[] = []
    const asking = {
      sendOwedMail: async (id: string) => {
        asked.push(id)
        if (asked.length === 1) throw new Error("out of order")
        return null
      },
    }
    const first = await runFrom(digests.digests, "usr_00aa", { inboxes: asking })
    expect(asked.toSorted()).toEqual(ids.filter((_id, n) => n % 3 === 0).slice(0, digests.askedAtMost))
    expect(first.error).toMatchObject({ message: "out of order" })
    expect(first.trips).toBe(1)
    await execute("update users set settings = ? where id = ?", '{"mail":"daily"}', ids[1] ?? "")
    asked.length = 1
    const second = await runFrom(digests.digests, "usr_00aa", { inboxes: asking })
    expect(second.cursor).toBe(ids[54])
    await execute("delete from users where name = 'digest window'")
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
