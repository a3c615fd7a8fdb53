import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { EventPage } from "../../src/contracts/events.ts"
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

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const read = async (caller: Caller, query = "") => {
  const answer = await caller.get(`/api/v1/events${query}`)
  expect(answer.status).toBe(200)
  return EventPage.parse(await answer.json())
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe("GET /events", () => {
  it("begins with the workspace's owner and Inbox", async () => {
    const caller = await newCaller()
    const { data, next } = await read(caller)
    expect(data.map(({ seq, type, subjectId }) => [seq, type, subjectId])).toEqual([
      [1, "workspace.created", caller.workspaceId],
      [2, "member.added", caller.userId],
      [3, "project.created", caller.inboxId],
    ])
    expect(next).toBe(3)
  })

  it("numbers what happens without gaps, in the order in which it happened", async () => {
    const caller = await newCaller()
    const task = await newTask(caller)
    await Promise.all(Array.from({ length: 10 }, () => newTask(caller)))
    await caller.patch(`/api/v1/tasks/${task.id}`, { priority: 1 })
    // What is refused or changes nothing takes no number.
    await caller.patch(`/api/v1/tasks/${task.id}`, { priority: 1 })
    await problemIn(await caller.patch(`/api/v1/tasks/${task.id}`, { priority: 2 }, { "if-match": '"1"' }), 412)
    await problemIn(await caller.post("/api/v1/tasks", { projectId: caller.inboxId, title: "" }), 422)
    const bulk = Array.from({ length: 5 }, (_, n) => ({ projectId: caller.inboxId, title: `Bulk ${n}` }))
    await caller.post("/api/v1/tasks/bulk", { tasks: bulk })
    await caller.delete(`/api/v1/tasks/${task.id}`)

    const { data } = await read(caller)
    expect(data.map(({ seq }) => seq)).toEqual(numbers(1, 21))
    expect(data.slice(14).map(({ type }) => type)).toEqual([
      "task.updated",
      ...Array.from({ length: 5 }, () => "task.created"),
      "task.deleted",
    ])
    expect(data.filter(({ subjectId }) => subjectId === task.id).map(({ revision }) => revision)).toEqual([1, 2, 3])
    // Of what happens at once, the time may come before the number.
    const times = [...data.slice(0, 4), ...data.slice(14)].map(({ at }) => Date.parse(at))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it("is read page by page: after is exclusive, next is the last number examined", async () => {
    const caller = await newCaller()
    for (let n = 0; n < 4; n += 1) await newTask(caller)
    const seen: number[] = []
    const nexts: number[] = []
    for (let page = 0, after = 0; page < 4; page += 1) {
      const { data, next } = await read(caller, `?after=${after}&limit=3`)
      expect(next).toBe(data.at(-1)?.seq ?? after)
      seen.push(...data.map(({ seq }) => seq))
      nexts.push(next)
      after = next
    }
    expect(seen).toEqual(numbers(1, 7))
    expect(nexts).toEqual([3, 6, 7, 7])
  })

  it("is empty beyond its end, and then next is where it was asked from", async () => {
    for (const after of [9_999, Number.MAX_SAFE_INTEGER]) {
      expect(await read(ada, `?after=${after}`)).toEqual({ data: [], next: after })
    }
  })

  it("tells 50 events unless asked for more or fewer", async () => {
    const caller = await newCaller()
    const tasks = Array.from({ length: 60 }, (_, n) => ({ projectId: caller.inboxId, title: `Task ${n}` }))
    await caller.post("/api/v1/tasks/bulk", { tasks })
    expect((await read(caller)).data.map(({ seq }) => seq)).toEqual(numbers(1, 50))
    expect((await read(caller, "?limit=1")).data.map(({ seq }) => seq)).toEqual([1])
    expect((await read(caller, "?limit=200&after=2")).data.map(({ seq }) => seq)).toEqual(numbers(3, 63))
  })

  it("costs one round trip, and nobody may keep it", async () => {
    const answer = await ada.get("/api/v1/events?after=1&limit=1")
    expect(costOf(answer)).toMatchObject({ trips: 1, written: 0 })
    // The entry, the one after it that tells whether there is more, each of their rows, and the end of the log.
    expect(costOf(answer).read).toBeLessThanOrEqual(5)
    expect(answer.headers.get("cache-control")).toBe("private, no-cache")
  })

  it("shows nothing of another workspace", async () => {
    const eve = await newCaller()
    const hers = await newTask(eve)
    const mine = await newTask(ada)
    const of = async (caller: Caller) => (await eventsOf(caller)).map(({ subjectId }) => subjectId)
    expect(await of(ada)).toContain(mine.id)
    expect(await of(ada)).not.toContain(hers.id)
    expect(await of(eve)).toEqual([eve.workspaceId, eve.userId, eve.inboxId, hers.id])
  })

  it("is for those who are signed in", async () => {
    await problemIn(await ada.app.fetch("/api/v1/events"), 401)
  })

  const wrong: [query: string, pointer: string][] = [
    ["after=-1", "?after"],
    ["after=1.5", "?after"],
    ["after=abc", "?after"],
    ["after=1e400", "?after"],
    ["after=1&after=2", "?after"],
    ["limit=0", "?limit"],
    ["limit=201", "?limit"],
    ["limit=abc", "?limit"],
    ["limit=1&limit=1", "?limit"],
    ["type=task.created", "?type"],
    ["cursor=abc", "?cursor"],
    ["sort=seq", "?sort"],
  ]
  for (const [query, pointer] of wrong) {
    it(`is refused with the parameter named: ${query}`, async () => {
      expect(await pointersIn(await ada.get(`/api/v1/events?${query}`))).toEqual([pointer])
    })
  }

  it("takes or refuses any text as after, and never fails at it", async () => {
    const texts = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double().map(String),
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
    )
    await fc.assert(
      fc.asyncProperty(texts, async (after) => {
        const answer = await ada.get(`/api/v1/events?${new URLSearchParams({ after })}`)
        if (answer.status !== 200) expect(new Set(await pointersIn(answer))).toEqual(new Set(["?after"]))
      }),
      { numRuns: 150, examples: [["9007199254740993"], ["-0"], ["0x10"]] },
    )
  })
})

describe("an event", () => {
  const lastOf = async (caller: Caller) => (await eventsOf(caller)).at(-1)

  it("of something new holds all of it, and nothing before", async () => {
    const task = await newTask(ada, { title: "New", due: { date: "2026-05-01" }, assigneeIds: [ada.userId] })
    const { key, ...fields } = task
    expect(await lastOf(ada)).toMatchObject({
      type: "task.created",
      subjectId: task.id,
      subjectKey: key,
      revision: 1,
      actorId: ada.userId,
      actorRole: "owner",
      source: "api",
      projectId: ada.inboxId,
      previousProjectId: null,
      at: task.createdAt,
    })
    expect((await lastOf(ada))?.data).toEqual({ before: null, after: fields })
  })

  it("of a change holds the changed fields only, as they were and as they are", async () => {
    const task = await newTask(ada, { title: "Before", priority: 2, due: { date: "2026-05-01" } })
    const changes: [patch: Record<string, unknown>, type: string, before: object, after: object][] = [
      [{ title: "After", priority: 2 }, "task.updated", { title: "Before" }, { title: "After" }],
      [
        { due: { at: "2026-05-02T10:00:00.000Z" }, description: "" },
        "task.updated",
        { due: { date: "2026-05-01" } },
        { due: { at: "2026-05-02T10:00:00.000Z" } },
      ],
      [{ due: null }, "task.updated", { due: { at: "2026-05-02T10:00:00.000Z" } }, { due: null }],
      [{ assigneeIds: [ada.userId] }, "task.updated", { assigneeIds: [] }, { assigneeIds: [ada.userId] }],
      [{ status: "in_progress" }, "task.updated", { status: "todo" }, { status: "in_progress" }],
    ]
    for (const [patch, type, before, after] of changes) {
      await ada.patch(`/api/v1/tasks/${task.id}`, patch)
      const event = await lastOf(ada)
      expect([event?.type, event?.subjectId, event?.data]).toEqual([type, task.id, { before, after }])
    }
  })

  it("of closing and reopening holds the status and the time of completion", async () => {
    const task = await newTask(ada)
    const closed = (await (await ada.put(`/api/v1/tasks/${task.id}/closure`)).json()) as { completedAt: string }
    expect(await lastOf(ada)).toMatchObject({ type: "task.closed", revision: 2 })
    expect((await lastOf(ada))?.data).toEqual({
      before: { status: "todo", completedAt: null },
      after: { status: "done", completedAt: closed.completedAt },
    })
    await ada.delete(`/api/v1/tasks/${task.id}/closure`)
    expect((await lastOf(ada))?.type).toBe("task.reopened")
    expect((await lastOf(ada))?.data).toEqual({
      before: { status: "done", completedAt: closed.completedAt },
      after: { status: "todo", completedAt: null },
    })
  })

  it("of a deletion is a tombstone: what was there, and nothing after", async () => {
    const task = await newTask(ada, { title: "Doomed" })
    await ada.delete(`/api/v1/tasks/${task.id}`)
    const event = await lastOf(ada)
    expect(event).toMatchObject({ type: "task.deleted", subjectId: task.id, subjectKey: task.key, revision: 2 })
    expect(event?.data).toEqual({ before: task, after: null })
  })

  it("of a deleted project stands alone, whatever tasks it hides", async () => {
    const project = await newProject(ada, { name: "Doomed" })
    await newTask(ada, { projectId: project.id })
    await newTask(ada, { projectId: project.id })
    const { seq = 0 } = (await lastOf(ada)) ?? {}
    await ada.delete(`/api/v1/projects/${project.id}`)
    const added = await eventsOf(ada, seq)
    expect(added).toHaveLength(1)
    expect(added[0]).toMatchObject({
      seq: seq + 1,
      type: "project.deleted",
      subjectId: project.id,
      projectId: project.id,
      subjectKey: project.key,
    })
    expect(added[0]?.data).toEqual({ before: project, after: null })
  })

  it("of a project's change holds the changed fields only", async () => {
    const project = await newProject(ada, { name: "Old", description: "Stays" })
    await ada.patch(`/api/v1/projects/${project.id}`, { name: "New", description: "Stays" })
    const event = await lastOf(ada)
    expect(event).toMatchObject({ type: "project.updated", revision: 2, projectId: project.id })
    expect(event?.data).toEqual({ before: { name: "Old" }, after: { name: "New" } })
  })

  it("of a member's new name belongs to no project", async () => {
    const caller = await newCaller()
    await caller.patch("/api/v1/me", { name: "Grace" })
    const event = await lastOf(caller)
    expect(event).toMatchObject({ type: "member.updated", subjectId: caller.userId, projectId: null, revision: 2 })
    expect(event?.data).toEqual({ before: { name: "Ada" }, after: { name: "Grace" } })
  })

  it("holds nothing that the caller must not see", async () => {
    const text = JSON.stringify(await eventsOf(ada))
    for (const secret of ["workspaceId", "commitId", "workspace_id", "commit_id", "cmt_"]) {
      expect(text).not.toContain(secret)
    }
  })
})
