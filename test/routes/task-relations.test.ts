import { beforeAll, describe, expect, it } from "vitest"
import { RelationList, type RelationView, relationKinds } from "../../src/contracts/task-relations.ts"
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
import { execute, rowsOf } from "../support/database.ts"
import { between, isCommit } from "../support/faults.ts"
import { joined } from "../support/people.ts"
import { nthTask, seedTasks } from "../support/seed.ts"

let ada: Caller
let ben: Caller

beforeAll(async () => {
  ada = await newCaller()
  ben = await joined(ada, "member", "Ben")
})

const pathOf = (a: string, kind: string, b: string) => `/api/v1/tasks/${a}/relations/${kind}/${b}`
const relate = (caller: Caller, a: string, kind: string, b: string) => caller.put(pathOf(a, kind, b))
const unrelate = (caller: Caller, a: string, kind: string, b: string) => caller.delete(pathOf(a, kind, b))

async function relationsOf(caller: Caller, id: string): Promise<[RelationView["kind"], string][]> {
  const answer = await caller.get(`/api/v1/tasks/${id}/relations`)
  expect(costOf(answer).trips).toBe(1)
  expect(answer.status).toBe(200)
  return RelationList.parse(await answer.json()).data.map(({ kind, task }) => [kind, task.id])
}

const rowsIn = async ({ workspaceId }: Caller) =>
  rowsOf("select task_id, kind, other_id from task_relations where workspace_id = ?", workspaceId)

