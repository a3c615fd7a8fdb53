import { beforeAll, describe, expect, it } from "vitest"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  pageIn,
  pointersIn,
  problemIn,
  taskIn,
} from "../support/caller.ts"
import { between, isCommit } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller
let ben: Caller
let cleo: Caller
let guest: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
  cleo = await joined(ada, "member", "Cleo")
  guest = await joined(ada, "guest", "Gus")
})

const detailsIn = async (answer: Response) =>
  ((await problemIn(answer, 422)).errors ?? []).map(({ pointer, detail }) => [pointer, detail])

describe("the assignees of a task", () => {
  it("are several, told in one order whatever order they came in", async () => {
    const given = [cleo.userId, ada.userId, ben.userId]
    const task = await newTask(ada, { assigneeIds: given })
    expect(task.assigneeIds).toEqual(given.toSorted())
    expect(await taskIn(await ada.get(`/api/v1/tasks/${task.id}`))).toEqual(task)

    const again = await ada.patch(`/api/v1/tasks/${task.id}`, { assigneeIds: given.toReversed() })
    expect(await taskIn(again)).toEqual(task)
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("change in two round trips, with one event that tells who was there before", async () => {
    const task = await newTask(ada, { assigneeIds: [ada.userId, ben.userId] })
    const answer = await ada.patch(`/api/v1/tasks/${task.id}`, { assigneeIds: [cleo.userId, ben.userId] })
    expect(costOf(answer).trips).toBe(2)
    const assigneeIds = [ben.userId, cleo.userId].toSorted()
    expect(await taskIn(answer)).toMatchObject({ assigneeIds, revision: 2 })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "task.updated",
      data: { before: { assigneeIds: task.assigneeIds }, after: { assigneeIds } },
    })
  })

  it("have it in their lists while they are assigned, at its new due date", async () => {
    const task = await newTask(ada, { assigneeIds: [ben.userId, cleo.userId] })
    const path = `/api/v1/tasks/${task.id}`
    const has = async (caller: Caller, filter = "") =>
      (await pageIn(await caller.get(`/api/v1/tasks?assignee=me&fields=id&limit=200${filter}`))).data.some(
        ({ id }) => id === task.id,
      )
    await ada.patch(path, { due: { date: "2026-05-01" } })
    for (const caller of [ben, cleo]) expect(await has(caller, "&dueBefore=2026-05-03")).toBe(true)
    await ada.patch(path, { assigneeIds: [cleo.userId] })
    expect([await has(ben), await has(cleo)]).toEqual([false, true])
  })

  it("are refused when they are no members, are there twice, or are more than 20", async () => {
    const task = await newTask(ada)
    const stranger = await newCaller()
    const path = `/api/v1/tasks/${task.id}`
    const patch = (assigneeIds: string[]) => ada.patch(path, { assigneeIds })
    expect(await pointersIn(await patch([ben.userId, stranger.userId]))).toEqual(["/assigneeIds/1"])
    expect(await pointersIn(await patch([ben.userId, cleo.userId, ben.userId]))).toEqual(["/assigneeIds/2"])
    const many = Array.from({ length: 21 }, (_, n) => `usr_01j000000000000000000000${String(n).padStart(2, "0")}`)
    expect(await pointersIn(await patch(many))).toEqual(["/assigneeIds"])
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("are refused when they cannot see the project: guests, and whom a private one does not name", async () => {
    const hidden = await newProject(ada, { visibility: "private" })
    const blind = (index: number) => [`/assigneeIds/${index}`, "cannot see this project"]

    const open = { projectId: ada.inboxId, title: "x", assigneeIds: [ben.userId, guest.userId] }
    expect(await detailsIn(await ada.post("/api/v1/tasks", open))).toEqual([blind(1)])
    const secret = { projectId: hidden.id, title: "x", assigneeIds: [ben.userId, ada.userId] }
    expect(await detailsIn(await ada.post("/api/v1/tasks", secret))).toEqual([blind(0)])
    const task = await newTask(ada, { projectId: hidden.id })
    const path = `/api/v1/tasks/${task.id}`
    expect(await detailsIn(await ada.patch(path, { assigneeIds: [ben.userId] }))).toEqual([blind(0)])

    for (const { userId } of [ben, guest]) {
      await ada.put(`/api/v1/projects/${hidden.id}/members/${userId}`, { level: "view" })
    }
    const both = await taskIn(await ada.patch(path, { assigneeIds: [ben.userId, guest.userId] }))
    expect(both.assigneeIds).toHaveLength(2)
  })

  it("tell nothing about a private project to whoever does not see it", async () => {
    const hidden = await newProject(ada, { visibility: "private" })
    const input = { projectId: hidden.id, title: "x", assigneeIds: [cleo.userId] }
    expect(await pointersIn(await ben.post("/api/v1/tasks", input))).toEqual(["/projectId"])
  })

  it("stay when they do not see the project any more, and are no longer shown its tasks", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada, { projectId: project.id, assigneeIds: [ben.userId] })
    const mine = async () => {
      const answer = await ben.get("/api/v1/tasks?assignee=me&limit=200")
      expect(costOf(answer).trips).toBe(1)
      return (await pageIn(answer)).data.map(({ id }) => id)
    }
    expect(await mine()).toContain(task.id)
    await ada.patch(`/api/v1/projects/${project.id}`, { visibility: "private" })
    expect(await mine()).not.toContain(task.id)

    const path = `/api/v1/tasks/${task.id}`
    const patched = await taskIn(await ada.patch(path, { assigneeIds: [ben.userId, ada.userId] }))
    expect(patched.assigneeIds).toHaveLength(2)
    await ada.patch(path, { assigneeIds: [] })
    expect(await pointersIn(await ada.patch(path, { assigneeIds: [ben.userId] }))).toEqual(["/assigneeIds/0"])
  })

  it("are refused when the project is closed to them in the same moment", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada, { projectId: project.id })
    let isFirst = true
    const overtaken = between(async (batch) => {
      if (isCommit(batch) && isFirst) {
        isFirst = false
        await ada.patch(`/api/v1/projects/${project.id}`, { visibility: "private" })
      }
      return batch.run()
    })
    const late = ada.through(await openApp({ database: overtaken }))
    const answer = await late.patch(`/api/v1/tasks/${task.id}`, { assigneeIds: [ben.userId] })
    expect(await pointersIn(answer)).toEqual(["/assigneeIds/0"])
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("are all there after several people assign at once", async () => {
    const task = await newTask(ada)
    const path = `/api/v1/tasks/${task.id}`
    const answers = await Promise.all(
      [[ben.userId], [ben.userId, cleo.userId], [ben.userId]].map((assigneeIds) => ada.patch(path, { assigneeIds })),
    )
    expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([])
    const { assigneeIds } = await taskIn(await ada.get(path))
    expect(assigneeIds).toContain(ben.userId)
    expect(new Set(assigneeIds).size).toBe(assigneeIds.length)
  })
})
