import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeAll, describe, expect, it, vi } from "vitest"
import { NotificationPage } from "../../src/contracts/notifications.ts"
import { Reminder, ReminderList } from "../../src/contracts/reminders.ts"
import { remindersPerTask } from "../../src/domain/reminders.ts"
import { HubDatabase } from "../../src/hub/hub-database.ts"
import type { UserHub } from "../../src/hub/user-hub.ts"
import { day, hour, minute, second } from "../../src/lib/time.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  newCaller,
  newProject,
  newTask,
  pointersIn,
  problemIn,
} from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { failingAt, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller
let ben: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
})

const pathOf = (idOrKey: string) => `/api/v1/tasks/${idOrKey}/reminders`
const inFuture = (ms: number) => new Date(Date.now() + ms).toISOString()

async function reminded(caller: Caller, idOrKey: string, input: object) {
  const answer = await caller.post(pathOf(idOrKey), input)
  const text = await answer.text()
  expect(answer.status, text).toBe(201)
  return Reminder.parse(JSON.parse(text))
}

async function remindersOf(caller: Caller, idOrKey: string) {
  const answer = await caller.get(pathOf(idOrKey))
  expect([answer.status, costOf(answer).trips]).toEqual([200, 1])
  return ReminderList.parse(await answer.json()).data
}

const hubOf = ({ userId }: Caller) => env.USER_HUB.getByName(userId)

type Kept = { task_id: string; reminder_id: string; at: number | null; date: string | null; rings_at: number }

/** What somebody's hub watches of a task, once it watches so much. */
const watchedBy = (person: Caller, taskId: string, count: number): Promise<Kept[]> =>
  vi.waitFor(
    async () => {
      const rows = await runInDurableObject(hubOf(person), (_hub: UserHub, { storage }) => {
        const isMade = storage.sql.exec("select 1 from sqlite_master where name = 'watches'").toArray().length > 0
        if (!isMade) return []
        return storage.sql.exec<Kept>("select * from watches where task_id = ? order by rings_at", taskId).toArray()
      })
      expect(rows).toHaveLength(count)
      return rows
    },
    { timeout: 10_000, interval: 50 },
  )

/** What time has told somebody, newest first, once it is so much. */
const toldTo = (person: Caller, count: number) =>
  vi.waitFor(
    async () => {
      const page = NotificationPage.parse(await (await person.get("/api/v1/notifications?limit=200")).json())
      const due = page.data.filter(({ kind }) => kind === "due")
      expect(due).toHaveLength(count)
      return due
    },
    { timeout: 10_000, interval: 50 },
  )

/** Rings now, as if the time had come when it is meant to, and gives what there is to tell then. */
async function ringAt(person: Caller, taskId: string, shift: number) {
  await runInDurableObject(hubOf(person), (_hub: UserHub, { storage }) => {
    storage.sql.exec("update watches set rings_at = rings_at - ? where task_id = ?", shift, taskId)
  })
  await runDurableObjectAlarm(hubOf(person))
}

