import { describe, expect, it } from "vitest"
import { openDb } from "../../src/db/db.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  problemIn,
  taskIn,
} from "../support/caller.ts"
import { execute, send } from "../support/database.ts"
import { between, failingAt, isCommit, losing, refusing } from "../support/faults.ts"

const tenantTables = [
  "heads",
  "members",
  "projects",
  "project_members",
  "tasks",
  "task_assignees",
  "task_aliases",
  "task_relations",
  "events",
  "receipts",
]

/** Every row that the workspace has, in every table. */
async function everythingOf({ workspaceId }: Caller) {
  const results = await send(
    ...tenantTables.map((table): [string, string] => [`select * from ${table} where workspace_id = ?`, workspaceId]),
  )
  return results.map(({ rows }) => rows)
}

type Attempt = { name: string; statements: number; send: (caller: Caller, subject: Subject) => Promise<Response> }
type Subject = { taskId: string; otherId: string; projectId: string }

const key = { "idempotency-key": "once" }

// How many statements each commit has, so that a new one cannot hide from the test.
const attempts: Attempt[] = [
  {
    name: "create a task with an assignee and a key",
    statements: 8,
    send: (c, { projectId }) => c.post("/api/v1/tasks", { projectId, title: "New", assigneeIds: [c.userId] }, key),
  },
  {
    name: "create tasks in bulk",
    statements: 7,
    send: (c, { projectId }) =>
      c.post(
        "/api/v1/tasks/bulk",
        {
          tasks: [
            { projectId, title: "One" },
            { projectId, title: "Two" },
          ],
        },
        key,
      ),
  },
  {
    name: "change a task and its assignee",
    statements: 7,
    send: (c, { taskId }) => c.patch(`/api/v1/tasks/${taskId}`, { title: "Changed", assigneeIds: [c.userId] }, key),
  },
  {
    name: "close a task",
    statements: 6,
    send: (c, { taskId }) => c.put(`/api/v1/tasks/${taskId}/closure`, undefined, key),
  },
  { name: "delete a task", statements: 7, send: (c, { taskId }) => c.delete(`/api/v1/tasks/${taskId}`, key) },
  {
    name: "hang a task under another",
    statements: 6,
    send: (c, { taskId, otherId }) => c.patch(`/api/v1/tasks/${taskId}`, { parentId: otherId }, key),
  },
  {
    name: "put a task beside another",
    statements: 6,
    send: (c, { taskId, otherId }) => c.put(`/api/v1/tasks/${taskId}/position`, { after: otherId }, key),
  },
  {
    name: "relate two tasks",
    statements: 7,
    send: (c, { taskId, otherId }) => c.put(`/api/v1/tasks/${taskId}/relations/blocks/${otherId}`, undefined, key),
  },
  {
    name: "move a task to another project",
    statements: 8,
    send: (c, { taskId }) => c.put(`/api/v1/tasks/${taskId}/project`, { projectId: c.inboxId }, key),
  },
  { name: "create a project", statements: 7, send: (c) => c.post("/api/v1/projects", { name: "Other" }, key) },
  {
    name: "change a project",
    statements: 6,
    send: (c, { projectId }) => c.patch(`/api/v1/projects/${projectId}`, { name: "Renamed" }, key),
  },
  {
    name: "delete a project",
    statements: 6,
    send: (c, { projectId }) => c.delete(`/api/v1/projects/${projectId}`, key),
  },
  { name: "rename oneself", statements: 6, send: (c) => c.patch("/api/v1/me", { name: "Grace" }, key) },
]

async function scene(): Promise<{ ada: Caller; subject: Subject }> {
  const ada = await newCaller()
  const project = await newProject(ada)
  const task = await newTask(ada, { projectId: project.id })
  const other = await newTask(ada, { projectId: project.id })
  return { ada, subject: { taskId: task.id, otherId: other.id, projectId: project.id } }
}

describe("a commit of which one statement fails", () => {
  for (const { name, statements, send } of attempts) {
    it(`changes nothing, the log's head included: ${name}`, async () => {
      const { ada, subject } = await scene()
      const before = await everythingOf(ada)

      for (let index = 0; index < statements; index += 1) {
        const broken = ada.through(await openApp({ database: failingAt(index) }))
        await problemIn(await send(broken, subject), 500)
        expect(await everythingOf(ada), `statement ${index}`).toEqual(before)
      }

      const lengths: number[] = []
      const watched = between((batch) => {
        if (isCommit(batch)) lengths.push(batch.sql.length)
        return batch.run()
      })
      const answer = await send(ada.through(await openApp({ database: watched })), subject)
      expect(answer.ok).toBe(true)
      expect(lengths).toEqual([statements])
    })
  }
})

