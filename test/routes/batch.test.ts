import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { BatchResults, type CommandResultView, commandRoutes } from "../../src/contracts/batch.ts"
import { operationOf } from "../../src/http/contract.ts"
import { newId } from "../../src/lib/ids.ts"
import type { policies } from "../../src/limits/policies.ts"
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
  sharedApp,
  taskIn,
} from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { between, isCommit, losing, refusing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

type Command = { key?: string; method: string; path: string; body?: unknown; ifMatch?: string; after?: string[] }

const keyed = (commands: Command[]) => commands.map((command) => ({ key: crypto.randomUUID(), ...command }))
const send = (caller: Caller, commands: Command[]) => caller.post("/api/v1/batch", { commands: keyed(commands) })

async function resultsIn(answer: Response): Promise<CommandResultView[]> {
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`Expected 200, got ${answer.status}: ${text}`)
  return BatchResults.parse(JSON.parse(text)).results
}

const done = async (caller: Caller, commands: Command[]) => resultsIn(await send(caller, commands))
const statuses = (results: CommandResultView[]) => results.map(({ status }) => status)
const bodyAt = (results: CommandResultView[], index: number) => results[index]?.body as Record<string, unknown>

/** A project, a task in it, a subtask, a label and a comment, each named before it is there. */
function offline() {
  const ids = {
    project: newId("project"),
    task: newId("task"),
    subtask: newId("task"),
    label: newId("label"),
    comment: newId("comment"),
  }
  const { project: projectId, task: parentId, label } = ids
  const commands = keyed([
    { method: "POST", path: "/projects", body: { id: projectId, name: "Offline" } },
    { method: "POST", path: "/labels", body: { id: label, name: crypto.randomUUID() } },
    { method: "POST", path: "/tasks", body: { id: parentId, projectId, title: "Above", labelIds: [label] } },
    { method: "POST", path: "/tasks", body: { id: ids.subtask, projectId, parentId, title: "Below" } },
    { method: "POST", path: `/tasks/${ids.subtask}/comments`, body: { id: ids.comment, body: "On the train" } },
    { method: "PATCH", path: `/tasks/${ids.subtask}`, body: { priority: 3 }, ifMatch: '"1"' },
    { method: "PUT", path: `/tasks/${ids.subtask}/closure` },
    { method: "DELETE", path: `/comments/${ids.comment}` },
  ])
  return { ids, commands }
}