describe("reminders", () => {
  it("are set, listed and removed by whoever they are for, and told to nobody else", async () => {
    const task = await newTask(ada)
    const at = inFuture(day)
    const fixed = await reminded(ben, task.key, { at })
    const before = await reminded(ben, task.id, { before: "PT90M" })
    expect(fixed).toMatchObject({ taskId: task.id, at, before: null })
    expect(before).toMatchObject({ taskId: task.id, at: null, before: "PT1H30M" })
    expect(await remindersOf(ben, task.key)).toEqual([fixed, before])
    expect(await remindersOf(ada, task.id)).toEqual([])

    await problemIn(await ada.delete(`${pathOf(task.id)}/${fixed.id}`), 404)
    expect((await ben.delete(`${pathOf(task.id)}/${fixed.id}`)).status).toBe(204)
    await problemIn(await ben.delete(`${pathOf(task.id)}/${fixed.id}`), 404)
    expect(await remindersOf(ben, task.id)).toEqual([before])

    const toldOf = async (caller: Caller) =>
      (await eventsOf(caller)).filter(({ type, actorId }) => type.includes("reminder") && actorId === ben.userId)
    expect((await toldOf(ben)).map(({ type, data }) => [type, data.after])).toEqual([
      ["member.reminder_set", { reminderId: fixed.id, taskId: task.id, at, before: null }],
      ["member.reminder_set", { reminderId: before.id, taskId: task.id, at: null, before: "PT1H30M" }],
      ["member.reminder_removed", null],
    ])
    expect(await toldOf(ada)).toEqual([])
    expect((await ada.get(`/api/v1/tasks/${task.id}`)).headers.get("etag")).toBe('"1"')
  })

  const wrong: [string, object, string[]][] = [
    ["neither", {}, ["/at"]],
    ["both", { at: inFuture(day), before: "PT5M" }, ["/at"]],
    ["a time that is over", { at: new Date(Date.now() - second).toISOString() }, ["/at"]],
    ["a time that is none", { at: "tomorrow" }, ["/at"]],
    ["a day", { at: "2099-01-31" }, ["/at"]],
    ["a duration that is none", { before: "30 minutes" }, ["/before"]],
    ["a duration in months", { before: "P1M" }, ["/before"]],
    ["a duration that is too long", { before: "P366D" }, ["/before"]],
    ["a number", { before: 30 }, ["/before"]],
    ["something unknown", { before: "PT5M", who: "me" }, ["/who"]],
  ]
  for (const [what, body, pointers] of wrong) {
    it(`are refused with the field named: ${what}`, async () => {
      const task = await newTask(ada)
      expect(await pointersIn(await ada.post(pathOf(task.id), body))).toEqual(pointers)
      expect(await remindersOf(ada, task.id)).toEqual([])
    })
  }

  it("take seeing the task", async () => {
    const hidden = await newProject(ada, { visibility: "private" })
    const task = await newTask(ada, { projectId: hidden.id })
    const foreign = await newCaller()
    for (const caller of [ben, foreign]) {
      await problemIn(await caller.get(pathOf(task.id)), 404)
      await problemIn(await caller.post(pathOf(task.id), { before: "PT5M" }), 404)
      await problemIn(await caller.delete(`${pathOf(task.id)}/rem_01j00000000000000000000000`), 404)
    }
    for (const name of ["%00", "none"]) await problemIn(await ada.post(pathOf(name), { before: "PT5M" }), 404)
    await problemIn(await ada.delete(`${pathOf(task.id)}/%00`), 404)
  })

  it(`are ${remindersPerTask} a task and person, whoever asks at once, in two round trips`, async () => {
    const task = await newTask(ada)
    for (let n = 1; n < remindersPerTask; n += 1) {
      const answer = await ada.post(pathOf(task.id), { before: `PT${n}M` })
      expect([answer.status, costOf(answer).trips]).toEqual([201, 2])
    }
    const answers = await Promise.all([1, 2].map((n) => ada.post(pathOf(task.id), { before: `P${n}D` })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
    await problemIn(await ada.post(pathOf(task.id), { before: "PT1M" }), 409)
    expect(await remindersOf(ada, task.id)).toHaveLength(remindersPerTask)
    await reminded(ben, task.id, { before: "PT1M" })
  })

  it("are set once by a request that is repeated with its key, or whose answer is lost; and not at all when it fails", async () => {
    const task = await newTask(ada)
    const once = { "idempotency-key": crypto.randomUUID() }
    const body = { at: inFuture(hour) }
    const first = await ada.post(pathOf(task.id), body, once)
    const again = await ada.post(pathOf(task.id), body, once)
    expect(again.status).toBe(201)
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(await again.json()).toEqual(await first.json())
    for (let index = 0; index < 4; index += 1) {
      const failing = ada.through(await openApp({ database: failingAt(index) }))
      await problemIn(await failing.post(pathOf(task.id), body), 500)
    }
    expect(await remindersOf(ada, task.id)).toHaveLength(1)
    const lossy = ada.through(await openApp({ database: losing("after", 1) }))
    expect((await lossy.post(pathOf(task.id), { before: "PT5M" })).status).toBe(201)
    expect(await remindersOf(ada, task.id)).toHaveLength(2)
  })
})

describe("when it is time", () => {
  it("whoever asked is reminded, once, by the clock itself", async () => {
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada, { title: "Call home" })
    const at = inFuture(1_500)
    await reminded(eve, task.id, { at })
    const [told] = await toldTo(eve, 1)
    expect(told).toMatchObject({ task: { id: task.id, title: "Call home" }, actor: null, text: "Reminder" })
    const late = Date.parse(told?.at ?? "") - Date.parse(at)
    expect(told?.seq).toBe(Date.parse(at))
    expect(late).toBeGreaterThanOrEqual(0)
    expect(late).toBeLessThan(5_000)
    await watchedBy(eve, task.id, 0)
    await runDurableObjectAlarm(hubOf(eve))
    await toldTo(eve, 1)
  })

  it("those who do a task are told that it is due, and nobody else", async () => {
    const [eve, fay] = [await joined(ada, "member", "Eve"), await joined(ada, "member", "Fay")]
    const due = inFuture(1_500)
    const task = await newTask(ada, { due: { at: due }, assigneeIds: [eve.userId], title: "Ship" })
    await fay.put(`/api/v1/tasks/${task.id}/follower`)
    const [told] = await toldTo(eve, 1)
    expect(told).toMatchObject({ seq: Date.parse(due), text: due, task: { key: task.key } })
    await toldTo(fay, 0)
    await toldTo(ada, 0)
  })

  it("a reminder follows the due date, and one of before it is over", async () => {
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada)
    await reminded(eve, task.id, { before: "P1D" })
    await watchedBy(eve, task.id, 0)
    const first = Date.now() + 10 * day
    await ada.patch(`/api/v1/tasks/${task.id}`, { due: { at: new Date(first).toISOString() } })
    expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ rings_at: first - day }])
    const second = Date.now() + 20 * day
    await ada.patch(`/api/v1/tasks/${task.id}`, { due: { at: new Date(second).toISOString() } })
    await vi.waitFor(async () => expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ rings_at: second - day }]))

    // An alarm of before, as after a crash of whoever told: it looks, and tells nothing.
    await ringAt(eve, task.id, 30 * day)
    expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ rings_at: second - day }])
    await toldTo(eve, 0)
    // Past already when it was chosen.
    await ada.patch(`/api/v1/tasks/${task.id}`, { due: { at: inFuture(hour) } })
    await watchedBy(eve, task.id, 1)
    await ringAt(eve, task.id, 30 * day)
    await toldTo(eve, 0)
  })

  it("nobody is told of what does not hold any more", async () => {
    const [project, hidden] = [await newProject(ada), await newProject(ada)]
    const due = { at: inFuture(2 * hour) }
    const make = (title: string, projectId = project.id) =>
      newTask(ada, { projectId, title, due, assigneeIds: [ben.userId] })
    const still = await make("Still due")
    const [closed, deleted, reassigned, undue, unseen, muted] = [
      await make("Closed"),
      await make("Deleted"),
      await make("Somebody else's"),
      await make("Not due"),
      await make("Out of sight", hidden.id),
      await make("Silenced"),
    ]
    for (const task of [closed, deleted, reassigned, undue, unseen, muted, still]) await watchedBy(ben, task.id, 1)
    await ada.put(`/api/v1/tasks/${closed.id}/closure`)
    await ada.delete(`/api/v1/tasks/${deleted.id}`)
    await ada.patch(`/api/v1/tasks/${reassigned.id}`, { assigneeIds: [ada.userId] })
    await ada.patch(`/api/v1/tasks/${undue.id}`, { due: null })
    await ada.patch(`/api/v1/projects/${hidden.id}`, { visibility: "private" })
    await ben.put(`/api/v1/tasks/${muted.id}/mute`)

    // The database is set to the moment at which all of it is due.
    const past = Date.now() - minute
    await execute("update tasks set due_at = ? where workspace_id = ? and due_at is not null", past, ada.workspaceId)
    await runInDurableObject(hubOf(ben), (_hub: UserHub, { storage }) => {
      storage.sql.exec("update watches set at = ?, rings_at = ?, since = 0", past, past)
    })
    await runDurableObjectAlarm(hubOf(ben))
    expect((await toldTo(ben, 1)).map(({ task }) => task.title)).toEqual(["Still due"])
    for (const task of [closed, deleted, reassigned, undue, unseen, muted, still]) await watchedBy(ben, task.id, 0)
  })

  it("a closed task that is opened again is due as before", async () => {
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada, { due: { at: inFuture(hour) }, assigneeIds: [eve.userId] })
    await watchedBy(eve, task.id, 1)
    await ada.put(`/api/v1/tasks/${task.id}/closure`)
    await ringAt(eve, task.id, day)
    await watchedBy(eve, task.id, 0)
    await ada.delete(`/api/v1/tasks/${task.id}/closure`)
    await watchedBy(eve, task.id, 1)
  })

  it("a day is meant on one's own clocks, and follows them when they change", async () => {
    const eve = await joined(ada, "member", "Eve")
    await eve.patch("/api/v1/me", { timeZone: "America/New_York" })
    // The day after tomorrow: its morning has begun nowhere.
    const date = inFuture(3 * day).slice(0, 10)
    const task = await newTask(ada, { due: { date }, assigneeIds: [eve.userId] })
    const first = Date.parse(`${date}T09:00:00Z`) - 14 * hour
    expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ date, rings_at: first }])
    expect(await runInDurableObject(hubOf(eve), (_hub, { storage }) => storage.getAlarm())).toBe(first)

    await ringAt(eve, task.id, 4 * day)
    const [inNewYork] = await watchedBy(eve, task.id, 1)
    expect(
      new Intl.DateTimeFormat("sv-SE", { timeZone: "America/New_York", timeStyle: "short", dateStyle: "short" }).format(
        inNewYork?.rings_at,
      ),
    ).toBe(`${date} 09:00`)
    await toldTo(eve, 0)

    await eve.patch("/api/v1/me", { timeZone: "Asia/Tokyo" })
    await vi.waitFor(async () => expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ rings_at: first }]))
    await ringAt(eve, task.id, 4 * day)
    expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ rings_at: Date.parse(`${date}T00:00:00Z`) }])
  })

  it("clocks that change while they are looked at are looked at once more", async () => {
    const eve = await joined(ada, "member", "Eve")
    const date = inFuture(3 * day).slice(0, 10)
    const task = await newTask(ada, { due: { date }, assigneeIds: [eve.userId] })
    await watchedBy(eve, task.id, 1)
    await runInDurableObject(hubOf(eve), async (hub: UserHub, { storage }) => {
      // Near enough for the first to have had it.
      storage.sql.exec("update watches set first_at = 1, rings_at = 1")
      const looking = vi.spyOn(HubDatabase.prototype, "run").mockImplementationOnce(async function (
        this: HubDatabase,
        work,
      ) {
        const found = await this.run(work)
        // What was found is of the old clocks by the time it arrives.
        await execute("update users set time_zone = 'Asia/Tokyo' where id = ?", eve.userId)
        await hub.changeZone()
        return found
      })
      await hub.alarm()
      looking.mockRestore()
    })
    expect(await watchedBy(eve, task.id, 1)).toMatchObject([{ rings_at: Date.parse(`${date}T00:00:00Z`) }])
  })

  it("nothing is told of a workspace that has been deleted", async () => {
    const own = await newCaller()
    const task = await newTask(own)
    const at = inFuture(1_500)
    await reminded(own, task.id, { at })
    await watchedBy(own, task.id, 1)
    expect((await own.delete(`/api/v1/workspaces/${own.workspaceId}`)).status).toBe(204)
    await watchedBy(own, task.id, 0)
    const query = { workspaceId: own.workspaceId, unread: false, before: null, limit: 10 }
    expect(await hubOf(own).listNotifications(query)).toEqual([])
  })

  it("each is told what they want: no inbox, no mail, nothing", async () => {
    const eve = await joined(ada, "member", "Eve")
    await eve.patch("/api/v1/me", { notifications: { due: { inbox: false, email: false } } })
    const task = await newTask(ada)
    await reminded(eve, task.id, { at: inFuture(1_000) })
    await watchedBy(eve, task.id, 1)
    await watchedBy(eve, task.id, 0)
    const made = await runInDurableObject(hubOf(eve), (_hub: UserHub, { storage }) =>
      storage.sql.exec("select name from sqlite_master where name = 'notifications'").toArray(),
    )
    expect(made).toEqual([])
  })

  it("is not missed by an object that was evicted, nor told twice when the alarm rings twice", async () => {
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada)
    const at = Date.now() + 2_000
    await reminded(eve, task.id, { at: new Date(at).toISOString() })
    const [watch] = await watchedBy(eve, task.id, 1)
    await evictDurableObject(hubOf(eve))
    await toldTo(eve, 1)
    // As when it crashed after telling and before forgetting.
    const { workspaceId } = eve
    const [{ id: reminderId } = { id: "" }] = await remindersOf(eve, task.id)
    const watches = [{ reminderId, at, date: null, beforeMs: 0 }]
    expect(watch?.reminder_id).toBe(reminderId)
    await Promise.all([1, 2].map(() => hubOf(eve).notify([], [{ workspaceId, taskId: task.id, since: 0, watches }])))
    await watchedBy(eve, task.id, 0)
    await toldTo(eve, 1)
  })

  it("is tried again when the database does not answer", async () => {
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada)
    const at = Date.now() + hour
    await reminded(eve, task.id, { at: new Date(at).toISOString() })
    await watchedBy(eve, task.id, 1)
    const past = Date.now() - minute
    await execute("update reminders set at = ? where user_id = ?", past, eve.userId)
    const start = Date.now()
    await runInDurableObject(hubOf(eve), async (hub: UserHub, { storage }) => {
      storage.sql.exec("update watches set at = ?, rings_at = ?, since = 0", past, past)
      const inside = hub as unknown as { env: object }
      const { env: real } = inside
      inside.env = { ...real, DB: undefined, HYPERDRIVE: undefined }
      await storage.deleteAlarm()
      await hub.alarm()
      inside.env = real
      expect(await storage.getAlarm()).toBeGreaterThanOrEqual(start + 30 * second)
    })
    await watchedBy(eve, task.id, 1)
    await runDurableObjectAlarm(hubOf(eve))
    await toldTo(eve, 1)
  })

  it("what is watched is told once, however often an entry is read", async () => {
    const eve = await joined(ada, "member", "Eve")
    const task = await newTask(ada, { due: { at: inFuture(hour) }, assigneeIds: [eve.userId] })
    const [watch] = await watchedBy(eve, task.id, 1)
    const watches = [{ reminderId: null, at: watch?.at ?? null, date: null, beforeMs: 0 }]
    const watched = [{ workspaceId: eve.workspaceId, taskId: task.id, since: 0, watches }]
    await Promise.all([1, 2, 3].map(() => hubOf(eve).notify([], watched)))
    // Of what was brought again only that is noted.
    expect(await watchedBy(eve, task.id, 1)).toEqual([{ ...watch, brought: 4 }])
    const [row] = await rowsOf<{ n: number }>("select count(*) as n from reminders where user_id = ?", eve.userId)
    expect(Number(row?.n)).toBe(0)
  })
})
