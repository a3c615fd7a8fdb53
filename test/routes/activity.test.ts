import { beforeAll, describe, expect, it } from "vitest"
import type * as z from "zod"
import { type Activity, ActivityPage, longestText } from "../../src/contracts/activity.ts"
import { EventPage } from "../../src/contracts/events.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { NewRow } from "../../src/db/tables.ts"
import { newId } from "../../src/lib/ids.ts"
import type { Role } from "../../src/lib/roles.ts"
import {
  type Caller,
  costOf,
  newCaller,
  newProject,
  newTask,
  pointersIn,
  problemIn,
  taskIn,
} from "../support/caller.ts"
import { execute, rowsOf, withDb } from "../support/database.ts"
import { joined } from "../support/people.ts"

const api = "/api/v1"

type Item = z.output<typeof Activity>

async function feedIn(answer: Response) {
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  return ActivityPage.parse(JSON.parse(text))
}

const feed = async (caller: Caller, path = "activity") => feedIn(await caller.get(`${api}/${path}`))

/** A feed to its end, in pages of that size. */
async function wholeFeed(caller: Caller, path: string, limit = 200): Promise<Item[]> {
  const all: Item[] = []
  for (let cursor = ""; ; ) {
    const { data, next } = await feed(caller, `${path}?limit=${limit}${cursor}`)
    all.push(...data)
    if (next === null) return all
    cursor = `&cursor=${next}`
  }
}

async function wholeLog(caller: Caller) {
  const answer = await caller.get(`${api}/events?limit=200`)
  return EventPage.parse(await answer.json()).data
}

/** Entries written past the API, at the end of the log. */
async function append(caller: Caller, ...entries: Partial<NewRow<"events">>[]): Promise<void> {
  const { workspaceId, userId } = caller
  const [head] = await rowsOf<{ seq: number }>("select seq from heads where workspace_id = ?", workspaceId)
  const from = Number(head?.seq) + 1
  const rows: NewRow<"events">[] = entries.map((entry, index) => ({
    workspaceId,
    seq: from + index,
    type: "task.updated",
    subjectId: newId("task"),
    subjectKey: null,
    actorRole: "owner",
    revision: 1,
    actorId: userId,
    source: "api",
    projectId: null,
    previousProjectId: null,
    commitId: newId("commit"),
    data: { before: null, after: {} },
    at: Date.now(),
    ...entry,
  }))
  await withDb((db) => db.write(insertRows(db, db.tables.events, rows)))
  await execute("update heads set seq = ? where workspace_id = ?", from + rows.length - 1, workspaceId)
}