describe("a relation", () => {
  for (const [kind, back] of [
    ["blocks", "blocked_by"],
    ["blocked_by", "blocks"],
    ["relates", "relates"],
    ["duplicates", "duplicated_by"],
    ["duplicated_by", "duplicates"],
  ] as const) {
    it(`is seen from both ends, made twice changes nothing, and ends from either: ${kind}`, async () => {
      const host = await newCaller()
      const [a, b] = [await newTask(host), await newTask(host)]
      const answer = await relate(host, a.id, kind, b.key)
      expect(costOf(answer).trips).toBe(2)
      const { id, key, title, status } = b
      expect(await answer.json()).toEqual({ kind, task: { id, key, title, status } })
      expect((await relate(host, a.key, kind, b.id)).status).toBe(200)
      expect((await relate(host, b.id, back, a.id)).status).toBe(200)
      expect(await rowsIn(host)).toHaveLength(1)
      expect([await relationsOf(host, a.id), await relationsOf(host, b.id)]).toEqual([[[kind, b.id]], [[back, a.id]]])
      expect((await eventsOf(host)).at(-1)).toMatchObject({
        type: "task.related",
        subjectId: a.id,
        revision: 2,
        projectId: host.inboxId,
        data: { before: null, after: { kind, otherId: b.id } },
      })

      const ended = await unrelate(host, b.id, back, a.id)
      expect([ended.status, costOf(ended).trips]).toEqual([204, 2])
      expect((await unrelate(host, a.id, kind, b.id)).status).toBe(204)
      expect([await relationsOf(host, a.id), await rowsIn(host)]).toEqual([[], []])
      expect(await historyOf(host, a.id)).toEqual(["task.created", "task.related"])
      expect(await historyOf(host, b.id)).toEqual(["task.created", "task.unrelated"])
      expect((await eventsOf(host)).at(-1)?.data).toEqual({ before: { kind: back, otherId: a.id }, after: null })
    })
  }

  it("may be of several kinds, and is listed in their order", async () => {
    const [a, b, c] = [await newTask(ada), await newTask(ada), await newTask(ada)]
    for (const kind of ["duplicated_by", "relates", "blocked_by"]) await relate(ada, a.id, kind, b.id)
    await relate(ada, a.id, "blocks", c.id)
    expect(await relationsOf(ada, a.id)).toEqual([
      ["blocks", c.id],
      ["blocked_by", b.id],
      ["relates", b.id],
      ["duplicated_by", b.id],
    ])
  })

  it("is not there of a task to itself, nor of kinds that there are not", async () => {
    const [a, b] = [await newTask(ada), await newTask(ada)]
    for (const kind of relationKinds) {
      expect(await pointersIn(await relate(ada, a.id, kind, a.key))).toEqual(["/otherIdOrKey"])
    }
    for (const kind of ["block", "%00", "BLOCKS"]) await problemIn(await relate(ada, a.id, kind, b.id), 404)
    for (const other of ["%00", "tsk_01j00000000000000000000000", "none"]) {
      await problemIn(await relate(ada, a.id, "blocks", other), 404)
      await problemIn(await unrelate(ada, a.id, "blocks", other), 404)
    }
  })

  it("never closes a ring of tasks that block each other, near or far", async () => {
    const [a, b, c] = [await newTask(ada), await newTask(ada), await newTask(ada)]
    await relate(ada, a.id, "blocks", b.id)
    const answer = await relate(ada, b.id, "blocks", a.id)
    expect((await problemIn(answer, 409)).detail).toContain("block each other")
    await problemIn(await relate(ada, a.id, "blocked_by", b.id), 409)
    await relate(ada, b.id, "blocks", c.id)
    await problemIn(await relate(ada, c.id, "blocks", a.id), 409)
    await problemIn(await relate(ada, a.id, "blocked_by", c.id), 409)
    expect((await relate(ada, a.id, "blocks", c.id)).status).toBe(200)
    expect((await relate(ada, c.id, "relates", a.id)).status).toBe(200)
    expect(await historyOf(ada, b.id)).toEqual(["task.created", "task.related"])
  })

  it("never closes a ring when its two halves are made at once", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [a, b, c] = [await newTask(ada), await newTask(ada), await newTask(ada)]
      await relate(ada, a.id, "blocks", b.id)
      const answers = await Promise.all([relate(ada, b.id, "blocks", c.id), relate(ada, c.id, "blocks", a.id)])
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    }
  })

  it("is made once by two who make it from both ends at once, and ended once", async () => {
    const host = await newCaller()
    const [a, b] = [await newTask(host), await newTask(host)]
    const both = (act: typeof relate) =>
      Promise.all([act(host, a.id, "blocks", b.id), act(host, b.id, "blocked_by", a.id)])
    expect((await both(relate)).map(({ status }) => status)).toEqual([200, 200])
    expect(await rowsIn(host)).toHaveLength(1)
    expect((await both(unrelate)).map(({ status }) => status)).toEqual([204, 204])
    const types = (await eventsOf(host)).map(({ type }) => type).filter((type) => type.includes("related"))
    expect(types).toEqual(["task.related", "task.unrelated"])
  })

  it("is one of 200 at most, of each of the two", async () => {
    const host = await newCaller()
    await seedTasks(host, 205)
    await execute(
      "insert into task_relations (workspace_id, task_id, kind, other_id, created_by, created_at) select workspace_id, id, 'relates', ?, created_by, 0 from tasks where workspace_id = ? and id < ?",
      nthTask(204),
      host.workspaceId,
      nthTask(199),
    )
    expect((await relate(host, nthTask(204), "duplicates", nthTask(199))).status).toBe(200)
    for (const [x, y] of [
      [204, 201],
      [201, 204],
    ] as const) {
      const answer = await relate(host, nthTask(x), "blocks", nthTask(y))
      expect((await problemIn(answer, 409)).detail).toContain("200")
    }
    expect(await relationsOf(host, nthTask(204))).toHaveLength(200)
  })

  it("is refused where too much would have to be followed", async () => {
    const host = await newCaller()
    await seedTasks(host, 1_100)
    await execute(
      "insert into task_relations (workspace_id, task_id, kind, other_id, created_by, created_at) select a.workspace_id, a.id, 'blocks', min(b.id), a.created_by, 0 from tasks a join tasks b on b.workspace_id = a.workspace_id and b.id > a.id where a.workspace_id = ? and b.id <= 'tsk_00000000000000000000001098' and b.created_at = a.created_at + 1 group by a.workspace_id, a.id, a.created_by",
      host.workspaceId,
    )
    await problemIn(await relate(host, nthTask(1_098), "blocks", nthTask(0)), 409)
    const answer = await relate(host, nthTask(1_098), "blocks", nthTask(500))
    await problemIn(answer, 409)
    expect((await relate(host, nthTask(1_099), "blocks", nthTask(500))).status).toBe(200)
    await problemIn(await relate(host, nthTask(1_099), "blocks", nthTask(0)), 409)
  })
})

