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
import { nthTask, seedTasks } from "../support/seed.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const hang = (caller: Caller, id: string, parentId: string | null) => caller.patch(`/api/v1/tasks/${id}`, { parentId })
const parentOf = async (id: string) => (await taskIn(await ada.get(`/api/v1/tasks/${id}`))).parentId
const detailsIn = async (answer: Response) =>
  ((await problemIn(answer, 422)).errors ?? []).map(({ pointer, detail }) => [pointer, detail])

describe("the parent of a task", () => {
  it("is given, changed and taken away, in two round trips each", async () => {
    const [a, b, task] = [await newTask(ada), await newTask(ada), await newTask(ada)]
    for (const parentId of [a.id, b.id, null]) {
      const answer = await hang(ada, task.id, parentId)
      expect(costOf(answer).trips).toBe(2)
      expect((await taskIn(answer)).parentId).toBe(parentId)
      expect(await parentOf(task.id)).toBe(parentId)
    }
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "task.updated",
      subjectId: task.id,
      data: { before: { parentId: b.id }, after: { parentId: null } },
    })
    expect(await historyOf(ada, task.id)).toEqual(["task.created", "task.updated", "task.updated", "task.updated"])
  })

  it("moves the task between the lists of subtasks", async () => {
    const [a, b, task] = [await newTask(ada), await newTask(ada), await newTask(ada)]
    const under = async (id: string) =>
      (await pageIn(await ada.get(`/api/v1/tasks?parent=${id}`))).data.map(({ id }) => id)
    await hang(ada, task.id, a.id)
    expect([await under(a.id), await under(b.id)]).toEqual([[task.id], []])
    await hang(ada, task.id, b.id)
    expect([await under(a.id), await under(b.id)]).toEqual([[], [task.id]])
  })

  it("is refused when it is not there, deleted, in another project, or in another workspace", async () => {
    const task = await newTask(ada)
    const project = await newProject(ada)
    const gone = await newTask(ada)
    await ada.delete(`/api/v1/tasks/${gone.id}`)
    const eve = await newCaller()
    const parents = [
      "tsk_01j00000000000000000000000",
      gone.id,
      (await newTask(ada, { projectId: project.id })).id,
      (await newTask(eve)).id,
    ]
    for (const parentId of parents) {
      expect(await detailsIn(await hang(ada, task.id, parentId))).toEqual([
        ["/parentId", "There is no such task in this project"],
      ])
    }
    expect(await pointersIn(await hang(ada, task.id, "42"))).toEqual(["/parentId"])
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("is refused when the task would hang under itself, near or far", async () => {
    const a = await newTask(ada)
    const b = await newTask(ada, { parentId: a.id })
    const c = await newTask(ada, { parentId: b.id })
    for (const parent of [a, b, c]) {
      expect(await detailsIn(await hang(ada, a.id, parent.id))).toEqual([["/parentId", "would make a cycle"]])
    }
    expect(await taskIn(await hang(ada, c.id, a.id))).toMatchObject({ parentId: a.id })
  })

  it("is refused when it is 50 deep", async () => {
    const host = await newCaller()
    await seedTasks(host, 60, (n) => ({ parentId: n === 0 ? null : nthTask(n - 1) }))
    const task = await newTask(host)
    expect(await detailsIn(await hang(host, task.id, nthTask(49)))).toEqual([
      ["/parentId", "tasks hang at most 50 deep"],
    ])
    expect(await pointersIn(await hang(host, nthTask(0), nthTask(59)))).toEqual(["/parentId"])
    expect(await taskIn(await hang(host, task.id, nthTask(48)))).toMatchObject({ parentId: nthTask(48) })
    // So is what is made there, alone or among others.
    const child = (n: number) => ({ projectId: host.inboxId, title: "x", parentId: nthTask(n) })
    expect(await detailsIn(await host.post("/api/v1/tasks", child(49)))).toEqual([
      ["/parentId", "tasks hang at most 50 deep"],
    ])
    const tasks = [child(0), child(59), { projectId: host.inboxId, title: "y" }]
    expect(await detailsIn(await host.post("/api/v1/tasks/bulk", { tasks }))).toEqual([
      ["/tasks/1/parentId", "tasks hang at most 50 deep"],
    ])
    const made = await host.post("/api/v1/tasks", child(48))
    expect([made.status, costOf(made).trips]).toEqual([201, 1])
  })

  it("never makes a cycle of two tasks that are hung under each other at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const [a, b] = [await newTask(ada), await newTask(ada)]
      const answers = await Promise.all([hang(ada, a.id, b.id), hang(ada, b.id, a.id)])
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 422])
      expect([await parentOf(a.id), await parentOf(b.id)].filter((parent) => parent !== null)).toHaveLength(1)
    }
  })

  it("never makes a cycle of many tasks that are hung in a ring at once", async () => {
    const ring = await Promise.all(Array.from({ length: 6 }, () => newTask(ada)))
    await Promise.all(ring.map(({ id }, n) => hang(ada, id, ring[(n + 1) % ring.length]?.id ?? "")))
    const parents = new Map(await Promise.all(ring.map(async ({ id }) => [id, await parentOf(id)] as const)))
    for (const { id } of ring) {
      const seen = new Set<string>()
      for (let at: string | null | undefined = id; at; at = parents.get(at)) {
        expect(seen.has(at)).toBe(false)
        seen.add(at)
      }
    }
  })

  it("is judged as it stands in the commit: the other is hung first", async () => {
    const [a, b] = [await newTask(ada), await newTask(ada)]
    let isFirst = true
    const overtaken = between(async (batch) => {
      if (isCommit(batch) && isFirst) {
        isFirst = false
        await hang(ada, b.id, a.id)
      }
      return batch.run()
    })
    const late = ada.through(await openApp({ database: overtaken }))
    expect(await detailsIn(await hang(late, a.id, b.id))).toEqual([["/parentId", "would make a cycle"]])
    expect(await historyOf(ada, a.id)).toEqual(["task.created"])
  })

  it("and the assignees that are wrong are told apart", async () => {
    const task = await newTask(ada)
    const body = { parentId: task.id, assigneeIds: ["usr_01j00000000000000000000000"] }
    const pointers = await pointersIn(await ada.patch(`/api/v1/tasks/${task.id}`, body))
    expect([["/parentId"], ["/assigneeIds/0"]]).toContainEqual(pointers)
  })
})