describe("a feed", () => {
  it("tells who changed which field from what to what, when and through what, newest first", async () => {
    const ada = await newCaller()
    const task = await newTask(ada, { title: "Before" })
    await ada.patch(`${api}/tasks/${task.id}`, { title: "After", priority: 2 })
    const { data, next } = await feed(ada)
    expect(next).toBeNull()
    expect(data.map(({ type }) => type)).toEqual([
      "task.updated",
      "task.created",
      "project.created",
      "member.added",
      "workspace.created",
    ])
    expect(data[0]).toEqual({
      seq: 5,
      type: "task.updated",
      at: expect.stringMatching(/Z$/),
      actor: { id: ada.userId, name: "Ada" },
      source: "api",
      subject: { id: task.id, key: task.key, kind: "task" },
      projectId: ada.inboxId,
      changes: [
        { field: "title", from: "Before", to: "After" },
        { field: "priority", from: 0, to: 2 },
      ],
    })
    expect(data[1]?.changes).toContainEqual({ field: "title", from: null, to: "Before" })
    expect(data[1]?.changes.map(({ field }) => field)).not.toContain("createdAt")
  })

  it("of a deletion tells what was there", async () => {
    const ada = await newCaller()
    const task = await newTask(ada, { title: "Doomed" })
    await ada.delete(`${api}/tasks/${task.id}`)
    const [item] = (await feed(ada)).data
    expect(item).toMatchObject({ type: "task.deleted", subject: { key: task.key } })
    expect(item?.changes).toContainEqual({ field: "title", from: "Doomed", to: null })
  })

  it("cuts long texts, and not within a character", async () => {
    const ada = await newCaller()
    const description = `x${"🔑".repeat(longestText)}`
    await newTask(ada, { description })
    const [item] = (await feed(ada)).data
    const told = item?.changes.find(({ field }) => field === "description")?.to as string
    expect(told).toBe(`x${"🔑".repeat(longestText / 2 - 1)}…`)
    expect(told.isWellFormed()).toBe(true)
    expect((await wholeLog(ada)).at(-1)?.data.after?.["description"]).toBe(description)
  })

  it("names who has left, and nobody where the system acted", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member", "Eve")
    await newTask(eve, { projectId: ada.inboxId })
    await ada.delete(`${api}/members/${eve.userId}`)
    await append(ada, { actorId: "system", actorRole: "system" })
    const { data } = await feed(ada)
    expect(data.map(({ actor }) => actor.name).slice(0, 3)).toEqual([null, "Ada", "Eve"])
  })

  it("tells what came through the import", async () => {
    const ada = await newCaller()
    const task = { projectId: ada.inboxId, title: "Imported" }
    await ada.post(`${api}/tasks`, task, { "edgewise-source": "import" })
    await ada.post(`${api}/tasks`, task, { "edgewise-source": "system" })
    await ada.post(`${api}/tasks`, task, { "edgewise-source": "api_key" })
    expect((await feed(ada)).data.slice(0, 3).map(({ source }) => source)).toEqual(["api", "api", "import"])
  })

  it("of a project or a task has what happened there and nothing else", async () => {
    const ada = await newCaller()
    const project = await newProject(ada)
    const task = await newTask(ada, { projectId: project.id })
    await newTask(ada)
    await ada.put(`${api}/tasks/${task.id}/closure`)
    const ofProject = await feed(ada, `projects/${project.id}/activity`)
    expect(ofProject.data.map(({ type }) => type)).toEqual(["task.closed", "task.created", "project.created"])
    for (const name of [task.id, task.key]) {
      const { data } = await feed(ada, `tasks/${name}/activity`)
      expect(data.map(({ type, subject }) => [type, subject.id])).toEqual([
        ["task.closed", task.id],
        ["task.created", task.id],
      ])
    }
  })

  it("of a task is found under a key that it had", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    await execute(
      "insert into task_aliases (workspace_id, key, task_id) values (?, 'OLD-7', ?)",
      ada.workspaceId,
      task.id,
    )
    expect((await feed(ada, "tasks/OLD-7/activity")).data.map(({ type }) => type)).toEqual(["task.created"])
  })

  it("is read page by page to its end, with nothing left out or told twice", async () => {
    const ada = await newCaller()
    const project = await newProject(ada)
    const task = await newTask(ada, { projectId: project.id })
    for (let priority = 1; priority <= 4; priority += 1) await ada.patch(`${api}/tasks/${task.id}`, { priority })
    for (const path of ["activity", `projects/${project.id}/activity`, `tasks/${task.key}/activity`]) {
      const whole = await wholeFeed(ada, path)
      const numbers = whole.map(({ seq }) => seq)
      expect(numbers).toEqual(numbers.toSorted((a, b) => b - a))
      for (const limit of [1, 2, 3, whole.length]) expect(await wholeFeed(ada, path, limit)).toEqual(whole)
    }
  })

  it("goes on where its cursor says while more happens", async () => {
    const ada = await newCaller()
    const first = await feed(ada, "activity?limit=2")
    await newTask(ada)
    const second = await feed(ada, `activity?limit=2&cursor=${first.next}`)
    expect([...first.data, ...second.data].map(({ seq }) => seq)).toEqual([3, 2, 1])
  })

  it("takes no cursor of another feed", async () => {
    const ada = await newCaller()
    await newTask(ada)
    const { next } = await feed(ada, "activity?limit=1")
    const others = [`projects/${ada.inboxId}/activity`, "projects"]
    for (const path of others)
      expect(await pointersIn(await ada.get(`${api}/${path}?cursor=${next}`))).toEqual(["?cursor"])
    for (const query of ["limit=0", "cursor=x", "after=1"]) {
      expect(await pointersIn(await ada.get(`${api}/activity?${query}`))).toEqual([`?${query.split("=")[0]}`])
    }
  })

  it("costs one round trip, and is 304 until something happens", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    for (const path of ["activity", `projects/${ada.inboxId}/activity`, `tasks/${task.key}/activity`]) {
      const answer = await ada.get(`${api}/${path}?limit=1`)
      expect(costOf(answer)).toMatchObject({ trips: 1, written: 0 })
      const known = { "if-none-match": answer.headers.get("etag") ?? "" }
      expect((await ada.get(`${api}/${path}?limit=1`, known)).status).toBe(304)
      await newTask(ada)
      expect((await ada.get(`${api}/${path}?limit=1`, known)).status).toBe(200)
    }
  })

  it("is 404 of what is not there, not any more, or in another workspace", async () => {
    const [ada, eve] = [await newCaller(), await newCaller()]
    const project = await newProject(ada)
    const [gone, inGone, foreign] = [
      await newTask(ada),
      await newTask(ada, { projectId: project.id }),
      await newTask(eve),
    ]
    await ada.delete(`${api}/tasks/${gone.id}`)
    await ada.delete(`${api}/projects/${project.id}`)
    const paths = ["x", "tsk_01j00000000000000000000000", "WEB-99", "%00", gone.id, gone.key, inGone.id, foreign.id]
    for (const name of paths) await problemIn(await ada.get(`${api}/tasks/${name}/activity`), 404)
    for (const name of ["x", "prj_01j00000000000000000000000", project.id, eve.inboxId]) {
      await problemIn(await ada.get(`${api}/projects/${name}/activity`), 404)
    }
  })
})

