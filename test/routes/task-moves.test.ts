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
import { rowsOf } from "../support/database.ts"
import { between, failingAt, isCommit, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"
import { nthTask, seedTasks } from "../support/seed.ts"

let ada: Caller
let ben: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
})

const move = (caller: Caller, idOrKey: string, projectId: string, headers?: Record<string, string>) =>
  caller.put(`/api/v1/tasks/${idOrKey}/project`, { projectId }, headers)
const read = async (caller: Caller, idOrKey: string) => taskIn(await caller.get(`/api/v1/tasks/${idOrKey}`))
const numberOf = (key: string) => Number(key.split("-")[1])

/** Lets `act` happen just before the first commit of whoever uses this database. */
function overtakenBy(act: () => Promise<unknown>) {
  let isFirst = true
  return between(async (batch) => {
    if (isCommit(batch) && isFirst) {
      isFirst = false
      await act()
    }
    return batch.run()
  })
}

describe("PUT /tasks/:idOrKey/project", () => {
  it("gives the task a key of the new project, in two round trips, and the old key still names it everywhere", async () => {
    const project = await newProject(ada, { name: "Target" })
    await newTask(ada, { projectId: project.id })
    const task = await newTask(ada, { description: "Stays", assigneeIds: [ben.userId], priority: 2 })
    const answer = await move(ada, task.id, project.id)
    expect(costOf(answer).trips).toBe(2)
    const moved = await taskIn(answer)
    const { updatedAt: _at, ...same } = task
    expect(moved).toMatchObject({ ...same, projectId: project.id, key: `${project.key}-2`, revision: 2 })
    for (const name of [task.id, task.key, moved.key]) expect(await read(ada, name)).toEqual(moved)

    expect((await ada.patch(`/api/v1/tasks/${task.key}`, { priority: 3 })).status).toBe(200)
    expect((await ada.put(`/api/v1/tasks/${task.key}/closure`)).status).toBe(200)
    expect((await ada.get(`/api/v1/tasks/${task.key}/relations`)).status).toBe(200)
    expect(costOf(await ada.get(`/api/v1/tasks/${task.key}`)).trips).toBe(1)
    const list = (await pageIn(await ada.get(`/api/v1/projects/${project.id}/tasks`))).data.map(({ id }) => id)
    expect(list).toContain(task.id)
    expect((await ada.delete(`/api/v1/tasks/${task.key}`)).status).toBe(204)
    await problemIn(await ada.get(`/api/v1/tasks/${task.key}`), 404)
  })

  it("tells the log where it was and where it is", async () => {
    const project = await newProject(ada)
    const parent = await newTask(ada)
    const task = await newTask(ada, { parentId: parent.id })
    const moved = await taskIn(await move(ada, task.key, project.id))
    expect(moved.parentId).toBeNull()
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "task.moved",
      subjectId: task.id,
      subjectKey: moved.key,
      revision: 2,
      projectId: project.id,
      previousProjectId: ada.inboxId,
      data: {
        before: { projectId: ada.inboxId, key: task.key, parentId: parent.id },
        after: { projectId: project.id, parentId: null },
      },
    })
  })

  it("takes all that hangs under it along, each with a key, an event, and its own parent", async () => {
    const project = await newProject(ada)
    const root = await newTask(ada)
    const child = await newTask(ada, { parentId: root.id })
    const grandchild = await newTask(ada, { parentId: child.id })
    const gone = await newTask(ada, { parentId: root.id })
    await ada.delete(`/api/v1/tasks/${gone.id}`)
    const beside = await newTask(ada)
    const from = (await eventsOf(ada)).length

    const answer = await move(ada, root.id, project.id)
    expect([answer.status, costOf(answer).trips]).toEqual([200, 2])
    const now = await Promise.all([root, child, grandchild].map(({ key }) => read(ada, key)))
    expect(now.map(({ key }) => key)).toEqual([1, 2, 3].map((n) => `${project.key}-${n}`))
    expect(now.map(({ parentId }) => parentId)).toEqual([null, root.id, child.id])
    expect(now.map(({ projectId }) => projectId)).toEqual(now.map(() => project.id))
    const events = (await eventsOf(ada)).slice(from)
    expect(events.map(({ type, subjectId, subjectKey }) => [type, subjectId, subjectKey])).toEqual(
      now.map(({ id, key }) => ["task.moved", id, key]),
    )
    expect((await read(ada, beside.id)).projectId).toBe(ada.inboxId)
    expect((await newTask(ada, { projectId: project.id })).key).toBe(`${project.key}-4`)
  })

  it("takes 100 along and refuses 101", async () => {
    const host = await newCaller()
    const project = await newProject(host)
    await seedTasks(host, 102, (n) => ({ parentId: n === 0 ? null : nthTask(Math.floor((n - 1) / 3)) }))
    expect((await problemIn(await move(host, nthTask(0), project.id), 409)).detail).toContain("100")
    await host.delete(`/api/v1/tasks/${nthTask(101)}`)
    const answer = await move(host, nthTask(0), project.id)
    expect((await taskIn(answer)).key).toBe(`${project.key}-1`)
    const rows = await rowsOf<{ key: string }>(
      "select key from tasks where workspace_id = ? and project_id = ?",
      host.workspaceId,
      project.id,
    )
    expect(rows.map(({ key }) => numberOf(key)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 101 }, (_, n) => n + 1),
    )
  })

  it("leads back with a new number, and every key that it had names it", async () => {
    const [a, b] = [await newProject(ada), await newProject(ada)]
    const task = await newTask(ada, { projectId: a.id })
    const there = await taskIn(await move(ada, task.id, b.id))
    const back = await taskIn(await move(ada, task.id, a.id))
    expect(back.key).toBe(`${a.key}-2`)
    for (const { key } of [task, there, back]) expect((await read(ada, key)).id).toBe(task.id)
  })

  it("changes nothing when it is there already", async () => {
    const task = await newTask(ada)
    expect(await taskIn(await move(ada, task.id, ada.inboxId))).toEqual(task)
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("is refused for a stale revision", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada)
    await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 1 })
    await problemIn(await move(ada, task.id, project.id, { "if-match": '"1"' }), 412)
    expect((await move(ada, task.id, project.id, { "if-match": '"2"' })).status).toBe(200)
  })

  it("takes the right to edit in both projects", async () => {
    const secret = await newProject(ada, { visibility: "private" })
    const [open, hidden] = [await newTask(ada), await newTask(ada, { projectId: secret.id })]
    expect(await pointersIn(await move(ben, open.id, secret.id))).toEqual(["/projectId"])
    await problemIn(await move(ben, hidden.id, ada.inboxId), 404)
    await ada.put(`/api/v1/projects/${secret.id}/members/${ben.userId}`, { level: "view" })
    await problemIn(await move(ben, open.id, secret.id), 403)
    await problemIn(await move(ben, hidden.id, ada.inboxId), 403)
    await ada.put(`/api/v1/projects/${secret.id}/members/${ben.userId}`, { level: "edit" })
    expect((await move(ben, open.id, secret.id)).status).toBe(200)
    expect((await move(ben, hidden.id, ada.inboxId)).status).toBe(200)
  })

  it("is refused by whoever loses the right in the same moment", async () => {
    const secret = await newProject(ada, { visibility: "private" })
    await ada.put(`/api/v1/projects/${secret.id}/members/${ben.userId}`, { level: "edit" })
    const task = await newTask(ada)
    const database = overtakenBy(() => ada.delete(`/api/v1/projects/${secret.id}/members/${ben.userId}`))
    const answer = await move(ben.through(await openApp({ database })), task.id, secret.id)
    expect(await pointersIn(answer)).toEqual(["/projectId"])
    expect(await read(ada, task.id)).toEqual(task)
  })

  it("does not know projects that are not there, deleted, or another workspace's", async () => {
    const eve = await newCaller()
    const gone = await newProject(ada)
    await ada.delete(`/api/v1/projects/${gone.id}`)
    const task = await newTask(ada)
    for (const projectId of ["prj_01j00000000000000000000000", gone.id, eve.inboxId, "42"]) {
      expect(await pointersIn(await move(ada, task.id, projectId))).toEqual(["/projectId"])
    }
  })

  it("is refused when an assignee could not see the task any more, near or far, and names them", async () => {
    const secret = await newProject(ada, { visibility: "private" })
    const root = await newTask(ada)
    const child = await newTask(ada, { parentId: root.id, assigneeIds: [ben.userId, ada.userId] })
    const problem = await problemIn(await move(ada, root.id, secret.id), 422)
    expect(problem.errors).toEqual([{ pointer: "/projectId", detail: "Ben: assigned, and cannot see this project" }])
    expect(await read(ada, child.id)).toEqual(child)
    await ada.patch(`/api/v1/tasks/${child.id}`, { assigneeIds: [ada.userId] })
    expect((await move(ada, root.id, secret.id)).status).toBe(200)
  })
})

