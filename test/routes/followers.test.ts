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
  problemIn,
  taskIn,
} from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { between, failingAt, isCommit, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller
let ben: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
})

const pathOf = (idOrKey: string) => `/api/v1/tasks/${idOrKey}/follower`
const isFollowed = async (caller: Caller, idOrKey: string) => {
  const answer = await caller.get(`/api/v1/tasks/${idOrKey}?include=following&fields=id`)
  expect(costOf(answer).trips).toBe(1)
  return ((await answer.json()) as { isFollowed: boolean }).isFollowed
}
const rowsIn = async ({ workspaceId }: Caller, taskId: string) =>
  (
    await rowsOf<{ user_id: string }>(
      "select user_id from task_followers where workspace_id = ? and task_id = ? order by user_id",
      workspaceId,
      taskId,
    )
  ).map(({ user_id }) => user_id)

describe("following a task", () => {
  it("begins and ends, however often it is asked, in two round trips, and is told to oneself", async () => {
    const task = await newTask(ada)
    expect(await isFollowed(ada, task.id)).toBe(false)
    for (let time = 0; time < 2; time += 1) {
      const answer = await ada.put(pathOf(task.key))
      expect([answer.status, await answer.text(), costOf(answer).trips]).toEqual([204, "", time === 0 ? 2 : 1])
      expect(await isFollowed(ada, task.id)).toBe(true)
    }
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "member.followed",
      subjectId: ada.userId,
      projectId: null,
      data: { before: null, after: { taskId: task.id } },
    })
    for (let time = 0; time < 2; time += 1) {
      expect((await ada.delete(pathOf(task.id))).status).toBe(204)
      expect(await isFollowed(ada, task.id)).toBe(false)
    }
    const last = (await historyOf(ada, ada.userId)).slice(-2)
    expect(last).toEqual(["member.followed", "member.unfollowed"])
    expect(await rowsIn(ada, task.id)).toEqual([])
  })

  it("is everybody's own, in lists too, and leaves the task as it is", async () => {
    const task = await newTask(ada)
    await ben.put(pathOf(task.id))
    expect([await isFollowed(ada, task.id), await isFollowed(ben, task.id)]).toEqual([false, true])
    const listed = async (caller: Caller) => {
      const answer = await caller.get(`/api/v1/tasks?project=${ada.inboxId}&include=following&limit=200`)
      expect(costOf(answer).trips).toBe(1)
      return (await pageIn(answer)).data.find(({ id }) => id === task.id)?.["isFollowed"]
    }
    expect([await listed(ada), await listed(ben)]).toEqual([false, true])
    expect(await taskIn(await ada.get(`/api/v1/tasks/${task.id}`))).toEqual(task)
  })

  it("is told to nobody else, not even to the owner", async () => {
    const task = await newTask(ada)
    await ben.put(pathOf(task.id))
    await ben.delete(pathOf(task.id))
    const told = async (caller: Caller) =>
      (await eventsOf(caller)).filter(({ type, actorId }) => type.includes("followed") && actorId === ben.userId).length
    expect(await told(ben)).toBeGreaterThanOrEqual(2)
    expect(await told(ada)).toBe(0)
    const admin = await joined(ada, "admin", "Cleo")
    expect(await told(admin)).toBe(0)
    const { data } = (await (await ada.get("/api/v1/activity?limit=200")).json()) as { data: { type: string }[] }
    expect(data.length).toBeGreaterThan(0)
    expect(
      data.filter((entry) => entry.type === "member.unfollowed" && JSON.stringify(entry).includes(task.id)),
    ).toEqual([])
  })

  it("takes seeing the task, and no more: guests may follow", async () => {
    const hidden = await newProject(ada, { visibility: "private" })
    const task = await newTask(ada, { projectId: hidden.id })
    const guest = await joined(ada, "guest", "Gus")
    for (const caller of [ben, guest, await newCaller()]) {
      await problemIn(await caller.put(pathOf(task.id)), 404)
      await problemIn(await caller.delete(pathOf(task.id)), 404)
    }
    await ada.put(`/api/v1/projects/${hidden.id}/members/${guest.userId}`, { level: "view" })
    expect((await guest.put(pathOf(task.id))).status).toBe(204)
    for (const name of ["%00", "none", "tsk_01j00000000000000000000000"])
      await problemIn(await ada.put(pathOf(name)), 404)
  })

  it("is kept when the task moves", async () => {
    const project = await newProject(ada)
    const task = await newTask(ada)
    await ben.put(pathOf(task.id))
    await ada.put(`/api/v1/tasks/${task.id}/project`, { projectId: project.id })
    expect(await isFollowed(ben, task.key)).toBe(true)
  })

  it("counts once of several at once, and several people do not hinder each other", async () => {
    const task = await newTask(ada)
    const asked = [ada, ada, ben, ben].map((caller) => caller.put(pathOf(task.id)))
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([204, 204, 204, 204])
    expect(await rowsIn(ada, task.id)).toEqual([ada.userId, ben.userId].sort())
  })

  it("meets a change of one's name: both are heard", async () => {
    const task = await newTask(ada)
    let isFirst = true
    const overtaken = between(async (batch) => {
      if (isCommit(batch) && isFirst) {
        isFirst = false
        await ada.patch("/api/v1/me", { name: `Ada ${crypto.randomUUID()}` })
      }
      return batch.run()
    })
    expect((await ada.through(await openApp({ database: overtaken })).put(pathOf(task.id))).status).toBe(204)
    expect(await isFollowed(ada, task.id)).toBe(true)
  })

  it("lands once when its answer is lost, and not at all when a statement fails", async () => {
    const task = await newTask(ada)
    const events = (await eventsOf(ada)).length
    for (let index = 0; index < 4; index += 1) {
      await problemIn(await ada.through(await openApp({ database: failingAt(index) })).put(pathOf(task.id)), 500)
      expect([await rowsIn(ada, task.id), (await eventsOf(ada)).length]).toEqual([[], events])
    }
    const lossy = ada.through(await openApp({ database: losing("after", 1) }))
    expect((await lossy.put(pathOf(task.id))).status).toBe(204)
    expect(await eventsOf(ada)).toHaveLength(events + 1)
  })
})