// ---- who is told what ----

describe("what a feed and the log tell", () => {
  let owner: Caller
  const people = {} as Record<Role, Caller>
  let marks: Record<string, string>

  beforeAll(async () => {
    owner = await newCaller()
    people.owner = owner
    for (const role of ["admin", "member", "guest"] as const) people[role] = await joined(owner, role, role)
    const [open, hidden] = [await newProject(owner), await newProject(owner, { visibility: "private" })]
    const shared = await newProject(owner, { visibility: "private" })
    for (const role of ["admin", "member", "guest"] as const) {
      await owner.put(`${api}/projects/${shared.id}/members/${people[role].userId}`, { level: "view" })
    }
    const entry = { subjectKey: null, revision: 2 }
    marks = {
      "an open project": newId("task"),
      "a private project": newId("task"),
      "a private project that names them": newId("task"),
      "an invitation": newId("invitation"),
      "somebody else's API key": newId("apiKey"),
      "a label": newId("label"),
    }
    const id = (what: string) => marks[what] ?? ""
    const after = { email: "secret@example.com", name: "secret" }
    await append(
      owner,
      { ...entry, subjectId: id("an open project"), projectId: open.id },
      { ...entry, subjectId: id("a private project"), projectId: hidden.id },
      { ...entry, subjectId: id("a private project that names them"), projectId: shared.id },
      { ...entry, subjectId: id("an invitation"), type: "invitation.created", data: { before: null, after } },
      { ...entry, subjectId: id("somebody else's API key"), type: "api_key.created", data: { before: null, after } },
      { ...entry, subjectId: id("a label"), type: "label.created" },
    )
  })

  const matrix: Record<string, Role[]> = {
    "an open project": ["owner", "admin", "member"],
    "a private project": ["owner"],
    "a private project that names them": ["owner", "admin", "member", "guest"],
    "an invitation": ["owner", "admin"],
    "somebody else's API key": ["owner", "admin"],
    "a label": ["owner", "admin", "member", "guest"],
  }
  for (const role of ["owner", "admin", "member", "guest"] as const) {
    for (const [what, roles] of Object.entries(matrix)) {
      it(`${roles.includes(role) ? "is" : "is not"} told to the ${role}: ${what}`, async () => {
        const isToldIn = (told: object[]) => JSON.stringify(told).includes(marks[what] ?? "-")
        expect(isToldIn(await wholeFeed(people[role], "activity", 7))).toBe(roles.includes(role))
        expect(isToldIn(await wholeLog(people[role]))).toBe(roles.includes(role))
      })
    }
  }

  it("is told of one's own invitations and keys", async () => {
    const mine = newId("apiKey")
    await append({ ...owner, userId: people.member.userId }, { subjectId: mine, type: "api_key.created" })
    expect(JSON.stringify(await feed(people.member))).toContain(mine)
    expect(JSON.stringify(await feed(people.guest))).not.toContain(mine)
  })
})