describe("include=progress", () => {
  it("counts the subtasks directly under a task and those that are done, in one round trip", async () => {
    const parent = await newTask(ada)
    const path = `/api/v1/tasks/${parent.id}?include=progress`
    const progressIn = async (answer: Response) => ((await answer.json()) as { progress: object }).progress
    expect(await progressIn(await ada.get(path))).toEqual({ total: 0, done: 0 })

    const done = await newTask(ada, { parentId: parent.id, status: "done" })
    await newTask(ada, { parentId: parent.id, status: "cancelled" })
    const open = await newTask(ada, { parentId: parent.id })
    await newTask(ada, { parentId: open.id })
    const gone = await newTask(ada, { parentId: parent.id })
    await ada.delete(`/api/v1/tasks/${gone.id}`)
    const answer = await ada.get(path)
    expect(costOf(answer).trips).toBe(1)
    expect(await progressIn(answer)).toEqual({ total: 3, done: 1 })

    await ada.delete(`/api/v1/tasks/${done.id}/closure`)
    const list = await ada.get(`/api/v1/tasks?project=${ada.inboxId}&include=progress&fields=id&limit=200`)
    expect(costOf(list).trips).toBe(1)
    const { data } = (await list.json()) as { data: { id: string; progress: object }[] }
    expect(data.find(({ id }) => id === parent.id)?.progress).toEqual({ total: 3, done: 0 })
    expect(data.find(({ id }) => id === open.id)?.progress).toEqual({ total: 1, done: 0 })
  })

  it("counts a thousand at most", async () => {
    const host = await newCaller()
    const parent = await newTask(host)
    await seedTasks(host, 1_500, () => ({ parentId: parent.id }))
    const answer = await host.get(`/api/v1/tasks/${parent.id}?include=progress&fields=id`)
    expect(await answer.json()).toMatchObject({ progress: { total: 1_000, done: 0 } })
    expect(costOf(answer).read).toBeLessThanOrEqual(1_010)
  })
})
