import { beforeAll, describe, expect, it } from "vitest"
import { newId } from "../../src/lib/ids.ts"
import { openApp } from "../support/app.ts"
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
import { execute } from "../support/database.ts"
import { between, failingAt, isCommit, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller
let ben: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
})

const at = (id: string) => `/api/v1/tasks/${id}`
type Made = { id: string; revision: number; name: string }
const madeBy = async (caller: Caller, path: string, body: object) =>
  (await (await caller.post(`/api/v1${path}`, body)).json()) as Made

describe("PATCH with the base that it was written against", () => {
  it("is applied to the row as it stands, where others have changed other fields, in two round trips", async () => {
    const task = await newTask(ada, { title: "Base" })
    await ben.patch(at(task.id), { priority: 3 })
    await ben.put(`${at(task.id)}/closure`)
    const answer = await ada.patch(at(task.id), { title: "Mine", base: 1 })
    expect(costOf(answer).trips).toBe(2)
    expect(answer.headers.get("etag")).toBe('"4"')
    expect(await taskIn(answer)).toMatchObject({ title: "Mine", priority: 3, status: "done", revision: 4 })
    // By its key as well.
    const again = await taskIn(await ada.patch(at(task.key), { description: "Also mine", base: 1 }))
    expect(again).toMatchObject({ title: "Mine", description: "Also mine", revision: 5 })
  })

  it("is 409 with both versions where both changed one field, and changes nothing of the others", async () => {
    const task = await newTask(ada, { title: "Base" })
    const current = await taskIn(await ben.patch(at(task.id), { title: "Theirs", priority: 1 }))
    const answer = await ada.patch(at(task.id), { title: "Mine", description: "Mine", base: 1 })
    const problem = await problemIn(answer, 409)
    expect(problem).toMatchObject({
      code: "conflict",
      errors: [{ pointer: "/title", detail: "is something else by now" }],
      base: 1,
      current,
      yours: { title: "Mine", description: "Mine" },
      overlapping: ["title"],
    })
    expect(await taskIn(await ada.get(at(task.id)))).toEqual(current)
    // Having seen it, its writer decides.
    expect(await taskIn(await ada.patch(at(task.id), { title: "Mine", base: 2 }))).toMatchObject({ title: "Mine" })
  })

  it("is no conflict when both wanted the same, when the other took theirs back, or when one left the field alone", async () => {
    const task = await newTask(ada, { title: "Base", due: { date: "2026-05-01" } })
    await ben.patch(at(task.id), { title: "Same", due: { at: "2026-05-01T10:00:00Z" } })
    const same = { title: "Same", due: { at: "2026-05-01T12:00:00+02:00" }, base: 1 }
    expect(await taskIn(await ada.patch(at(task.id), same))).toMatchObject({ title: "Same", revision: 2 })
    await ben.patch(at(task.id), { priority: 4 })
    await ben.patch(at(task.id), { priority: 0 })
    expect(await taskIn(await ada.patch(at(task.id), { priority: 2, base: 2 }))).toMatchObject({
      priority: 2,
      revision: 5,
    })
    const left = await taskIn(await ada.patch(at(task.id), { title: "Base", description: "New", base: 1 }))
    expect(left).toMatchObject({ title: "Same", description: "New", revision: 6 })
  })

  it("merges assignees and labels one by one, as far as there is room", async () => {
    const [bug, ui] = [
      await madeBy(ada, "/labels", { name: newId("label") }),
      await madeBy(ada, "/labels", { name: newId("label") }),
    ]
    const task = await newTask(ada, { assigneeIds: [ada.userId], labelIds: [bug.id] })
    await ben.patch(at(task.id), { assigneeIds: [ada.userId, ben.userId], labelIds: [] })
    const merged = await ada.patch(at(task.id), { assigneeIds: [], labelIds: [bug.id, ui.id], base: 1 })
    expect(await taskIn(merged)).toMatchObject({ assigneeIds: [ben.userId], labelIds: [ui.id] })
    expect((await eventsOf(ada)).at(-1)?.data.after).toEqual({ assigneeIds: [ben.userId], labelIds: [ui.id] })
  })

  it("does not go with a revision that is insisted on", async () => {
    const task = await newTask(ada)
    expect(await pointersIn(await ada.patch(at(task.id), { priority: 1, base: 1, revision: 1 }))).toEqual(["/base"])
    const tagged = ada.patch(at(task.id), { priority: 1, base: 1 }, { "if-match": '"1"' })
    expect(await pointersIn(await tagged)).toEqual(["/base"])
    for (const base of [0, -1, 1.5, "1", 2 ** 53]) {
      expect(await pointersIn(await ada.patch(at(task.id), { priority: 1, base }))).toEqual(["/base"])
    }
    expect((await ada.patch(at(task.id), { priority: 1, base: 1 }, { "if-match": "*" })).status).toBe(200)
    // As ever.
    await problemIn(await ada.patch(at(task.id), { priority: 2, revision: 1 }), 412)
  })

  it("is 409 with both versions when the log does not reach back to the base, or is not there yet", async () => {
    const task = await newTask(ada)
    for (const priority of [1, 2, 3]) await ada.patch(at(task.id), { priority })
    await problemIn(await ada.patch(at(task.id), { title: "Ahead", base: 9 }), 409)
    await execute(
      "delete from events where workspace_id = ? and subject_id = ? and revision = 2",
      ada.workspaceId,
      task.id,
    )
    const problem = await problemIn(await ada.patch(at(task.id), { title: "Mine", priority: 3, base: 1 }), 409)
    expect(problem).toMatchObject({ base: 1, overlapping: ["title"], current: { priority: 3 } })
    expect((await ada.patch(at(task.id), { title: "Mine", base: 2 })).status).toBe(200)
  })

  it("asks for the same rights, also for what it would come to", async () => {
    const eve = await newCaller()
    const task = await newTask(ada)
    await problemIn(await eve.patch(at(task.id), { title: "x", base: 1 }), 404)
    const hidden = await newProject(ada, { visibility: "private" })
    const secret = await newTask(ada, { projectId: hidden.id })
    await ada.patch(at(secret.id), { title: "Secret" })
    const answer = await problemIn(await ben.patch(at(secret.id), { title: "x", base: 1 }), 404)
    expect(answer).not.toHaveProperty("current")
  })

  it("holds for projects and labels, and for comments, whose log tells no text", async () => {
    const project = await newProject(ada)
    await ada.patch(`/api/v1/projects/${project.id}`, { name: "Theirs" })
    const described = await ada.patch(`/api/v1/projects/${project.id}`, { description: "Mine", base: 1 })
    expect(await described.json()).toMatchObject({ name: "Theirs", description: "Mine", revision: 3 })
    const named = await ada.patch(`/api/v1/projects/${project.id}`, { name: "Mine", base: 1 })
    expect(await problemIn(named, 409)).toMatchObject({ overlapping: ["name"], current: { name: "Theirs" } })

    const label = await madeBy(ada, "/labels", { name: newId("label"), color: "#000000" })
    await ben.patch(`/api/v1/labels/${label.id}`, { color: "#111111" })
    const renamed = await ada.patch(`/api/v1/labels/${label.id}`, { name: newId("label"), base: 1 })
    expect(await renamed.json()).toMatchObject({ color: "#111111", revision: 3 })
    await problemIn(await ada.patch(`/api/v1/labels/${label.id}`, { color: "#222222", base: 1 }), 409)

    const task = await newTask(ada)
    const comment = await madeBy(ada, `/tasks/${task.id}/comments`, { body: "First" })
    const path = `/api/v1/comments/${comment.id}`
    await ben.put(`${path}/reactions/%F0%9F%91%8D`)
    const edited = await ada.patch(path, { body: "Second @Ben", base: 1 })
    expect(await edited.json()).toMatchObject({ body: "Second @Ben", revision: 3, mentionIds: [ben.userId] })
    expect((await ada.patch(path, { body: "Second @Ben", base: 1 })).status).toBe(200)
    const both = await problemIn(await ada.patch(path, { body: "Third", base: 1 }), 409)
    expect(both).toMatchObject({ overlapping: ["body"], current: { body: "Second @Ben" }, yours: { body: "Third" } })
  })

  it("gets both of two writers in at the same moment, and is told so once", async () => {
    const task = await newTask(ada, { title: "Base" })
    const answers = await Promise.all([
      ada.patch(at(task.id), { title: "Ada's", base: 1 }),
      ben.patch(at(task.id), { priority: 4, base: 1 }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(await taskIn(await ada.get(at(task.id)))).toMatchObject({ title: "Ada's", priority: 4, revision: 3 })

    // The other one comes in between reading and writing, with the same field.
    let isFirst = true
    const overtaken = between(async (batch) => {
      if (isCommit(batch) && isFirst) {
        isFirst = false
        await ben.patch(at(task.id), { title: "Ben's" })
      }
      return batch.run()
    })
    const late = ada.through(await openApp({ database: overtaken }))
    const problem = await problemIn(await late.patch(at(task.id), { title: "Later", base: 3 }), 409)
    expect(problem).toMatchObject({ base: 3, overlapping: ["title"], current: { title: "Ben's", revision: 4 } })
  })

  it("lands once when its answer is lost, or its request repeated, and not at all when a statement fails", async () => {
    const task = await newTask(ada)
    await ben.patch(at(task.id), { priority: 1 })
    for (let index = 0; index < 3; index += 1) {
      const broken = ada.through(await openApp({ database: failingAt(index) }))
      await problemIn(await broken.patch(at(task.id), { title: "Mine", base: 1 }), 500)
    }
    const key = { "idempotency-key": crypto.randomUUID() }
    const lossy = ada.through(await openApp({ database: losing("after", 1) }))
    const first = await taskIn(await lossy.patch(at(task.id), { title: "Mine", base: 1 }, key))
    await ben.patch(at(task.id), { title: "Theirs" })
    const again = await ada.patch(at(task.id), { title: "Mine", base: 1 }, key)
    expect(await taskIn(again)).toEqual(first)
    expect(await historyOf(ada, task.id)).toEqual(["task.created", "task.updated", "task.updated", "task.updated"])
  })
})

describe("an id that a client has made", () => {
  const kinds = (caller: Caller, taskId: string) =>
    [
      ["task", "/tasks", { projectId: caller.inboxId, title: "x" }],
      ["project", "/projects", { name: "x" }],
      ["label", "/labels", { name: newId("label") }],
      ["comment", `/tasks/${taskId}/comments`, { body: "x" }],
    ] as const

  it("is kept, once: what is there already is a conflict, deleted or not, and changes nothing", async () => {
    const task = await newTask(ada)
    for (const [kind, path, body] of kinds(ada, task.id)) {
      const id = newId(kind)
      const key = { "idempotency-key": crypto.randomUUID() }
      const answer = await ada.post(`/api/v1${path}`, { ...body, id }, key)
      expect([answer.status, ((await answer.clone().json()) as Made).id], kind).toEqual([201, id])
      const again = await ada.post(`/api/v1${path}`, { ...body, id }, key)
      expect(await again.text(), kind).toBe(await answer.text())
      const other = await problemIn(
        await ada.post(`/api/v1${path}`, { ...body, id, ...(kind === "label" && { name: newId("label") }) }),
        409,
      )
      expect(other, kind).toMatchObject({
        code: "conflict",
        errors: [{ pointer: "/id", detail: `is the id of another ${kind}` }],
      })
      await ada.delete(`/api/v1/${kind}s/${id}`)
      await problemIn(
        await ada.post(`/api/v1${path}`, { ...body, id, ...(kind === "label" && { name: newId("label") }) }),
        409,
      )
      expect(
        (await historyOf(ada, id)).filter((type) => type.endsWith("created")),
        kind,
      ).toHaveLength(1)
    }
  })

  it("is one of its kind, and in a list not twice", async () => {
    const task = await newTask(ada)
    for (const [kind, path, body] of kinds(ada, task.id)) {
      for (const id of [
        "",
        "x",
        newId("user"),
        newId(kind).toUpperCase(),
        `${kind}_8zzzzzzzzzzzzzzzzzzzzzzzzz`,
        1,
        null,
      ]) {
        expect(await pointersIn(await ada.post(`/api/v1${path}`, { ...body, id })), kind).toEqual(["/id"])
      }
    }
    const [id, other] = [newId("task"), newId("task")]
    const draft = { projectId: ada.inboxId, title: "x" }
    const twice = { tasks: [{ ...draft, id }, draft, { ...draft, id }] }
    expect(await pointersIn(await ada.post("/api/v1/tasks/bulk", twice))).toEqual(["/tasks/2/id"])
    await newTask(ada, { id })
    const taken = {
      tasks: [
        { ...draft, id: other },
        { ...draft, id },
      ],
    }
    const problem = await problemIn(await ada.post("/api/v1/tasks/bulk", taken), 409)
    expect(problem.errors).toEqual([{ pointer: "/tasks/1/id", detail: "is the id of another task" }])
    await problemIn(await ada.get(at(other)), 404)
    const labelId = newId("label")
    const labels = [
      { id: labelId, name: newId("label") },
      { id: labelId, name: newId("label") },
    ]
    expect(await pointersIn(await ada.post("/api/v1/labels/bulk", { labels }))).toEqual(["/labels/1/id"])
  })

  it("is won by one of two who want it at the same moment", async () => {
    const task = await newTask(ada)
    for (const [kind, path, body] of kinds(ada, task.id)) {
      const id = newId(kind)
      const bodies = [body, { ...body, ...(kind === "label" && { name: newId("label") }) }]
      const answers = await Promise.all(bodies.map((each) => ada.post(`/api/v1${path}`, { ...each, id })))
      expect(answers.map(({ status }) => status).sort(), kind).toEqual([201, 409])
    }
  })
})