describe("POST /batch", () => {
  it("does what was written offline in its order, each command alone, with ids that the client has made", async () => {
    const { ids, commands } = offline()
    const before = (await eventsOf(ada)).length
    const results = await done(ada, commands)
    expect(statuses(results)).toEqual([201, 201, 201, 201, 201, 200, 200, 204])
    expect(results.map(({ key }) => key)).toEqual(commands.map(({ key }) => key))
    expect(results.every(({ replayed }) => !replayed)).toBe(true)
    expect(bodyAt(results, 2)).toMatchObject({ id: ids.task, key: "OFF-1", labelIds: [ids.label] })
    expect(results[5]?.etag).toBe('"2"')
    expect(await taskIn(await ada.get(`/api/v1/tasks/${ids.subtask}`))).toMatchObject({
      parentId: ids.task,
      priority: 3,
      status: "done",
      revision: 3,
    })
    const events = (await eventsOf(ada)).slice(before)
    expect(events.map(({ type }) => type)).toEqual([
      "project.created",
      "label.created",
      "task.created",
      "task.created",
      "comment.created",
      "task.updated",
      "task.closed",
      "comment.deleted",
    ])
  })

  it("gives every answer again when it is repeated, and does nothing twice", async () => {
    // Without the last, which takes a comment's text back: that is told nobody again.
    const commands = offline().commands.slice(0, -1)
    const first = await done(ada, commands)
    const events = await eventsOf(ada)
    const again = await done(ada, commands)
    expect(again.every(({ replayed }) => replayed)).toBe(true)
    expect(again.map(({ replayed: _, ...result }) => result)).toEqual(first.map(({ replayed: _, ...result }) => result))
    expect(await eventsOf(ada)).toEqual(events)
  })

  it("shares its keys with the single routes", async () => {
    const body = { projectId: ada.inboxId, title: "Once" }
    const key = crypto.randomUUID()
    const single = await taskIn(await ada.post("/api/v1/tasks", body, { "idempotency-key": key }))
    const [result] = await done(ada, [{ key, method: "POST", path: "/tasks", body }])
    expect(result).toMatchObject({ status: 201, replayed: true, body: { id: single.id } })
    const [other] = await done(ada, [{ key, method: "POST", path: "/tasks", body: { ...body, title: "Else" } }])
    expect(other?.problem?.errors).toEqual([{ pointer: "/commands/0/key", detail: "was used for another request" }])
  })

  it("goes on after a command that fails, and skips those that name it, and those that name them", async () => {
    const task = await newTask(ada)
    const path = `/tasks/${task.id}`
    const results = await done(ada, [
      { key: "a", method: "PATCH", path, body: { title: "" } },
      { key: "b", method: "PATCH", path, body: { priority: 2 }, after: ["a"] },
      { key: "c", method: "PATCH", path, body: { priority: 3 }, after: ["b"] },
      { key: crypto.randomUUID(), method: "PATCH", path, body: { priority: 4 } },
    ])
    expect(statuses(results)).toEqual([422, 424, 424, 200])
    expect(results[0]?.problem?.errors).toEqual([{ pointer: "/commands/0/body/title", detail: "must not be empty" }])
    expect(results[1]?.problem).toMatchObject({ code: "skipped", status: 424 })
    expect(await historyOf(ada, task.id)).toEqual(["task.created", "task.updated"])
  })

  it("is not stopped by a failed command to do it later: a refusal is not remembered", async () => {
    const task = await newTask(ada)
    const commands = keyed([{ method: "PATCH", path: `/tasks/${task.id}`, body: { priority: 2 }, ifMatch: '"2"' }])
    expect(statuses(await done(ada, commands))).toEqual([412])
    await ada.patch(`/api/v1/tasks/${task.id}`, { priority: 1 })
    expect(statuses(await done(ada, commands))).toEqual([200])
  })

  it("answers each command as its route does: 404, 403, 409, 412 and 422, naming the field", async () => {
    const host = await newCaller()
    const guest = await joined(host, "guest", "Gus")
    const hidden = await newTask(host)
    const label = newId("label")
    const shown = await newProject(host)
    await host.put(`/api/v1/projects/${shown.id}/members/${guest.userId}`, { level: "view" })
    const seen = await newTask(host, { projectId: shown.id })
    const results = await done(guest, [
      { method: "PATCH", path: `/tasks/${hidden.id}`, body: { priority: 1 } },
      { method: "PATCH", path: `/tasks/${seen.id}`, body: { priority: 1 } },
      { method: "POST", path: "/labels", body: { id: label, name: "x" } },
      { method: "PUT", path: `/tasks/${seen.id}/follower` },
    ])
    expect(results.map(({ problem, status }) => problem?.code ?? status)).toEqual([
      "not_found",
      "forbidden",
      "forbidden",
      204,
    ])
    const mine = await done(host, [
      { method: "POST", path: "/tasks", body: { id: seen.id, projectId: shown.id, title: "x" } },
      { method: "PATCH", path: `/tasks/${seen.id}`, body: { priority: 1 }, ifMatch: '"9"' },
      { method: "PATCH", path: `/tasks/${seen.id}`, body: { assigneeIds: ["usr_01j00000000000000000000000"] } },
      { method: "PATCH", path: `/tasks/${seen.id}`, body: null },
      { method: "PATCH", path: `/tasks/${seen.id}`, body: { priority: 1 }, ifMatch: "1" },
    ])
    expect(statuses(mine)).toEqual([409, 412, 422, 422, 400])
    expect(mine.flatMap(({ problem }) => problem?.errors?.map(({ pointer }) => pointer) ?? [])).toEqual([
      "/commands/0/body/id",
      "/commands/2/body/assigneeIds/0",
      "/commands/3/body",
    ])
  })

  it("is refused as a whole, and does nothing, when it is not a batch: by the place of the fault", async () => {
    const task = await newTask(ada)
    const fine = { key: "k", method: "PATCH", path: `/tasks/${task.id}`, body: { priority: 1 } }
    const wrong: [string[], unknown][] = [
      [["/commands"], { commands: [] }],
      [["/commands"], { commands: Array.from({ length: 101 }, (_, n) => ({ ...fine, key: `${n}` })) }],
      [["/commands/1/key"], { commands: [fine, fine] }],
      [["/commands/1/key"], { commands: [fine, { ...fine, key: "a b" }] }],
      [["/commands/0/key"], { commands: [{ ...fine, key: undefined }] }],
      [["/commands/0/method"], { commands: [{ ...fine, method: "GET" }] }],
      [["/commands/0/after/0"], { commands: [{ ...fine, after: ["k"] }] }],
      [["/commands/1/after/1"], { commands: [fine, { ...fine, key: "l", after: ["k", "m"] }] }],
      [["/commands/1/body"], { commands: [fine, { ...fine, key: "l", path: `${fine.path}/closure`, method: "PUT" }] }],
      [["/commands/0/colour"], { commands: [{ ...fine, colour: "red" }] }],
      ...["/tasks/bulk", "/batch", "/me", "/members/x", "/api-keys", "/tasks", "/projects/x/members/y"].map(
        (path): [string[], unknown] => [["/commands/0/path"], { commands: [{ ...fine, method: "PUT", path }] }],
      ),
      ...[
        "tasks/x",
        "/tasks/../me",
        "/tasks/%2e%2e/x",
        "/tasks/x?y=1",
        "/tasks/x#y",
        "/tasks\\x",
        "/tasks//x",
        "//evil.example/tasks",
        "/tasks/%zz",
        "/tasks/é",
      ].map((path): [string[], unknown] => [["/commands/0/path"], { commands: [{ ...fine, path }] }]),
    ]
    for (const [pointers, body] of wrong) {
      expect(
        [...new Set(await pointersIn(await ada.post("/api/v1/batch", body)))],
        JSON.stringify(body).slice(0, 200),
      ).toEqual(pointers)
    }
    expect(await historyOf(ada, task.id)).toEqual(["task.created"])
  })

  it("offers routes that are there, and no list of many things at once", async () => {
    const { hono } = await sharedApp()
    const known = new Set(
      hono.routes.flatMap(({ method, path, handler }) => (operationOf(handler) ? [`${method} ${path}`] : [])),
    )
    const offered = Object.keys(commandRoutes).map((route) => route.replace(" ", " /api/v1"))
    expect(offered.filter((route) => !known.has(route))).toEqual([])
    expect(offered.filter((route) => /GET|bulk|batch/.test(route))).toEqual([])
    // Whatever is said to take no body takes none, and the other way round.
    const taking = new Set(
      hono.routes.flatMap(({ method, path, handler }) => {
        const contract = Object.getOwnPropertySymbols(handler).map((symbol) => Reflect.get(handler, symbol))[0]
        return contract?.target === "json" ? [`${method} ${path}`] : []
      }),
    )
    for (const [route, takesBody] of Object.entries(commandRoutes)) {
      expect(taking.has(route.replace(" ", " /api/v1")), route).toBe(takesBody)
    }
  })

  it("costs for each command what its route costs", async () => {
    const task = await newTask(ada)
    const answer = await send(ada, [
      { method: "POST", path: "/tasks", body: { projectId: ada.inboxId, title: "1 trip" } },
      { method: "PATCH", path: `/tasks/${task.id}`, body: { priority: 1 } },
      { method: "PUT", path: `/tasks/${task.id}/closure` },
    ])
    expect(statuses(await resultsIn(answer))).toEqual([201, 200, 200])
    expect(costOf(answer).trips).toBe(5)
  })

  it("counts as many requests as it has commands, or is refused before any is done", async () => {
    const eve = await newCaller(await openApp({ limiter: await onlyCounting(7) }))
    const create = { method: "POST", path: "/tasks", body: { projectId: eve.inboxId, title: "x" } }
    const four = await send(eve, [create, create, create, create])
    expect(four.status).toBe(200)
    expect(four.headers.get("ratelimit")).toContain("r=3;")
    const problem = await problemIn(await send(eve, [create, create, create, create]), 429)
    expect(problem.code).toBe("rate_limited")
    const { data } = await pageIn(await eve.get("/api/v1/tasks"))
    expect(data).toHaveLength(4)
  })

  it("never reaches another workspace, whatever ids it names", async () => {
    const eve = await newCaller()
    const task = await newTask(ada)
    const results = await done(eve, [
      { method: "PATCH", path: `/tasks/${task.id}`, body: { title: "Mine now" } },
      // The id is free in this workspace: both have a task of that id, and neither sees the other's.
      { method: "POST", path: "/tasks", body: { id: task.id, projectId: eve.inboxId, title: "Hers" } },
      { method: "DELETE", path: `/tasks/${task.id}` },
    ])
    expect(statuses(results)).toEqual([404, 201, 204])
    expect(await taskIn(await ada.get(`/api/v1/tasks/${task.id}`))).toEqual(task)
  })

  it("answers 401 to whoever has no token, and each command 401 once the key that let them in is revoked", async () => {
    await problemIn(await ada.app.fetch("/api/v1/batch", { method: "POST" }), 401)
    const made = await ada.post("/api/v1/api-keys", { name: "Offline", scopes: ["task:read", "task:write"] })
    const { id, key } = (await made.json()) as { id: string; key: string }
    const program = ada.as(key)
    const create = { method: "POST", path: "/tasks", body: { projectId: ada.inboxId, title: "x" } }
    expect(statuses(await done(program, [create]))).toEqual([201])
    await ada.delete(`/api/v1/api-keys/${id}`)
    // This place may still know the key: the first commit finds out, and the rest is not tried.
    const answer = await send(program, [create, create])
    expect(answer.status === 401 || statuses(await resultsIn(answer)).join() === "401,424").toBe(true)
    await problemIn(await send(program, [create]), 401)
  })
})

