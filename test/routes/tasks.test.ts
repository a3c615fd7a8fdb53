import { beforeAll, describe, expect, it } from "vitest"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  pointersIn,
  problemIn,
  taskIn,
} from "../support/caller.ts"

let ada: Caller
let eve: Caller

beforeAll(async () => {
  ada = await newCaller()
  eve = await newCaller()
})

const strangerTask = "tsk_01j00000000000000000000000"
const strangerProject = "prj_01j00000000000000000000000"
const strangerUser = "usr_01j00000000000000000000000"
const nthUser = (n: number) => `usr_01j000000000000000000000${String(n).padStart(2, "0")}`

describe("POST /tasks", () => {
  it("creates a task with the defaults, a key and revision 1, in one round trip", async () => {
    const project = await newProject(ada, { name: "Web Site" })
    const answer = await ada.post("/api/v1/tasks", { projectId: project.id, title: "  Say hello ✓ " })
    const task = await taskIn(answer)

    expect(task).toMatchObject({
      key: `${project.key}-1`,
      projectId: project.id,
      parentId: null,
      title: "Say hello ✓",
      description: "",
      status: "todo",
      priority: 0,
      assigneeIds: [],
      start: null,
      due: null,
      revision: 1,
      createdBy: ada.userId,
      completedAt: null,
    })
    expect(answer.headers.get("location")).toBe(`/api/v1/tasks/${task.id}`)
    expect(answer.headers.get("etag")).toBe('"1"')
    expect(costOf(answer)).toMatchObject({ trips: 1 })
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("keeps everything it is given", async () => {
    const parent = await newTask(ada)
    const given = {
      projectId: ada.inboxId,
      parentId: parent.id,
      title: "Complete",
      description: "# Ü\n```js\n1\n```\n🎉",
      status: "in_progress",
      priority: 4,
      assigneeIds: [ada.userId],
      start: { date: "2026-02-28" },
      due: { at: "2026-03-01T09:30:00.000Z" },
      position: "a1",
    }
    const task = await newTask(ada, given)
    expect(task).toMatchObject(given)
    expect(await taskIn(await ada.get(`/api/v1/tasks/${task.id}`))).toEqual(task)
  })

  it("reads an instant in any zone and answers in UTC", async () => {
    const task = await newTask(ada, { due: { at: "2026-03-01T09:30:00+05:30" } })
    expect(task.due).toEqual({ at: "2026-03-01T04:00:00.000Z" })
  })

  it("completes a task that is created as done", async () => {
    const task = await newTask(ada, { status: "done" })
    expect(task.completedAt).toBe(task.createdAt)
  })

  it("puts each new task after the one before", async () => {
    const first = await newTask(ada)
    const second = await newTask(ada)
    expect(second.position > first.position).toBe(true)
  })

  const wrong: [string, Record<string, unknown>, string][] = [
    ["an empty title", { title: " " }, "/title"],
    ["a title of 501 characters", { title: "é".repeat(501) }, "/title"],
    ["a title with NUL", { title: "a\0b" }, "/title"],
    ["a title with half a surrogate pair", { title: "a\ud83d" }, "/title"],
    ["a title that is a number", { title: 7 }, "/title"],
    ["a description beyond 64 KB", { description: "é".repeat(32_769) }, "/description"],
    ["an unknown status", { status: "open" }, "/status"],
    ["priority 5", { priority: 5 }, "/priority"],
    ["priority 1.5", { priority: 1.5 }, "/priority"],
    ["a due date that does not exist", { due: { date: "2026-02-30" } }, "/due/date"],
    ["a due date and time at once", { due: { date: "2026-02-03", at: "2026-02-03T00:00:00Z" } }, "/due"],
    ["a due time without a zone", { due: { at: "2026-02-03T00:00:00" } }, "/due/at"],
    ["a position that is no fractional index", { position: "zz" }, "/position"],
    ["an assignee twice", { assigneeIds: [strangerUser, strangerUser] }, "/assigneeIds/1"],
    ["21 assignees", { assigneeIds: Array.from({ length: 21 }, (_, n) => nthUser(n)) }, "/assigneeIds"],
    ["an unknown field", { colour: "red" }, "/colour"],
    ["a project that is not there", { projectId: strangerProject }, "/projectId"],
    ["a project id that is none", { projectId: "42" }, "/projectId"],
    ["a parent that is not there", { parentId: strangerTask }, "/parentId"],
    ["an assignee who is no member", { assigneeIds: [strangerUser] }, "/assigneeIds/0"],
  ]
  for (const [name, input, pointer] of wrong) {
    it(`refuses ${name} and names the field`, async () => {
      const events = await eventsOf(ada)
      const answer = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Wrong", ...input })
      expect(await pointersIn(answer)).toContain(pointer)
      expect(await eventsOf(ada)).toEqual(events)
    })
  }

  it("counts characters, not code units: 500 emoji fit", async () => {
    expect((await newTask(ada, { title: "🎉".repeat(500) })).title).toBe("🎉".repeat(500))
  })

  it("refuses a parent in another project, and one that is deleted", async () => {
    const project = await newProject(ada)
    const elsewhere = await newTask(ada, { projectId: project.id })
    expect(
      await pointersIn(await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x", parentId: elsewhere.id })),
    ).toEqual(["/parentId"])
    await ada.delete(`/api/v1/tasks/${elsewhere.id}`)
    expect(
      await pointersIn(await ada.post("/api/v1/tasks", { projectId: project.id, title: "x", parentId: elsewhere.id })),
    ).toEqual(["/parentId"])
  })

  it("knows nothing of another workspace's projects, tasks and people", async () => {
    const hers = await newTask(eve)
    expect(await pointersIn(await ada.post("/api/v1/tasks", { projectId: eve.inboxId, title: "x" }))).toEqual([
      "/projectId",
    ])
    const input = { projectId: ada.inboxId, title: "x", parentId: hers.id, assigneeIds: [eve.userId] }
    expect(await pointersIn(await ada.post("/api/v1/tasks", input))).toEqual(["/parentId", "/assigneeIds/0"])
  })

  it("refuses a project that is deleted at that moment", async () => {
    const project = await newProject(ada)
    await ada.delete(`/api/v1/projects/${project.id}`)
    expect(await pointersIn(await ada.post("/api/v1/tasks", { projectId: project.id, title: "x" }))).toEqual([
      "/projectId",
    ])
  })
})

describe("POST /tasks/bulk", () => {
  const bulk = (caller: Caller, tasks: unknown) => caller.post("/api/v1/tasks/bulk", { tasks })

  it("creates a hundred tasks in one round trip, with one event each, numbered in order", async () => {
    const project = await newProject(ada, { name: "Bulk" })
    const tasks = Array.from({ length: 100 }, (_, index) => ({ projectId: project.id, title: `Task ${index}` }))
    const from = (await eventsOf(ada)).at(-1)?.seq ?? 0
    const answer = await bulk(ada, tasks)
    expect(answer.status).toBe(201)
    expect(costOf(answer).trips).toBe(1)

    const { data } = (await answer.json()) as { data: { key: string; title: string; position: string }[] }
    expect(data.map(({ key }) => key)).toEqual(tasks.map((_, index) => `${project.key}-${index + 1}`))
    expect(data.map(({ title }) => title)).toEqual(tasks.map(({ title }) => title))
    expect(data.map(({ position }) => position)).toEqual(data.map(({ position }) => position).toSorted())
    const events = await eventsOf(ada, from)
    expect(events.map(({ type, subjectKey }) => [type, subjectKey])).toEqual(
      data.map(({ key }) => ["task.created", key]),
    )
  })

  it("numbers the tasks of several projects each for itself", async () => {
    const [a, b] = [await newProject(ada, { name: "Alpha" }), await newProject(ada, { name: "Beta" })]
    const answer = await bulk(
      ada,
      [a, b, a, b, b].map(({ id }) => ({ projectId: id, title: "x" })),
    )
    const { data } = (await answer.json()) as { data: { key: string }[] }
    expect(data.map(({ key }) => key)).toEqual([`${a.key}-1`, `${b.key}-1`, `${a.key}-2`, `${b.key}-2`, `${b.key}-3`])
  })

  it("creates all or none, and points to each that is wrong", async () => {
    const from = await eventsOf(ada)
    const answer = await bulk(ada, [
      { projectId: ada.inboxId, title: "Right" },
      { projectId: strangerProject, title: "Wrong" },
      { projectId: ada.inboxId, title: "Wrong", assigneeIds: [strangerUser] },
    ])
    expect(await pointersIn(answer)).toEqual(["/tasks/1/projectId", "/tasks/2/assigneeIds/0"])
    expect(await pointersIn(await bulk(ada, [{ projectId: ada.inboxId, title: "" }]))).toEqual(["/tasks/0/title"])
    expect(await eventsOf(ada)).toEqual(from)
  })

  it("refuses none, and 101", async () => {
    expect(await pointersIn(await bulk(ada, []))).toEqual(["/tasks"])
    const tasks = Array.from({ length: 101 }, () => ({ projectId: ada.inboxId, title: "x" }))
    expect(await pointersIn(await bulk(ada, tasks))).toEqual(["/tasks"])
  })

  it("takes a batch close to the body limit", async () => {
    const tasks = Array.from({ length: 15 }, () => ({
      projectId: ada.inboxId,
      title: "Long",
      description: "é".repeat(32_768),
    }))
    const answer = await bulk(ada, tasks)
    expect(answer.status).toBe(201)
  })
})

describe("GET /tasks/:idOrKey", () => {
  it("finds a task by id and by key, in one round trip", async () => {
    const task = await newTask(ada)
    for (const name of [task.id, task.key]) {
      const answer = await ada.get(`/api/v1/tasks/${name}`)
      expect(costOf(answer).trips).toBe(1)
      expect(await taskIn(answer)).toEqual(task)
    }
  })

  it("answers 304 to whoever has this revision, and the task to whoever has an older one", async () => {
    const task = await newTask(ada)
    const path = `/api/v1/tasks/${task.id}`
    const etag = (await ada.get(path)).headers.get("etag") ?? ""
    expect(etag).toBe('"1"')
    const same = await ada.get(path, { "if-none-match": `"0", W/${etag}` })
    expect([same.status, await same.text(), same.headers.get("etag")]).toEqual([304, "", etag])
    await ada.patch(path, { priority: 1 })
    expect((await ada.get(path, { "if-none-match": etag })).status).toBe(200)
  })

  it("gives the asked fields and what they refer to", async () => {
    const task = await newTask(ada, { assigneeIds: [ada.userId], due: { date: "2026-05-01" } })
    const answer = await ada.get(`/api/v1/tasks/${task.id}?fields=title,due&include=project,assignees`)
    expect(await answer.json()).toEqual({
      id: task.id,
      title: task.title,
      due: { date: "2026-05-01" },
      project: { id: ada.inboxId, key: "INBOX", name: "Inbox" },
      assignees: [{ id: ada.userId, name: "Ada" }],
    })
    expect(answer.headers.get("etag")).toMatch(/^"1\.\d+\.\w+"$/)
    expect(costOf(answer).trips).toBe(1)
  })

  it("does not know what is not there, is deleted, malformed, or another workspace's", async () => {
    const hers = await newTask(eve)
    const gone = await newTask(ada)
    await ada.delete(`/api/v1/tasks/${gone.id}`)
    for (const name of [
      strangerTask,
      hers.id,
      gone.id,
      gone.key,
      "INBOX-99999",
      "no-such",
      "%00",
      "tsk_",
      "'; drop table tasks",
    ]) {
      expect((await problemIn(await ada.get(`/api/v1/tasks/${name}`), 404)).code).toBe("not_found")
    }
  })
})

describe("PATCH /tasks/:idOrKey", () => {
  it("changes what it names and leaves the rest, in two round trips", async () => {
    const task = await newTask(ada, { description: "Stays", due: { date: "2026-05-01" } })
    const answer = await ada.patch(`/api/v1/tasks/${task.key}`, { priority: 3 })
    expect(costOf(answer).trips).toBe(2)
    expect(answer.headers.get("etag")).toBe('"2"')
    const { updatedAt, ...patched } = await taskIn(answer)
    expect({ ...task, priority: 3, revision: 2 }).toMatchObject(patched)
    expect(Date.parse(updatedAt)).toBeGreaterThanOrEqual(Date.parse(task.updatedAt))
  })

  it("takes application/merge-patch+json, where null removes", async () => {
    const task = await newTask(ada, { due: { date: "2026-05-01" }, start: { date: "2026-04-01" } })
    const answer = await ada.patch(
      `/api/v1/tasks/${task.id}`,
      { due: null },
      { "content-type": "application/merge-patch+json" },
    )
    expect(await taskIn(answer)).toMatchObject({ due: null, start: { date: "2026-04-01" } })
  })

  it("tells the log the changed fields, before and after, and nothing else", async () => {
    const task = await newTask(ada)
    await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 2, title: task.title, due: { date: "2026-05-01" } })
    const event = (await eventsOf(ada)).at(-1)
    expect(event).toMatchObject({
      type: "task.updated",
      subjectId: task.id,
      subjectKey: task.key,
      revision: 2,
      actorId: ada.userId,
      actorRole: "owner",
      projectId: ada.inboxId,
    })
    expect(event?.data).toEqual({
      before: { priority: 0, due: null },
      after: { priority: 2, due: { date: "2026-05-01" } },
    })
  })

  it("changes nothing when nothing differs", async () => {
    const task = await newTask(ada, { priority: 2 })
    const answer = await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 2 })
    expect(await taskIn(answer)).toEqual(task)
    expect(await taskIn(await ada.patch(`/api/v1/tasks/${task.id}`, {}))).toEqual(task)
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("assigns and takes back", async () => {
    const task = await newTask(ada)
    const path = `/api/v1/tasks/${task.id}`
    const mine = async () => {
      const { data } = (await (await ada.get("/api/v1/tasks?assignee=me&fields=id&limit=200")).json()) as {
        data: { id: string }[]
      }
      return data.some(({ id }) => id === task.id)
    }
    expect(await taskIn(await ada.patch(path, { assigneeIds: [ada.userId] }))).toMatchObject({
      assigneeIds: [ada.userId],
    })
    expect(await mine()).toBe(true)
    expect(await taskIn(await ada.patch(path, { assigneeIds: [] }))).toMatchObject({ assigneeIds: [] })
    expect(await mine()).toBe(false)
    expect(await pointersIn(await ada.patch(path, { assigneeIds: [eve.userId] }))).toEqual(["/assigneeIds/0"])
  })

  it("closes with status done, together with whatever else changes", async () => {
    const task = await newTask(ada)
    const closed = await taskIn(await ada.patch(`/api/v1/tasks/${task.id}`, { status: "done", priority: 1 }))
    expect(closed.completedAt).toBe(closed.updatedAt)
    const event = (await eventsOf(ada)).at(-1)
    expect(event?.type).toBe("task.closed")
    expect(event?.data.after).toMatchObject({ status: "done", priority: 1 })
    const reopened = await taskIn(await ada.patch(`/api/v1/tasks/${task.id}`, { status: "in_progress" }))
    expect(reopened.completedAt).toBeNull()
    expect(await historyOf(ada, task.id)).toEqual(["task.created", "task.closed", "task.reopened"])
  })

  it("is refused for a stale revision, in the header or in the body", async () => {
    const task = await newTask(ada)
    const path = `/api/v1/tasks/${task.id}`
    await ada.patch(path, { priority: 1 })
    expect((await problemIn(await ada.patch(path, { priority: 2 }, { "if-match": '"1"' }), 412)).code).toBe(
      "precondition_failed",
    )
    await problemIn(await ada.patch(path, { priority: 2, revision: 1 }), 412)
    await problemIn(await ada.patch(path, { priority: 2, revision: 2 }, { "if-match": '"1"' }), 412)
    expect((await ada.patch(path, { priority: 2 }, { "if-match": 'W/"2.17.abc"' })).status).toBe(200)
    expect((await ada.patch(path, { priority: 3, revision: 3 })).status).toBe(200)
    expect((await ada.patch(path, { priority: 4 }, { "if-match": "*" })).status).toBe(200)
    expect((await ada.patch(path, { priority: 0 }, { "if-match": '"7", "5"' })).status).toBe(200)
    await problemIn(await ada.patch(path, { priority: 1 }, { "if-match": "6" }), 400)
  })

  it("cannot move a task, rename its key, or reach another workspace's", async () => {
    const task = await newTask(ada)
    const hers = await newTask(eve)
    expect(
      await pointersIn(await ada.patch(`/api/v1/tasks/${task.id}`, { projectId: ada.inboxId, key: "X-1" })),
    ).toEqual(["/projectId", "/key"])
    await problemIn(await ada.patch(`/api/v1/tasks/${hers.id}`, { priority: 1 }), 404)
  })
})

describe("PUT /tasks/:idOrKey/closure", () => {
  it("closes once, however often it is asked", async () => {
    const { id } = await newTask(ada)
    const first = await taskIn(await ada.put(`/api/v1/tasks/${id}/closure`))
    const again = await taskIn(await ada.put(`/api/v1/tasks/${id}/closure`))
    expect(again).toEqual(first)
    expect(again).toMatchObject({ status: "done", revision: 2 })
    expect(await historyOf(ada, id)).toEqual(["task.created", "task.closed"])
  })

  it("closes once when asked many times at once", async () => {
    const { id } = await newTask(ada)
    const answers = await Promise.all(Array.from({ length: 5 }, () => ada.put(`/api/v1/tasks/${id}/closure`)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(await historyOf(ada, id)).toEqual(["task.created", "task.closed"])
  })

  it("is unknown to other workspaces, and minds If-Match", async () => {
    const { id } = await newTask(ada)
    await problemIn(await eve.put(`/api/v1/tasks/${id}/closure`), 404)
    await problemIn(await ada.put(`/api/v1/tasks/${id}/closure`, undefined, { "if-match": '"9"' }), 412)
  })
})

describe("DELETE /tasks/:idOrKey/closure", () => {
  it("reopens a done and a cancelled task, and leaves an open one", async () => {
    for (const status of ["done", "cancelled"]) {
      const { id } = await newTask(ada, { status })
      expect(await taskIn(await ada.delete(`/api/v1/tasks/${id}/closure`))).toMatchObject({
        status: "todo",
        completedAt: null,
        revision: 2,
      })
      expect(await taskIn(await ada.delete(`/api/v1/tasks/${id}/closure`))).toMatchObject({ revision: 2 })
      expect(await historyOf(ada, id)).toEqual(["task.created", "task.reopened"])
    }
  })
})

describe("DELETE /tasks/:idOrKey", () => {
  it("hides the task and leaves a tombstone in the log", async () => {
    const task = await newTask(ada, { assigneeIds: [ada.userId] })
    const answer = await ada.delete(`/api/v1/tasks/${task.id}`)
    expect([answer.status, await answer.text()]).toEqual([204, ""])
    await problemIn(await ada.get(`/api/v1/tasks/${task.id}`), 404)
    const event = (await eventsOf(ada)).at(-1)
    expect(event).toMatchObject({ type: "task.deleted", subjectId: task.id, revision: 2, data: { after: null } })
  })

  it("is 404 the second time, and 412 for a stale revision", async () => {
    const { id } = await newTask(ada)
    await problemIn(await ada.delete(`/api/v1/tasks/${id}`, { "if-match": '"2"' }), 412)
    expect((await ada.delete(`/api/v1/tasks/${id}`, { "if-match": '"1"' })).status).toBe(204)
    await problemIn(await ada.delete(`/api/v1/tasks/${id}`), 404)
  })

  it("leaves the subtasks, and never gives the number again", async () => {
    const parent = await newTask(ada)
    const child = await newTask(ada, { parentId: parent.id })
    await ada.delete(`/api/v1/tasks/${parent.id}`)
    expect((await ada.get(`/api/v1/tasks/${child.id}`)).status).toBe(200)
    const next = await newTask(ada)
    expect(Number(next.key.split("-")[1])).toBe(Number(child.key.split("-")[1]) + 1)
  })
})
