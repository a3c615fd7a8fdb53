import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import { NotificationPage, type NotificationView, UnreadCount } from "../../src/contracts/notifications.ts"
import type { LogEntry } from "../../src/db/commit.ts"
import { concernOf, kindFor } from "../../src/domain/concerns.ts"
import { mailTime } from "../../src/domain/mail-time.ts"
import type { News } from "../../src/domain/notifications.ts"
import { keptAtMost } from "../../src/hub/inbox.ts"
import { newId } from "../../src/lib/ids.ts"
import { hour, minute } from "../../src/lib/time.ts"
import { keptMessages } from "../../src/mail/embedded-mail.ts"
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
import { joined } from "../support/people.ts"

const inboxOf = async (person: Caller, query = ""): Promise<NotificationView[]> => {
  const answer = await person.get(`/api/v1/notifications${query}`)
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  return NotificationPage.parse(JSON.parse(text)).data
}

const unreadOf = async (person: Caller) =>
  UnreadCount.parse(await (await person.get("/api/v1/notifications/unread")).json())

/** What somebody has been told, once there are so many; newest first. */
const toldTo = (person: Caller, count: number): Promise<string[]> =>
  vi.waitFor(
    async () => {
      const told = (await inboxOf(person)).map(({ kind, task }) => `${kind} ${task.key}`)
      expect(told).toHaveLength(count)
      return told
    },
    { timeout: 10_000, interval: 50 },
  )

const comment = (by: Caller, task: { id: string }, body: string) =>
  by.post(`/api/v1/tasks/${task.id}/comments`, { body })

/** Into a project that those who did the task may not see. */
async function moveTo(by: Caller, { id }: { id: string }, project: { id: string }) {
  await by.patch(`/api/v1/tasks/${id}`, { assigneeIds: [] })
  expect((await by.put(`/api/v1/tasks/${id}/project`, { projectId: project.id })).status).toBe(200)
}

const hubOf = ({ userId }: Caller) => env.USER_HUB.getByName(userId)

async function team() {
  const ada = await newCaller()
  const bob = await joined(ada, "member", "Bob")
  const cid = await joined(ada, "member", "Cid")
  return { ada, bob, cid, project: await newProject(ada) }
}

