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
  pointersIn,
  taskIn,
} from "../support/caller.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const key = (name: string = crypto.randomUUID()) => ({ "idempotency-key": name })

/** Status, headers that carry meaning, and body: what a client sees. */
async function seen(answer: Response) {
  const { status, headers } = answer
  return { status, etag: headers.get("etag"), location: headers.get("location"), body: await answer.text() }
}

describe("a request that is repeated with its Idempotency-Key", () => {
  const day = 24 * 60 * 60 * 1_000

  const requests: [
    string,
    (c: Caller, taskId: string, projectId: string, once: Record<string, string>) => Promise<Response>,
  ][] = [
    ["creates one task", (c, _t, projectId, once) => c.post("/api/v1/tasks", { projectId, title: "Once" }, once)],
    [
      "creates a batch once",
      (c, _t, projectId, once) =>
        c.post(
          "/api/v1/tasks/bulk",
          {
            tasks: [
              { projectId, title: "1" },
              { projectId, title: "2" },
            ],
          },
          once,
        ),
    ],
    [
      "makes one webhook",
      (c, _t, _p, once) =>
        c.post("/api/v1/webhooks", { url: "http://127.0.0.1:9/", events: ["workspace.restored"] }, once),
    ],
    ["creates one project", (c, _t, _p, once) => c.post("/api/v1/projects", { name: "Once" }, once)],
    ["changes a task once", (c, taskId, _p, once) => c.patch(`/api/v1/tasks/${taskId}`, { priority: 2 }, once)],
    [
      "changes a task once, although its If-Match is stale by then",
      (c, taskId, _p, once) => c.patch(`/api/v1/tasks/${taskId}`, { priority: 3 }, { ...once, "if-match": '"1"' }),
    ],
    ["closes a task once", (c, taskId, _p, once) => c.put(`/api/v1/tasks/${taskId}/closure`, undefined, once)],
    [
      "deletes a task once, although it is gone by then",
      (c, taskId, _p, once) => c.delete(`/api/v1/tasks/${taskId}`, once),
    ],
    [
      "changes a project once",
      (c, _t, projectId, once) => c.patch(`/api/v1/projects/${projectId}`, { name: "New" }, once),
    ],
    ["deletes a project once", (c, _t, projectId, once) => c.delete(`/api/v1/projects/${projectId}`, once)],
  ]

  for (const [name, send] of requests) {
    it(`${name}, and says so`, async () => {
      const project = await newProject(ada)
      const task = await newTask(ada, { projectId: project.id })
      const once = key()
      const first = await send(ada, task.id, project.id, once)
      const events = await eventsOf(ada)
      const again = await send(ada, task.id, project.id, once)

      expect(first.ok).toBe(true)
      expect(first.headers.get("idempotency-replayed")).toBeNull()
      expect(again.headers.get("idempotency-replayed")).toBe("true")
      expect(await seen(again)).toEqual(await seen(first))
      expect(again.headers.get("content-type")).toBe(first.headers.get("content-type"))
      expect(await eventsOf(ada)).toEqual(events)
    })

    it(`${name}, when both arrive at once`, async () => {
      const project = await newProject(ada)
      const task = await newTask(ada, { projectId: project.id })
      const events = (await eventsOf(ada)).length
      const once = key()
      const answers = await Promise.all([1, 2, 3].map(() => send(ada, task.id, project.id, once)))

      const [first, ...others] = await Promise.all(answers.map(seen))
      expect(first?.status).toBeLessThan(300)
      for (const other of others) expect(other).toEqual(first)
      expect(answers.filter(({ headers }) => headers.get("idempotency-replayed") === "true")).toHaveLength(2)
      expect((await eventsOf(ada)).length).toBe(events + (name.includes("batch") ? 2 : 1))
    })
  }

  it("is told the first answer, whatever has happened since", async () => {
    const once = key()
    const input = { projectId: ada.inboxId, title: "First" }
    const created = await taskIn(await ada.post("/api/v1/tasks", input, once))
    await ada.patch(`/api/v1/tasks/${created.id}`, { title: "Later" })
    await ada.delete(`/api/v1/tasks/${created.id}`)
    expect(await taskIn(await ada.post("/api/v1/tasks", input, once))).toEqual(created)
  })

  it("is remembered although it changed nothing", async () => {
    const task = await newTask(ada, { status: "done" })
    const once = key()
    await ada.put(`/api/v1/tasks/${task.id}/closure`, undefined, once)
    await ada.delete(`/api/v1/tasks/${task.id}`)
    const again = await ada.put(`/api/v1/tasks/${task.id}/closure`, undefined, once)
    expect(await taskIn(again)).toEqual(task)
    expect(await historyOf(ada, task.id)).toEqual(["task.created", "task.deleted"])
  })

  it("is refused when it is another request: other body, other path, other method", async () => {
    const once = key()
    const task = await newTask(ada)
    await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 1 }, once)
    expect(await pointersIn(await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 2 }, once))).toEqual([
      "Idempotency-Key",
    ])
    expect(await pointersIn(await ada.delete(`/api/v1/tasks/${task.id}`, once))).toEqual(["Idempotency-Key"])
    expect(await taskIn(await ada.get(`/api/v1/tasks/${task.id}`))).toMatchObject({ priority: 1, revision: 2 })
  })

  it("may be tried again after a refusal: nothing was done, so nothing is remembered", async () => {
    const once = key()
    const task = await newTask(ada)
    const path = `/api/v1/tasks/${task.id}`
    expect((await ada.patch(path, { priority: 1 }, { ...once, "if-match": '"2"' })).status).toBe(412)
    expect((await ada.patch(path, { priority: 1 }, { ...once, "if-match": '"1"' })).status).toBe(200)
  })

  it("is somebody else's business when another user has the same key", async () => {
    const eve = await newCaller()
    const once = key("shared")
    const mine = await taskIn(await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Mine" }, once))
    const hers = await eve.post("/api/v1/tasks", { projectId: eve.inboxId, title: "Hers" }, once)
    expect(hers.headers.get("idempotency-replayed")).toBeNull()
    expect((await taskIn(hers)).id).not.toBe(mine.id)
  })

  it("is remembered for seven days", async () => {
    const bob = await newCaller()
    const input = { projectId: bob.inboxId, title: "Again" }
    const once = key()
    const first = await taskIn(await bob.post("/api/v1/tasks", input, once))

    const later = async (days: number) => {
      const now = Date.now() + days * day
      const app = await openApp({ now: () => now })
      const { role, ...rest } = { role: "owner" as const, userId: bob.userId, workspaceId: bob.workspaceId }
      const accessToken = await app.instance.tokens.issue(
        { ...rest, role, sessionId: "ses_01j00000000000000000000000" },
        now,
      )
      return app.fetch("/api/v1/tasks", {
        method: "POST",
        headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json", ...once },
        body: JSON.stringify(input),
      })
    }
    expect((await taskIn(await later(6.9))).id).toBe(first.id)
    const renewed = await later(7.1)
    expect(renewed.headers.get("idempotency-replayed")).toBeNull()
    expect((await taskIn(renewed)).id).not.toBe(first.id)
  })
})

describe("an Idempotency-Key", () => {
  it("may stand in quotes, as the draft has it, or bare", async () => {
    const input = { projectId: ada.inboxId, title: "Quoted" }
    const first = await taskIn(await ada.post("/api/v1/tasks", input, key('"quoted-1"')))
    expect((await taskIn(await ada.post("/api/v1/tasks", input, key("quoted-1")))).id).toBe(first.id)
  })

  it("is refused when it is empty, too long, or not ASCII", async () => {
    const input = { projectId: ada.inboxId, title: "x" }
    for (const wrong of ['""', "x".repeat(256), "schlüssel"]) {
      expect(await pointersIn(await ada.post("/api/v1/tasks", input, key(wrong)))).toEqual(["Idempotency-Key"])
    }
  })

  it("costs a successful request no round trip, and means nothing to a read", async () => {
    const answer = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x" }, key())
    expect(costOf(answer).trips).toBe(1)
    // What a create writes, and the receipt.
    expect(costOf(answer).written).toBeLessThanOrEqual(17)
    expect((await ada.get("/api/v1/tasks", key("x".repeat(999)))).status).toBe(200)
  })
})