describe("a commit whose outcome is unknown", () => {
  for (const { name, send } of attempts) {
    it(`lands once when its answer is lost: ${name}`, async () => {
      const { ada, subject } = await scene()
      const events = await eventsOf(ada)

      const answer = await send(ada.through(await openApp({ database: losing("after", 1) })), subject)
      expect(answer.ok).toBe(true)
      const added = (await eventsOf(ada)).slice(events.length)
      expect(new Set(added.map(({ type }) => type)).size).toBe(1)
      expect(added).toHaveLength(name.includes("bulk") ? 2 : 1)
    })
  }

  it("gives the keys that the lost answer would have given", async () => {
    const { ada, subject } = await scene()
    const lossy = ada.through(await openApp({ database: losing("after", 1) }))

    const task = await taskIn(await lossy.post("/api/v1/tasks", { projectId: subject.projectId, title: "Kept" }))
    expect(task).toEqual(await taskIn(await ada.get(`/api/v1/tasks/${task.id}`)))
  })

  it("is tried three times, then answered with 503 and Retry-After", async () => {
    const { ada, subject } = await scene()
    let tries = 0
    const dead = between((batch) => {
      if (!isCommit(batch)) return batch.run()
      tries += 1
      return Promise.reject(new Error("D1_ERROR: Network connection lost."))
    })
    const answer = await ada.through(await openApp({ database: dead })).put(`/api/v1/tasks/${subject.taskId}/closure`)
    expect((await problemIn(answer, 503)).code).toBe("unavailable")
    expect(answer.headers.get("retry-after")).toBe("2")
    expect(tries).toBe(3)
  })

  it("is repeated by the client without a second effect, when it carries a key", async () => {
    const { ada, subject } = await scene()
    const body = { projectId: subject.projectId, title: "Once" }
    const lossy = ada.through(await openApp({ database: losing("after", 3) }))

    const first = await lossy.post("/api/v1/tasks", body, key)
    const second = await ada.post("/api/v1/tasks", body, key)
    expect([first.status, second.status]).toEqual([201, 201])
    expect((await taskIn(first)).id).toBe((await taskIn(second)).id)
  })

  it("survives a connection that breaks before it, twice", async () => {
    const { ada, subject } = await scene()
    const flaky = ada.through(await openApp({ database: losing("before", 2) }))
    const answer = await flaky.put(`/api/v1/tasks/${subject.taskId}/closure`)
    expect(await taskIn(answer)).toMatchObject({ status: "done", revision: 2 })
    expect(await historyOf(ada, subject.taskId)).toEqual(["task.created", "task.closed"])
  })
})

describe("an overloaded database", () => {
  it("is not asked again, and the caller is told when to", async () => {
    const { ada, subject } = await scene()
    let asked = 0
    const busy = between(() => {
      asked += 1
      return Promise.reject(new Error("D1_ERROR: D1 DB is overloaded. Requests queued for too long."))
    })
    const answer = await ada.through(await openApp({ database: busy })).get(`/api/v1/tasks/${subject.taskId}`)
    expect((await problemIn(answer, 503)).code).toBe("unavailable")
    expect(answer.headers.get("retry-after")).toBe("2")
    expect(asked).toBe(1)
  })

  it("counts the timeout that resets the object as overload", async () => {
    const { ada } = await scene()
    const message = "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset."
    const answer = await ada.through(await openApp({ database: refusing(message) })).get("/api/v1/tasks")
    await problemIn(answer, 503)
  })
})

describe("a database that does not answer", () => {
  it("is given up at the deadline, after three tries", async () => {
    let asked = 0
    const silent = between(() => {
      asked += 1
      return new Promise(() => undefined)
    })
    const db = openDb(silent.connect(), { readDeadlineMs: 5, sleep: () => Promise.resolve() })
    const read = db.read(db.sql.select().from(db.tables.heads))
    await expect(read).rejects.toMatchObject({ fault: { kind: "timeout" } })
    expect(asked).toBe(3)
  })
})