describe("a relation to a task that somebody does not see", () => {
  it("is told without naming that task, begun and ended, until they see it", async () => {
    const owner = await newCaller()
    const member = await joined(owner, "member")
    const hidden = await newProject(owner, { visibility: "private" })
    const [open, other] = [await newTask(owner), await newTask(owner, { projectId: hidden.id })]
    const relation = `${api}/tasks/${open.id}/relations/blocks/${other.id}`
    await owner.put(relation)
    await owner.delete(relation)
    const toldTo = async (person: Caller) => [
      ...(await wholeFeed(person, "activity")),
      ...(await wholeFeed(person, `tasks/${open.id}/activity`)),
      ...(await wholeFeed(person, `projects/${open.projectId}/activity`)),
      ...(await wholeLog(person)),
    ]
    const others = async (person: Caller) => JSON.stringify(await toldTo(person)).split(other.id).length - 1
    expect(await others(member)).toBe(0)
    expect((await wholeFeed(member, `tasks/${open.id}/activity`)).slice(0, 2)).toMatchObject([
      { type: "task.unrelated", changes: [{ field: "kind", from: "blocks", to: null }] },
      { type: "task.related", changes: [{ field: "kind", from: null, to: "blocks" }] },
    ])
    await owner.put(`${api}/projects/${hidden.id}/members/${member.userId}`, { level: "view" })
    // Twice in each of the four, and as what was created in the two that are not of the open task's alone.
    expect(await others(member)).toBe(await others(owner))
    expect(await others(owner)).toBeGreaterThanOrEqual(8)
  })
})

describe("what happened before something was moved", () => {
  /** A task that was moved from where only the owner looks to where everybody does. */
  const setUp = async () => {
    const owner = await newCaller()
    const member = await joined(owner, "member")
    const [from, to] = [await newProject(owner, { visibility: "private" }), await newProject(owner)]
    const parent = await newTask(owner, { projectId: from.id })
    const before = await newTask(owner, { projectId: from.id, parentId: parent.id, title: "Hidden" })
    await owner.patch(`${api}/tasks/${before.id}`, { title: "Visible" })
    const after = await taskIn(await owner.put(`${api}/tasks/${before.id}/project`, { projectId: to.id }))
    return { owner, member, from, to, parent, before, after }
  }

  it("is not told to whoever does not see that place, nor where it was", async () => {
    const { member, from, to, parent, before, after } = await setUp()
    const secrets = new RegExp(`${from.id}|${parent.id}|"${before.key}"|Hidden`)
    const names = [`tasks/${after.id}`, `tasks/${after.key}`, `projects/${to.id}`]
    for (const path of ["activity", ...names.map((name) => `${name}/activity`)]) {
      const items = await wholeFeed(member, path)
      expect(JSON.stringify(items), path).not.toMatch(secrets)
      expect(items.find(({ type }) => type === "task.moved")?.changes).toEqual([
        { field: "projectId", from: null, to: to.id },
        { field: "key", from: null, to: after.key },
      ])
    }
    await problemIn(await member.get(`${api}/projects/${from.id}/activity`), 404)
    const log = await wholeLog(member)
    expect(JSON.stringify(log)).not.toMatch(secrets)
    expect(log.at(-1)).toMatchObject({ type: "task.moved", projectId: to.id, previousProjectId: null })
    expect(log.at(-1)?.data.before).toEqual({})
  })

  it("is told whole to whoever sees both, by role or by name", async () => {
    const { owner, member, from, to, parent, before, after } = await setUp()
    await owner.put(`${api}/projects/${from.id}/members/${member.userId}`, { level: "view" })
    for (const caller of [owner, member]) {
      const [moved, renamed] = (await feed(caller, `tasks/${after.id}/activity`)).data
      expect(moved?.changes).toEqual([
        { field: "projectId", from: from.id, to: to.id },
        { field: "key", from: before.key, to: after.key },
        { field: "parentId", from: parent.id, to: null },
      ])
      expect(renamed?.changes).toEqual([{ field: "title", from: "Hidden", to: "Visible" }])
      const event = (await wholeLog(caller)).find(({ type }) => type === "task.moved")
      expect(event?.previousProjectId).toBe(from.id)
      expect(event?.data.before).toEqual({ projectId: from.id, key: before.key, parentId: parent.id })
    }
  })

  it("is told of a task that was moved out of sight to nobody who does not see it there", async () => {
    const { owner, member, from, after } = await setUp()
    await owner.put(`${api}/tasks/${after.id}/project`, { projectId: from.id })
    await problemIn(await member.get(`${api}/tasks/${after.id}/activity`), 404)
    await problemIn(await member.get(`${api}/tasks/${after.key}/activity`), 404)
    expect(JSON.stringify(await wholeFeed(member, "activity"))).not.toContain(from.id)
  })
})