/** A limiter that lets so many requests through, and no more. */
async function onlyCounting(quota: number) {
  const { instance } = await sharedApp()
  let left = quota
  return {
    ...instance.limiter,
    take: async (policy: (typeof policies)[keyof typeof policies], _key: string, _later?: unknown, count = 1) => {
      if (!policy.name.startsWith("user")) return { policy, isAllowed: true, remaining: 9, resetMs: 1_000, window: 1 }
      const isAllowed = count <= left
      if (isAllowed) left -= count
      return { policy, isAllowed, remaining: left, resetMs: 1_000, window: 1 }
    },
  }
}

/** A database that is gone from the `at`-th commit on, which was done or was not. */
function dyingAt(at: number, when: "before" | "after") {
  const gone = () => new Error("D1_ERROR: D1 DB is overloaded. Requests queued for too long.")
  let commits = 0
  return between(async (batch) => {
    if (commits > at) throw gone()
    if (!isCommit(batch)) return batch.run()
    commits += 1
    if (commits <= at) return batch.run()
    if (when === "after") await batch.run()
    throw gone()
  })
}

describe("a batch that is cut off", () => {
  it("is completed by a repeat, and each command is done once: at whichever commit the connection broke", async () => {
    for (const when of ["before", "after"] as const) {
      for (let at = 0; at < 4; at += 1) {
        const { ids, commands } = offline()
        const dying = dyingAt(at, when)
        const cut = await send(ada.through(await openApp({ database: dying })), commands)
        expect(cut.headers.get("retry-after")).toBe("2")
        const results = await resultsIn(cut)
        expect(statuses(results).slice(0, at + 1)).toEqual([...Array.from({ length: at }, () => 201), 503])
        expect(new Set(statuses(results).slice(at + 1))).toEqual(new Set([424]))

        const repeated = await done(ada, commands)
        expect(statuses(repeated)).toEqual([201, 201, 201, 201, 201, 200, 200, 204])
        expect(repeated.map(({ replayed }) => replayed).slice(0, at + 1)).toEqual([
          ...Array.from({ length: at }, () => true),
          when === "after",
        ])
        expect(await historyOf(ada, ids.subtask)).toEqual(["task.created", "task.updated", "task.closed"])
        expect(await historyOf(ada, ids.project)).toEqual(["project.created"])
      }
    }
  })

  it("lands once when an answer of the database is lost, and says nothing of it", async () => {
    const { ids, commands } = offline()
    const lossy = ada.through(await openApp({ database: losing("after", 3) }))
    expect(statuses(await done(lossy, commands))).toEqual([201, 201, 201, 201, 201, 200, 200, 204])
    expect(await historyOf(ada, ids.subtask)).toEqual(["task.created", "task.updated", "task.closed"])
  })

  it("tries nothing further when the database does not answer", async () => {
    const broken = ada.through(await openApp({ database: refusing("D1_ERROR: D1 DB is overloaded") }))
    const { commands } = offline()
    expect(statuses(await done(broken, commands))).toEqual([503, ...Array.from({ length: 7 }, () => 424)])
  })

  it("goes on after a fault of ours, which tells nothing of itself", async () => {
    let isFirst = true
    const faulty = between(async (batch) => {
      if (!isCommit(batch) || !isFirst) return batch.run()
      isFirst = false
      throw new Error("secret detail")
    })
    const task = await newTask(ada)
    const patch = { method: "PATCH", path: `/tasks/${task.id}`, body: { priority: 1 } }
    const answer = await send(ada.through(await openApp({ database: faulty })), [patch, patch])
    const text = await answer.clone().text()
    expect(statuses(await resultsIn(answer))).toEqual([500, 200])
    expect(text).not.toContain("secret")
  })

  it("is done once when it arrives twice at once", async () => {
    const { ids, commands } = offline()
    const answers = await Promise.all([send(ada, commands), send(ada, commands)])
    const results = await Promise.all(answers.map(resultsIn))
    // Both may be at the same command at the same time; whoever comes second is told what the first was, or is
    // overtaken and told so: a third time everything is told.
    const last = await done(ada, commands)
    expect(last.every(({ replayed }) => replayed)).toBe(true)
    for (const told of results) expect(statuses(told)).toEqual(statuses(last))
    expect(await historyOf(ada, ids.subtask)).toEqual(["task.created", "task.updated", "task.closed"])
    const rows = await rowsOf(
      "select id from tasks where workspace_id = ? and project_id = ?",
      ada.workspaceId,
      ids.project,
    )
    expect(rows).toHaveLength(2)
  })
})