describe("relations across projects", () => {
  it("are made by whoever may change the one and sees the other, and shown to whoever sees both", async () => {
    const hidden = await newProject(ada, { visibility: "private" })
    const [open, secret] = [await newTask(ada), await newTask(ada, { projectId: hidden.id })]
    await problemIn(await relate(ben, open.id, "blocks", secret.id), 404)
    expect((await relate(ada, open.id, "blocks", secret.id)).status).toBe(200)
    expect([await relationsOf(ada, open.id), await relationsOf(ben, open.id)]).toEqual([[["blocks", secret.id]], []])
    await problemIn(await ben.get(`/api/v1/tasks/${secret.id}/relations`), 404)

    await ada.put(`/api/v1/projects/${hidden.id}/members/${ben.userId}`, { level: "view" })
    expect(await relationsOf(ben, open.id)).toEqual([["blocks", secret.id]])
    await problemIn(await relate(ben, secret.id, "relates", open.id), 403)
    expect((await relate(ben, open.id, "relates", secret.id)).status).toBe(200)
  })

  it("are not made by somebody demoted a moment ago with what they no longer see", async () => {
    const host = await newCaller()
    const [eve, gus] = [await joined(host, "owner"), await joined(host, "admin")]
    const hidden = await newProject(host, { visibility: "private" })
    const open = await newProject(host)
    const named = await newProject(host)
    for (const person of [eve, gus]) {
      await host.put(`/api/v1/projects/${named.id}/members/${person.userId}`, { level: "edit" })
    }
    const [a, secret, other] = await Promise.all(
      [named, hidden, open].map(({ id: projectId }) => newTask(host, { projectId })),
    )
    await host.patch(`/api/v1/members/${eve.userId}`, { role: "member" })
    await host.patch(`/api/v1/members/${gus.userId}`, { role: "guest" })
    await problemIn(await relate(eve, a?.id ?? "", "blocks", secret?.id ?? ""), 404)
    await problemIn(await relate(gus, a?.id ?? "", "blocks", other?.id ?? ""), 404)
    expect(await rowsIn(host)).toEqual([])
    expect((await relate(eve, a?.id ?? "", "blocks", other?.id ?? "")).status).toBe(200)
  })

  it("are not shown to tasks that are deleted, and are not made with them", async () => {
    const [a, b] = [await newTask(ada), await newTask(ada)]
    await relate(ada, a.id, "relates", b.id)
    await ada.delete(`/api/v1/tasks/${b.id}`)
    expect(await relationsOf(ada, a.id)).toEqual([])
    await problemIn(await relate(ada, a.id, "blocks", b.id), 404)
  })

  it("end with a task that is deleted, and what it blocked in between is free", async () => {
    const host = await newCaller()
    const [a, x, b, other] = [await newTask(host), await newTask(host), await newTask(host), await newTask(host)]
    for (const [from, to] of [
      [a, x],
      [x, b],
    ] as const)
      await relate(host, from.id, "blocks", to.id)
    await relate(host, a.id, "relates", other.id)
    await problemIn(await relate(host, b.id, "blocks", a.id), 409)
    const answer = await host.delete(`/api/v1/tasks/${x.id}`)
    expect(costOf(answer).trips).toBe(2)
    expect(await rowsIn(host)).toHaveLength(1)
    expect((await relate(host, b.id, "blocks", a.id)).status).toBe(200)
  })

  it("through a deleted project block nothing", async () => {
    const host = await newCaller()
    const project = await newProject(host)
    const [a, x, b] = [await newTask(host), await newTask(host, { projectId: project.id }), await newTask(host)]
    for (const [from, to] of [
      [a, x],
      [x, b],
    ] as const)
      await relate(host, from.id, "blocks", to.id)
    await host.delete(`/api/v1/projects/${project.id}`)
    expect((await relate(host, b.id, "blocks", a.id)).status).toBe(200)
  })

  it("close no ring through what somebody does not see, who is not told what is there", async () => {
    const project = await newProject(ada, { visibility: "private" })
    const [a, x, b] = [await newTask(ada), await newTask(ada, { projectId: project.id }), await newTask(ada)]
    for (const [from, to] of [
      [a, x],
      [x, b],
    ] as const)
      await relate(ada, from.id, "blocks", to.id)
    const [told, seen] = [ben, ada].map((person) => relate(person, b.id, "blocks", a.id))
    expect((await problemIn(await (told as Promise<Response>), 409)).detail).toBe("This task cannot block it")
    expect((await problemIn(await (seen as Promise<Response>), 409)).detail).toContain("through others")
  })

  it("are not made with a task that is deleted in the same moment", async () => {
    const [a, b] = [await newTask(ada), await newTask(ada)]
    let isFirst = true
    const overtaken = between(async (batch) => {
      if (isCommit(batch) && isFirst) {
        isFirst = false
        await ada.delete(`/api/v1/tasks/${b.id}`)
      }
      return batch.run()
    })
    const late = ada.through(await openApp({ database: overtaken }))
    await problemIn(await relate(late, a.id, "blocks", b.id), 404)
    expect(await historyOf(ada, a.id)).toEqual(["task.created"])
  })

  it("are nothing to another workspace", async () => {
    const eve = await newCaller()
    const [hers, mine] = [await newTask(eve), await newTask(ada)]
    await problemIn(await relate(ada, mine.id, "blocks", hers.id), 404)
    await problemIn(await relate(eve, mine.id, "blocks", hers.id), 404)
    await problemIn(await eve.get(`/api/v1/tasks/${mine.id}/relations`), 404)
  })

  it("leave the tasks themselves as they are", async () => {
    const [a, b] = [await newTask(ada), await newTask(ada)]
    await relate(ada, a.id, "blocks", b.id)
    const { updatedAt: _at, ...after } = await taskIn(await ada.get(`/api/v1/tasks/${a.id}`))
    expect({ ...a, revision: 2 }).toMatchObject(after)
    expect(await taskIn(await ada.get(`/api/v1/tasks/${b.id}`))).toEqual(b)
  })
})