describe("two writers", () => {
  it("cannot both change one revision", async () => {
    const { ada, subject } = await scene()
    const path = `/api/v1/tasks/${subject.taskId}`
    const answers = await Promise.all(
      [1, 2, 3, 4].map((priority) => ada.patch(path, { priority }, { "if-match": '"1"' })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
    expect(await historyOf(ada, subject.taskId)).toEqual(["task.created", "task.updated"])
  })

  it("are both heard when neither insists on a revision", async () => {
    const { ada, subject } = await scene()
    const path = `/api/v1/tasks/${subject.taskId}`
    const answers = await Promise.all([ada.patch(path, { priority: 3 }), ada.patch(path, { title: "Together" })])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const task = await taskIn(await ada.get(path))
    expect(task).toMatchObject({ priority: 3, title: "Together", revision: 3 })
  })

  it("meet at the same moment: the slower one loses its whole commit and is applied to what the faster one left", async () => {
    const { ada, subject } = await scene()
    const path = `/api/v1/tasks/${subject.taskId}`
    let isFirst = true
    const overtaken = between(async (batch) => {
      if (isCommit(batch) && isFirst) {
        isFirst = false
        await ada.patch(path, { priority: 4 })
      }
      return batch.run()
    })
    const answer = await ada.through(await openApp({ database: overtaken })).patch(path, { title: "Slower" })
    expect(await taskIn(answer)).toMatchObject({ title: "Slower", priority: 4, revision: 3 })
    const seqs = (await eventsOf(ada)).map(({ seq }) => seq)
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  })
})

describe("a row that is gone between loading and committing", () => {
  /** Deletes the project just before the first commit of whoever uses this database. */
  const pulledAway = (ada: Caller, projectId: string) => {
    let isThere = true
    return between(async (batch) => {
      if (isCommit(batch) && isThere) {
        isThere = false
        await ada.delete(`/api/v1/projects/${projectId}`)
      }
      return batch.run()
    })
  }

  const late = attempts.filter(({ name }) => !["create a project", "delete a project", "rename oneself"].includes(name))

  for (const { name, send } of late) {
    it(`leaves no event of what was not written: ${name}`, async () => {
      const { ada, subject } = await scene()
      const events = (await eventsOf(ada)).length
      const answer = await send(ada.through(await openApp({ database: pulledAway(ada, subject.projectId) })), subject)
      expect([404, 422]).toContain(answer.status)
      expect((await eventsOf(ada)).slice(events).map(({ type }) => type)).toEqual(["project.deleted"])
    })
  }
})

describe("50 concurrent creates in one project", () => {
  it("take 50 consecutive keys and 50 consecutive numbers of the log", async () => {
    const { ada } = await scene()
    const project = await newProject(ada, { name: "Rush" })
    const from = (await eventsOf(ada)).length
    const tasks = await Promise.all(
      Array.from({ length: 50 }, (_, index) => newTask(ada, { projectId: project.id, title: `Task ${index}` })),
    )
    const numbers = tasks.map((task) => Number(task.key.split("-")[1])).sort((a, b) => a - b)
    expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    expect((await eventsOf(ada)).slice(from).map(({ seq }) => seq)).toEqual(numbers.map((n) => from + n))
  })
})

describe("an actor whose role changed a moment ago", () => {
  const demote = async ({ workspaceId, userId }: Caller) => {
    await execute("update members set role = 'guest' where workspace_id = ? and user_id = ?", workspaceId, userId)
    await execute("update project_members set level = 1 where workspace_id = ? and user_id = ?", workspaceId, userId)
  }

  it("reads with the token's role, and writes nothing", async () => {
    const { ada, subject } = await scene()
    await demote(ada)
    const before = await everythingOf(ada)
    for (const { name, send } of attempts.filter(({ name }) => name !== "rename oneself")) {
      // Where the task was to go, they see nothing by now.
      expect((await send(ada, subject)).status, name).toBe(name.includes("move") ? 422 : 403)
    }
    expect(await everythingOf(ada)).toEqual(before)
    expect((await ada.get(`/api/v1/tasks/${subject.taskId}`)).status).toBe(200)
  })

  it("and one who is no member any more cannot write either", async () => {
    const { ada, subject } = await scene()
    await execute("delete from members where workspace_id = ? and user_id = ?", ada.workspaceId, ada.userId)
    const before = await everythingOf(ada)
    for (const { name, send } of attempts.filter(({ name }) => name !== "rename oneself")) {
      expect((await send(ada, subject)).status, name).toBe(403)
    }
    expect(await everythingOf(ada)).toEqual(before)
  })
})

describe("the budget of round trips and billed rows", () => {
  it("holds for every write", async () => {
    const { ada, subject } = await scene()
    const project = await newProject(ada, { name: "Budget" })
    const create = costOf(await ada.post("/api/v1/tasks", { projectId: project.id, title: "Counted" }))
    const path = `/api/v1/tasks/${subject.taskId}`
    const patch = costOf(await ada.patch(path, { title: "Counted", priority: 2 }))
    const close = costOf(await ada.put(`${path}/closure`))
    const reopen = costOf(await ada.delete(`${path}/closure`))
    const remove = costOf(await ada.delete(path))

    expect({
      create: create.trips,
      patch: patch.trips,
      close: close.trips,
      reopen: reopen.trips,
      remove: remove.trips,
    }).toEqual({
      create: 1,
      patch: 2,
      close: 2,
      reopen: 2,
      remove: 2,
    })
    expect(create.written).toBeLessThanOrEqual(16)
    expect(close.written).toBeLessThanOrEqual(9)
    expect(patch.written).toBeLessThanOrEqual(8)
  })

  it("holds for creates, changes and deletes of projects", async () => {
    const ada = await newCaller()
    const created = await ada.post("/api/v1/projects", { name: "Counted" })
    expect(costOf(created).trips).toBe(1)
    const path = created.headers.get("location") ?? ""
    expect(costOf(await ada.get(path)).trips).toBe(1)
    expect(costOf(await ada.patch(path, { name: "Recounted" })).trips).toBe(2)
    expect(costOf(await ada.delete(path)).trips).toBe(2)
  })
})