describe("whatever is sent as a batch", () => {
  it("is refused or done, and never a fault of ours", async () => {
    const task = await newTask(ada)
    const word = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.constantFrom(
        "",
        "/tasks",
        `/tasks/${task.id}`,
        "/tasks/%FF",
        "/tasks/%00",
        "/comments/x/reactions/%F0%9F%91",
        "POST",
        "PATCH",
        "k",
        "\ud800",
        "__proto__",
      ),
    )
    const command = fc.record(
      {
        key: fc.oneof({ weight: 4, arbitrary: fc.uuid() }, { weight: 1, arbitrary: word }),
        method: fc.oneof(fc.constantFrom("POST", "PATCH", "PUT", "DELETE"), word),
        path: fc.oneof(
          fc.constantFrom("/tasks", "/labels", "/projects", `/tasks/${task.id}`, "/tasks/%FF/closure"),
          word,
        ),
        body: fc.oneof(fc.jsonValue(), fc.record({ title: word, projectId: fc.constant(ada.inboxId), id: word })),
        ifMatch: word,
        after: fc.array(word, { maxLength: 3 }),
      },
      { requiredKeys: ["key", "method", "path"] },
    )
    const batch = fc.oneof(
      { weight: 4, arbitrary: fc.record({ commands: fc.array(command, { maxLength: 4 }) }) },
      { weight: 1, arbitrary: fc.jsonValue() },
    )
    await fc.assert(
      fc.asyncProperty(batch, async (body) => {
        const answer = await ada.post("/api/v1/batch", JSON.stringify(body))
        if (answer.status !== 200) return void (await problemIn(answer, 422))
        for (const { status } of await resultsIn(answer)) expect(status).toBeLessThan(500)
      }),
      { numRuns: 150 },
    )
  })

  it("may be nested more deeply than calls go", async () => {
    for (const [open, inmost, close] of [
      ["[", "", "]"],
      ['{"0":', "1", "}"],
    ] as const) {
      const deep = `${open.repeat(150_000)}${inmost}${close.repeat(150_000)}`
      const text = `{"commands":[{"key":"k","method":"POST","path":"/tasks","body":${deep}}]}`
      const answer = await ada.post("/api/v1/batch", text)
      const problem = answer.status === 200 ? (await resultsIn(answer))[0]?.problem : await problemIn(answer, 422)
      expect(problem?.errors?.[0]?.pointer).toMatch(/^\/commands\/0\/body/)
    }
  })
})