describe("what somebody is told", () => {
  it("is that they were assigned, mentioned, and what happens to what they follow or do", async () => {
    const { ada, bob, cid, project } = await team()
    const task = await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId], title: "Ship it" })
    await cid.put(`/api/v1/tasks/${task.id}/follower`)
    await comment(ada, task, `Look, @[Cid](${cid.userId})`)
    await comment(cid, task, "I do")
    await ada.put(`/api/v1/tasks/${task.id}/closure`)

    const key = task.key
    expect(await toldTo(bob, 4)).toEqual([`closed ${key}`, `commented ${key}`, `commented ${key}`, `assigned ${key}`])
    expect(await toldTo(cid, 2)).toEqual([`closed ${key}`, `mentioned ${key}`])
    expect(await inboxOf(ada)).toEqual([])
    const [, mentioned] = await inboxOf(cid)
    const log = await eventsOf(ada)
    expect(mentioned).toMatchObject({
      seq: log.find(({ type }) => type === "comment.created")?.seq,
      task: { id: task.id, key, title: "Ship it" },
      actor: { id: ada.userId, name: "Ada" },
      text: `Look, @[Cid](${cid.userId})`,
      readAt: null,
    })
  })

  it("is new tasks and comments of a project that they follow", async () => {
    const { ada, bob, project } = await team()
    await bob.put(`/api/v1/projects/${project.id}/follower`)
    const task = await newTask(ada, { projectId: project.id })
    await comment(ada, task, "First")
    expect(await toldTo(bob, 2)).toEqual([`commented ${task.key}`, `created ${task.key}`])
    await bob.delete(`/api/v1/projects/${project.id}/follower`)
    await comment(ada, task, "Second")
    const last = await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId] })
    expect(await toldTo(bob, 3)).toContain(`assigned ${last.key}`)
  })

  it("is nothing of what they have silenced, cannot see, or do not want to hear of", async () => {
    const { ada, bob, cid, project } = await team()
    const [quiet, off, hidden, loud] = [
      await newTask(ada, { projectId: project.id, title: "Quiet" }),
      await newTask(ada, { projectId: project.id, title: "Unwanted kind" }),
      await newTask(ada, { title: "Hidden later" }),
      await newTask(ada, { projectId: project.id, title: "Loud" }),
    ]
    for (const { id } of [quiet, off, hidden, loud]) await bob.put(`/api/v1/tasks/${id}/follower`)
    await bob.put(`/api/v1/tasks/${quiet.id}/mute`)
    await bob.patch("/api/v1/me", { notifications: { closed: { inbox: false, email: false } } })
    await ada.patch(`/api/v1/projects/${ada.inboxId}`, { visibility: "private" })
    await comment(ada, quiet, "Psst")
    await ada.put(`/api/v1/tasks/${off.id}/closure`)
    await comment(ada, hidden, "Secret")
    await comment(ada, loud, "Hello")
    expect(await toldTo(bob, 1)).toEqual([`commented ${loud.key}`])

    await bob.put(`/api/v1/projects/${project.id}/mute`)
    await comment(ada, loud, "Nobody hears")
    // What they want when the log is read is what counts: until somebody else has been told, nothing changes.
    await newTask(ada, { projectId: project.id, assigneeIds: [cid.userId] })
    await toldTo(cid, 1)
    await bob.delete(`/api/v1/projects/${project.id}/mute`)
    await bob.delete(`/api/v1/tasks/${quiet.id}/mute`)
    await comment(ada, quiet, "Now")
    expect(await toldTo(bob, 2)).toEqual([`commented ${quiet.key}`, `commented ${loud.key}`])
  })

  it("is one thing per entry and person, the nearest to them", () => {
    const entry = {
      seq: 1,
      type: "comment.created",
      subjectId: "com",
      actorId: "usr_a",
      data: { before: null, after: { taskId: "tsk", body: "x", mentionIds: ["usr_b", "usr_a"] } },
    } as unknown as LogEntry
    const concern = concernOf(entry)
    if (!concern) throw new Error("It concerns somebody")
    const [ofTask, ofProject] = [new Set(["usr_b", "usr_c", "usr_a"]), new Set(["usr_c", "usr_d"])]
    const kinds = ["usr_a", "usr_b", "usr_c", "usr_d", "usr_e"].map((userId) =>
      kindFor(userId, concern, { task: ofTask.has(userId), project: ofProject.has(userId) }),
    )
    expect(kinds).toEqual([null, "mentioned", "commented", "commented", null])
  })
})

describe("following and silencing", () => {
  it("takes two round trips, and changes nothing where it is so already", async () => {
    const { ada, bob, project } = await team()
    const task = await newTask(ada, { projectId: project.id })
    const places = [
      `/api/v1/projects/${project.id}/follower`,
      `/api/v1/projects/${project.id}/mute`,
      `/api/v1/tasks/${task.key}/mute`,
    ]
    const before = (await eventsOf(bob)).length
    for (const path of places) {
      const costs = [await bob.put(path), await bob.put(path), await bob.delete(path), await bob.delete(path)].map(
        costOf,
      )
      expect(costs.map(({ trips }) => trips)).toEqual([2, 1, 2, 1])
    }
    const events = (await eventsOf(bob)).slice(before)
    expect(events.map(({ type, data }) => [type, Object.keys(data.after ?? data.before ?? {})])).toEqual([
      ["member.followed", ["projectId"]],
      ["member.unfollowed", ["projectId"]],
      ["member.muted", ["projectId"]],
      ["member.unmuted", ["projectId"]],
      ["member.muted", ["taskId"]],
      ["member.unmuted", ["taskId"]],
    ])
    // Nobody else is told.
    expect((await eventsOf(ada)).filter(({ actorId }) => actorId === bob.userId)).toEqual([])
  })
})