describe("a move among others", () => {
  it("meets a patch: both are heard", async () => {
    for (let round = 0; round < 3; round += 1) {
      const project = await newProject(ada)
      const task = await newTask(ada)
      const answers = await Promise.all([
        move(ada, task.id, project.id),
        ada.patch(`/api/v1/tasks/${task.id}`, { priority: 4 }),
      ])
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      expect(await read(ada, task.id)).toMatchObject({ projectId: project.id, priority: 4, revision: 3 })
    }
  })

  it("meets another move: the task is in one project, with one key, and all its keys name it", async () => {
    const [a, b] = [await newProject(ada), await newProject(ada)]
    const task = await newTask(ada)
    const moved = await Promise.all(
      [move(ada, task.id, a.id), move(ada, task.id, b.id)].map((answer) => answer.then(taskIn)),
    )
    const now = await read(ada, task.id)
    expect([a.id, b.id]).toContain(now.projectId)
    expect(now.revision).toBe(3)
    for (const { key } of [task, ...moved]) expect(await read(ada, key)).toEqual(now)
  })

  it("meets the same move: it is done once", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada)
    const moved = await Promise.all(Array.from({ length: 3 }, () => move(ada, task.id, project.id).then(taskIn)))
    expect(new Set(moved.map(({ key }) => key))).toEqual(new Set([`${project.key}-1`]))
    expect(await historyOf(ada, task.id)).toEqual(["task.created", "task.moved"])
  })

  it("meets creates in the target: no number is lost or given twice", async () => {
    const project = await newProject(ada)
    const tasks = await Promise.all(Array.from({ length: 6 }, () => newTask(ada)))
    const answers = await Promise.all(
      tasks.flatMap(({ id }) => [
        move(ada, id, project.id).then(taskIn),
        newTask(ada, { projectId: project.id, title: "New" }),
      ]),
    )
    const numbers = answers.map(({ key }) => numberOf(key)).sort((a, b) => a - b)
    expect(numbers).toEqual(Array.from({ length: 12 }, (_, n) => n + 1))
  })

  it("takes along a subtask that was hung there in the same moment", async () => {
    const project = await newProject(ada)
    const [root, late] = [await newTask(ada), await newTask(ada)]
    const database = overtakenBy(() => ada.patch(`/api/v1/tasks/${late.id}`, { parentId: root.id }))
    expect((await move(ada.through(await openApp({ database })), root.id, project.id)).status).toBe(200)
    expect(await read(ada, late.id)).toMatchObject({ projectId: project.id, parentId: root.id })
  })

  it("goes before a subtask that is hung there: it is refused, because the parent is elsewhere", async () => {
    const project = await newProject(ada)
    const [root, late] = [await newTask(ada), await newTask(ada)]
    const database = overtakenBy(() => move(ada, root.id, project.id))
    const slow = ada.through(await openApp({ database }))
    expect(await pointersIn(await slow.patch(`/api/v1/tasks/${late.id}`, { parentId: root.id }))).toEqual(["/parentId"])
  })

  it("is refused when the target is deleted in the same moment", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada)
    const database = overtakenBy(() => ada.delete(`/api/v1/projects/${project.id}`))
    expect(await pointersIn(await move(ada.through(await openApp({ database })), task.id, project.id))).toEqual([
      "/projectId",
    ])
    expect(await read(ada, task.id)).toEqual(task)
  })

  it("lands once when its answer is lost, with the key that it got", async () => {
    const project = await newProject(ada)
    const root = await newTask(ada)
    await newTask(ada, { parentId: root.id })
    const lossy = ada.through(await openApp({ database: losing("after", 1) }))
    expect(await taskIn(await move(lossy, root.id, project.id))).toEqual(await read(ada, root.id))
  })

  it("is answered the same again to a repeat with its key", async () => {
    const project = await newProject(ada)
    const root = await newTask(ada)
    await newTask(ada, { parentId: root.id })
    const key = { "idempotency-key": "moved" }
    const first = await taskIn(await move(ada, root.id, project.id, { ...key, "if-match": '"1"' }))
    const again = await move(ada, root.id, project.id, { ...key, "if-match": '"1"' })
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(await taskIn(again)).toEqual(first)
  })

  it("of which one statement fails changes nothing", async () => {
    const project = await newProject(ada)
    const root = await newTask(ada)
    const child = await newTask(ada, { parentId: root.id })
    const events = (await eventsOf(ada)).length
    for (let index = 0; index < 5; index += 1) {
      const broken = ada.through(await openApp({ database: failingAt(index) }))
      await problemIn(await move(broken, root.id, project.id), 500)
    }
    expect([await read(ada, root.id), await read(ada, child.id)]).toEqual([root, child])
    expect(await eventsOf(ada)).toHaveLength(events)
    expect((await newTask(ada, { projectId: project.id })).key).toBe(`${project.key}-1`)
  })
})