describe("an inbox", () => {
  it("counts, marks and unmarks, one or all, in its workspace", async () => {
    const { ada, bob, project } = await team()
    for (let n = 0; n < 3; n += 1) await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId] })
    await toldTo(bob, 3)
    const [newest, , oldest] = await inboxOf(bob)
    expect(await unreadOf(bob)).toEqual({ unread: 3, workspaces: { [ada.workspaceId]: 3 } })

    await bob.put(`/api/v1/notifications/${newest?.id}/reading`)
    await bob.put(`/api/v1/notifications/${newest?.id}/reading`)
    expect((await inboxOf(bob, "?unread=true")).map(({ id }) => id)).not.toContain(newest?.id)
    expect((await unreadOf(bob)).unread).toBe(2)
    await bob.delete(`/api/v1/notifications/${newest?.id}/reading`)
    expect((await unreadOf(bob)).unread).toBe(3)
    await bob.put("/api/v1/notifications/reading", { upTo: oldest?.id })
    expect((await unreadOf(bob)).unread).toBe(2)
    await bob.put("/api/v1/notifications/reading")
    expect(await unreadOf(bob)).toEqual({ unread: 0, workspaces: {} })
  })

  it("forgets a workspace that somebody has left, and not what they are told once they are back", async () => {
    const { ada, bob, project } = await team()
    await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId] })
    await toldTo(bob, 1)
    await ada.delete(`/api/v1/members/${bob.userId}`)
    const hub = hubOf(bob)
    await vi.waitFor(async () => expect(await hub.unreadNotifications()).toEqual({}), { timeout: 10_000, interval: 50 })

    // That they left may be told again, after they came back; what time tells has no number in the log.
    const due = { kind: "due" } as const
    await hub.notify([1, 5, 9].map((seq) => newsOf(ada.workspaceId, seq)))
    await hub.notify([20, 70].map((at) => newsOf(ada.workspaceId, 1_000 + at, { ...due, at, seq: 1_000 })))
    for (let times = 0; times < 2; times += 1) await hub.leaveWorkspace(ada.workspaceId, { seq: 5, at: 50 })
    const query = { workspaceId: ada.workspaceId, unread: false, before: null, limit: 10 }
    expect((await hub.listNotifications(query)).map(({ kind, seq, at }) => [kind, seq, at])).toEqual([
      ["due", 1_000, 70],
      ["assigned", 9, 9],
      ["assigned", 5, 5],
    ])
  })

  it("counts nothing where nobody could read it: in what was left, and in what is deleted", async () => {
    const { ada, bob } = await team()
    const [own] = await rowsOf<{ workspace_id: string }>(
      "select workspace_id from memberships where user_id = ? and workspace_id <> ?",
      bob.userId,
      ada.workspaceId,
    )
    const mine = String(own?.workspace_id)
    const others = await newCaller()
    await hubOf(bob).notify([newsOf(mine, 1), newsOf(others.workspaceId, 2)])
    const answer = await bob.get("/api/v1/notifications/unread")
    expect([await answer.json(), costOf(answer).trips]).toEqual([{ unread: 0, workspaces: { [mine]: 1 } }, 1])
    await execute("update workspaces set deleted_at = 1 where id = ?", mine)
    expect(await unreadOf(bob)).toEqual({ unread: 0, workspaces: {} })

    await hubOf(bob).forgetWorkspace(mine)
    await hubOf(bob).notify([newsOf(ada.workspaceId, 3)])
    const here = await bob.get("/api/v1/notifications/unread")
    expect((await here.json()) as object).toEqual({ unread: 1, workspaces: { [ada.workspaceId]: 1 } })
  })

  it("comes page by page", async () => {
    const { ada, bob, project } = await team()
    for (let n = 0; n < 5; n += 1) await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId] })
    await toldTo(bob, 5)
    const first = NotificationPage.parse(await (await bob.get("/api/v1/notifications?limit=3")).json())
    const second = NotificationPage.parse(
      await (await bob.get(`/api/v1/notifications?limit=3&cursor=${first.next}`)).json(),
    )
    expect([...first.data, ...second.data]).toEqual(await inboxOf(bob))
    expect(second.next).toBeNull()
    expect(await pointersIn(await bob.get(`/api/v1/notifications?unread=true&cursor=${first.next}`))).toEqual([
      "?cursor",
    ])
    expect(await pointersIn(await bob.get("/api/v1/notifications?unread=perhaps"))).toEqual(["?unread"])
  })

  it("does not say any more what is out of sight by now, and says it again when it is seen again", async () => {
    const { ada, bob, project } = await team()
    const task = await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId], title: "Shown" })
    await comment(ada, task, "A word")
    await toldTo(bob, 2)
    const shown = async () => {
      const answer = await bob.get("/api/v1/notifications")
      expect(costOf(answer).trips).toBe(1)
      return NotificationPage.parse(await answer.json()).data.map(({ task: of, text }) => [of.key, of.title, text])
    }
    const all = [
      [task.key, "Shown", "A word"],
      [task.key, "Shown", ""],
    ]
    const nothing = [
      [task.key, "", ""],
      [task.key, "", ""],
    ]
    expect(await shown()).toEqual(all)
    await ada.patch(`/api/v1/projects/${project.id}`, { visibility: "private" })
    expect(await shown()).toEqual(nothing)
    await ada.put(`/api/v1/projects/${project.id}/members/${bob.userId}`, { level: "view" })
    expect(await shown()).toEqual(all)
    const vault = await newProject(ada, { visibility: "private" })
    await moveTo(ada, task, vault)
    expect(await shown()).toEqual(nothing)
    await moveTo(ada, task, project)
    expect(await shown()).toEqual(all)
    await ada.delete(`/api/v1/tasks/${task.id}`)
    expect(await shown()).toEqual(nothing)
    // What it says no more is counted still, and can be read.
    expect((await unreadOf(bob)).unread).toBe(2)
  })

  it("is nobody else's", async () => {
    const { ada, bob, project } = await team()
    await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId] })
    await toldTo(bob, 1)
    const [{ id } = { id: "" }] = await inboxOf(bob)
    await problemIn(await ada.put(`/api/v1/notifications/${id}/reading`), 404)
    await problemIn(await bob.put("/api/v1/notifications/x/reading"), 404)
    expect(await pointersIn(await bob.put("/api/v1/notifications/reading", { upTo: "x" }))).toEqual(["/upTo"])
    await problemIn(await bob.put(`/api/v1/tasks/${newId("task")}/mute`), 404)
    await problemIn(await bob.put(`/api/v1/projects/${newId("project")}/mute`), 404)
    await problemIn(await bob.put(`/api/v1/projects/${newId("project")}/follower`), 404)
  })

  it("has each thing once, however often and by how many it is told, and after hibernation too", async () => {
    const { bob } = await team()
    const hub = hubOf(bob)
    const news = Array.from({ length: 20 }, (_, n): News => newsOf(bob.workspaceId, n))
    await Promise.all(Array.from({ length: 5 }, () => hub.notify(news)))
    await evictDurableObject(hub)
    await hub.notify(news)
    expect(
      (await hub.listNotifications({ workspaceId: bob.workspaceId, unread: false, before: null, limit: 100 })).length,
    ).toBe(20)
  })

  it("keeps the newest thousand", async () => {
    const { bob } = await team()
    const hub = hubOf(bob)
    await hub.notify(Array.from({ length: keptAtMost + 25 }, (_, n) => newsOf(bob.workspaceId, n)))
    const kept = await hub.listNotifications({
      workspaceId: bob.workspaceId,
      unread: false,
      before: null,
      limit: 2_000,
    })
    expect(kept.length).toBe(keptAtMost)
    expect(kept[0]?.seq).toBe(keptAtMost + 24)
  })

  it("stores nothing for whoever was never told anything", async () => {
    const hub = env.USER_HUB.getByName(newId("user"))
    expect(await hub.unreadNotifications()).toEqual({})
    expect(await hub.markNotification("wsp", "ntf", 1)).toBe(false)
    await hub.notify([])
    const tables = await runInDurableObject(hub, async (_hub, { storage }) =>
      storage.sql.exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'").toArray(),
    )
    expect(tables).toEqual([])
  })
})

const projectId = newId("project")
const taskIds = Array.from({ length: keptAtMost + 25 }, () => newId("task"))

const newsOf = (workspaceId: string, seq: number, part: Partial<News> = {}): News => ({
  workspaceId,
  kind: "assigned",
  seq,
  projectId,
  taskId: taskIds[seq] ?? "",
  taskKey: `A-${seq}`,
  title: `Task ${seq}`,
  actorId: null,
  actorName: null,
  text: "",
  at: seq,
  inbox: true,
  mailAt: null,
  ...part,
})

describe("mail", () => {
  const verified = ({ userId }: Caller) => execute("update users set email_verified_at = 1 where id = ?", userId)
  const mailsTo = async ({ email }: Caller) =>
    (await keptMessages(env.MAILBOX)).filter(({ to, kind }) => to === email && kind === "notification")

  it("tells what somebody wants to have mailed, once, and not what they have read", async () => {
    const { ada, bob, cid, project } = await team()
    await verified(bob)
    const task = await newTask(ada, { projectId: project.id, assigneeIds: [bob.userId, cid.userId], title: "Ship\nit" })
    await vi.waitFor(async () => expect(await mailsTo(bob)).toHaveLength(1), { timeout: 15_000, interval: 200 })
    const [mail] = await mailsTo(bob)
    expect(mail?.subject).toBe(`${task.key}: Ship it`)
    expect(mail?.text).toContain(`Ada assigned you ${task.key}`)
    expect(mail?.text).toContain("notification settings")
    // Nothing is owed any more; and who has not confirmed an address is written to nowhere.
    expect(await hubOf(bob).takeUnsentNotifications()).toEqual([])
    expect(await mailsTo(cid)).toEqual([])
  })

  it("gathers for those who want it gathered, and leaves out what was read meanwhile", async () => {
    const { bob } = await team()
    await verified(bob)
    const hub = hubOf(bob)
    const soon = Date.now() + hour
    const { id: taskId } = await newTask(bob)
    await hub.notify([1, 2, 3].map((seq) => newsOf(bob.workspaceId, seq, { taskId, mailAt: soon })))
    await hub.notify([newsOf(bob.workspaceId, 4, { taskId, inbox: false, mailAt: soon })])
    expect(await hub.takeUnsentNotifications()).toEqual([])
    const [newest] = await inboxOf(bob)
    await bob.put(`/api/v1/notifications/${newest?.id}/reading`)
    await runInDurableObject(hub, async (_hub, { storage }) => {
      expect(await storage.getAlarm()).toBeLessThanOrEqual(soon)
      storage.sql.exec("update notifications set mail_at = ? where mail_at is not null", Date.now() - 1)
    })
    await runDurableObjectAlarm(hub)
    await vi.waitFor(async () => expect(await mailsTo(bob)).toHaveLength(1), { timeout: 15_000, interval: 200 })
    const [mail] = await mailsTo(bob)
    expect(mail?.text.match(/A-\d/g)).toEqual(["A-1", "A-2", "A-4"])
    expect((await inboxOf(bob)).map(({ task }) => task.key)).toEqual(["A-3", "A-2", "A-1"])
  })

  it("has a link to each task, and tells nothing of what is out of sight, deleted or silenced by then", async () => {
    const { ada, bob, project } = await team()
    await verified(bob)
    await bob.patch("/api/v1/me", { mail: "daily" })
    const [closed, vault] = [await newProject(ada), await newProject(ada, { visibility: "private" })]
    const assigned = (title: string, projectId = project.id) =>
      newTask(ada, { projectId, assigneeIds: [bob.userId], title })
    const secret = await assigned("Secret", closed.id)
    const [moved, gone, quiet] = [await assigned("Secret too"), await assigned("Gone"), await assigned("Quiet")]
    const plain = await assigned("Plain")
    await toldTo(bob, 5)
    await ada.patch(`/api/v1/projects/${closed.id}`, { visibility: "private" })
    await moveTo(ada, moved, vault)
    await ada.delete(`/api/v1/tasks/${gone.id}`)
    await bob.put(`/api/v1/tasks/${quiet.id}/mute`)
    const hub = hubOf(bob)
    // A reminder rings for what is silenced, too; that it is due does not.
    const due = {
      kind: "due",
      taskId: quiet.id,
      taskKey: quiet.key,
      title: "Quiet",
      mailAt: Date.now() + hour,
    } as const
    await hub.notify([
      newsOf(ada.workspaceId, 1, { ...due, text: "Reminder" }),
      newsOf(ada.workspaceId, 2, { ...due, text: "2026-12-01" }),
    ])
    await runInDurableObject(hub, async (_hub, { storage }) => {
      expect(storage.sql.exec("select 1 from notifications where mail_at > ?", Date.now()).toArray()).toHaveLength(7)
      storage.sql.exec("update notifications set mail_at = 1")
    })
    await runDurableObjectAlarm(hub)
    await vi.waitFor(async () => expect(await mailsTo(bob)).toHaveLength(1), { timeout: 15_000, interval: 200 })
    const [mail] = await mailsTo(bob)
    expect(mail?.text).toContain(`/api/v1/tasks/${plain.id}`)
    expect(mail?.text).toMatch(/“Quiet”. Reminder/)
    for (const text of ["Secret", "Gone", "2026-12-01", `assigned you ${quiet.key}`, secret.id, moved.id, gone.id]) {
      expect(mail?.text).not.toContain(text)
    }
    expect(await hub.takeUnsentNotifications()).toEqual([])
  })

  it("is not kept from whoever reads all of an inbox that does not show it", async () => {
    const { bob } = await team()
    await verified(bob)
    const hub = hubOf(bob)
    const mailAt = Date.now() + hour
    await hub.notify([newsOf(bob.workspaceId, 8, { projectId: bob.inboxId, inbox: false, mailAt })])
    expect((await bob.put("/api/v1/notifications/reading", {})).status).toBe(204)
    const kept = await runInDurableObject(hub, (_hub, { storage }) =>
      storage.sql.exec("select read_at, mail_at from notifications").toArray(),
    )
    expect(kept).toEqual([{ read_at: null, mail_at: mailAt }])
  })

  it("is taken by one at a time, asked for later and later, and given up in the end", async () => {
    const { bob } = await team()
    const hub = hubOf(bob)
    const asked: object[] = []
    await runInDurableObject(hub, (object) => {
      const inside = object as unknown as { env: object }
      inside.env = { ...inside.env, LETTERS: { send: async (message: object) => void asked.push(message) } }
    })
    await hub.notify([newsOf(bob.workspaceId, 7, { projectId: bob.inboxId, mailAt: Date.now() - 1 })])
    const due = () =>
      runInDurableObject(hub, (_hub, { storage }) =>
        storage.sql.exec<{ mail_at: number | null }>("select mail_at from notifications").one(),
      )
    const [one, other] = await Promise.all([hub.takeUnsentNotifications(), hub.takeUnsentNotifications()])
    expect([one.length + other.length, one.length * other.length]).toEqual([1, 0])
    const waits: number[] = []
    for (let at = (await due()).mail_at; at !== null; at = (await due()).mail_at) {
      waits.push(Math.round((at - Date.now()) / minute))
      await runInDurableObject(
        hub,
        (_hub, { storage }) => void storage.sql.exec("update notifications set mail_at = 1"),
      )
      await runDurableObjectAlarm(hub)
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120])
    expect(asked).toHaveLength(10)
  })

  it("is asked for again when the queue has lost it", async () => {
    const { bob } = await team()
    await verified(bob)
    const hub = hubOf(bob)
    // As after a crash: the message is gone, and the time that sending may take is over.
    const { id: taskId } = await newTask(bob)
    await hub.notify([newsOf(bob.workspaceId, 9, { taskId, mailAt: Date.now() + hour })])
    await runInDurableObject(hub, async (_hub, { storage }) => {
      storage.sql.exec("update notifications set mail_at = 1")
    })
    await evictDurableObject(hub)
    await runDurableObjectAlarm(hub)
    await vi.waitFor(async () => expect(await mailsTo(bob)).toHaveLength(1), { timeout: 15_000, interval: 200 })
  })

  it("goes out as it happens, at the full hour, or in the morning where somebody lives", () => {
    const at = Date.parse("2026-11-25T22:30:00Z")
    const iso = (rhythm: "at_once" | "hourly" | "daily", zone: string) =>
      new Date(mailTime(rhythm, zone, at)).toISOString()
    expect(iso("at_once", "UTC")).toBe("2026-11-25T22:30:00.000Z")
    expect(iso("hourly", "UTC")).toBe("2026-11-25T23:00:00.000Z")
    expect(iso("daily", "Europe/Berlin")).toBe("2026-11-26T07:00:00.000Z")
    expect(iso("daily", "Pacific/Auckland")).toBe("2026-11-26T19:00:00.000Z")
    expect(iso("daily", "Pacific/Kiritimati")).toBe("2026-11-26T18:00:00.000Z")
    expect(iso("daily", "America/Los_Angeles")).toBe("2026-11-26T16:00:00.000Z")
  })
})
