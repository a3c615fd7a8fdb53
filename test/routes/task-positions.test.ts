import * as fc from "fast-check"
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

beforeAll(async () => {
  ada = await newCaller()
})

const place = (caller: Caller, { id }: { id: string }, beside: object, headers?: Record<string, string>) =>
  caller.put(`/api/v1/tasks/${id}/position`, beside, headers)

async function orderOf(projectId: string, caller = ada): Promise<string[]> {
  const page = await pageIn(await caller.get(`/api/v1/projects/${projectId}/tasks?sort=position&limit=200`))
  return page.data.map(({ id }) => id)
}

/** A project with that many tasks, in the order of the list. */
async function scene(count: number) {
  const project = await newProject(ada)
  const tasks: Awaited<ReturnType<typeof newTask>>[] = []
  for (let n = 0; n < count; n += 1) tasks.push(await newTask(ada, { projectId: project.id, title: `Task ${n}` }))
  const [a, b, c, d] = tasks
  if (!(a && b && c && d)) throw new Error("Too few")
  return { projectId: project.id, tasks, a, b, c, d }
}

describe("PUT /tasks/:idOrKey/position", () => {
  it("puts a task after or before another one, in two round trips, and changes no other", async () => {
    const { projectId, a, b, c, d } = await scene(4)
    const answer = await place(ada, a, { after: c.key })
    expect(costOf(answer).trips).toBe(2)
    expect(costOf(answer).written).toBeLessThanOrEqual(9)
    const moved = await taskIn(answer)
    expect(moved).toEqual({ ...a, position: moved.position, revision: 2, updatedAt: moved.updatedAt })
    expect(await orderOf(projectId)).toEqual([b, c, a, d].map(({ id }) => id))
    await place(ada, d, { before: b.id })
    expect(await orderOf(projectId)).toEqual([d, b, c, a].map(({ id }) => id))
    await place(ada, b, { after: a.id })
    expect(await orderOf(projectId)).toEqual([d, c, a, b].map(({ id }) => id))
    expect(await taskIn(await ada.get(`/api/v1/tasks/${c.id}`))).toEqual(c)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({ type: "task.updated", subjectId: b.id })
    // What is made later still comes last.
    const late = await newTask(ada, { projectId })
    expect((await orderOf(projectId)).at(-1)).toBe(late.id)
  })

  it("changes nothing for a task that stands there already", async () => {
    const { a, b, c } = await scene(4)
    for (const beside of [{ after: a.id }, { before: c.id }]) {
      expect(await taskIn(await place(ada, b, beside))).toEqual(b)
    }
    expect(await historyOf(ada, b.id)).toEqual(["task.created"])
  })

  it("is done once when it is repeated with its key, and refused at a stale revision", async () => {
    const { a, b, d } = await scene(4)
    const key = { "idempotency-key": crypto.randomUUID() }
    const first = await taskIn(await place(ada, a, { after: b.id }, key))
    await place(ada, a, { after: d.id })
    const again = await place(ada, a, { after: b.id }, key)
    // The first was done and then another: what is asked again is looked at anew, and finds its receipt.
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(await taskIn(again)).toEqual(first)
    await problemIn(await place(ada, a, { after: b.id }, { "if-match": '"1"' }), 412)
    await problemIn(await place(ada, a, { after: b.id, revision: 1 }), 412)
  })

  it("names the field of what is wrong", async () => {
    const { a, b } = await scene(4)
    const elsewhere = await newTask(ada, { projectId: (await newProject(ada)).id })
    const foreign = await newTask(await newCaller())
    const gone = await newTask(ada, { projectId: a.projectId })
    await ada.delete(`/api/v1/tasks/${gone.id}`)
    const cases: [unknown, string[]][] = [
      [{}, ["/after"]],
      [{ after: b.id, before: b.id }, ["/after"]],
      [{ after: "x" }, ["/after"]],
      [{ before: 1, to: 2 }, ["/before", "/to"]],
      [{ after: a.id }, ["/after"]],
      [{ before: a.key }, ["/before"]],
      [{ after: elsewhere.id }, ["/after"]],
      [{ before: foreign.id }, ["/before"]],
      [{ before: gone.id }, ["/before"]],
    ]
    for (const [body, pointers] of cases) {
      expect(await pointersIn(await place(ada, a, body as object)), JSON.stringify(body)).toEqual(pointers)
    }
  })

  it("does not tell of a task that somebody does not see", async () => {
    const { a } = await scene(4)
    const eve = await joined(ada, "member")
    const hidden = await newTask(ada, { projectId: (await newProject(ada, { visibility: "private" })).id })
    const told = await problemIn(await place(eve, a, { after: hidden.id }), 422)
    const ghost = await problemIn(await place(eve, a, { after: "tsk_01j00000000000000000000000" }), 422)
    expect(told.errors).toEqual(ghost.errors)
  })

  it("by several at once in one place gives each a place of its own", async () => {
    const { projectId, tasks, a, b } = await scene(6)
    const movers = tasks.slice(2)
    const answers = await Promise.all(movers.slice(0, 3).map((task) => place(ada, task, { after: a.id })))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    const positions = await Promise.all(answers.map(async (answer) => (await taskIn(answer)).position))
    expect(new Set(positions).size).toBe(3)
    const order = await orderOf(projectId)
    expect(order[0]).toBe(a.id)
    expect(order.slice(1, 4).toSorted()).toEqual(
      movers
        .slice(0, 3)
        .map(({ id }) => id)
        .toSorted(),
    )
    expect(order[4]).toBe(b.id)
  })

  for (const [what, happen] of [
    ["another comes in between", (id: string, a: string) => ada.put(`/api/v1/tasks/${id}/position`, { after: a })],
    ["the other one goes elsewhere", (id: string, a: string) => ada.put(`/api/v1/tasks/${a}/position`, { after: id })],
  ] as const) {
    it(`stands right after the other one, too, when in the same moment ${what}`, async () => {
      const { projectId, a, b, c } = await scene(4)
      let isFirst = true
      const app = await openApp({
        database: between(async (batch) => {
          if (isCommit(batch) && isFirst) {
            isFirst = false
            expect((await happen(c.id, a.id)).status).toBe(200)
          }
          return batch.run()
        }),
      })
      expect((await place(ada.through(app), b, { after: a.id })).status).toBe(200)
      const order = await orderOf(projectId)
      expect(order[order.indexOf(a.id) + 1]).toBe(b.id)
    })
  }

  it("keeps an order like that of a list in memory, whatever is moved where", async () => {
    const { projectId, tasks } = await scene(7)
    const model = tasks.map(({ id }) => id)
    const step = fc.record({ from: fc.nat(6), to: fc.nat(6), side: fc.constantFrom("after", "before") })
    for (const { from, to, side } of fc.sample(step, { numRuns: 60, seed: 42 })) {
      const [id, beside] = [tasks[from]?.id ?? "", tasks[to]?.id ?? ""]
      const { status } = await place(ada, { id }, { [side]: beside })
      expect(status).toBe(from === to ? 422 : 200)
      if (from === to) continue
      model.splice(model.indexOf(id), 1)
      model.splice(model.indexOf(beside) + (side === "after" ? 1 : 0), 0, id)
    }
    expect(await orderOf(projectId)).toEqual(model)
  })

  it("says so where two stand at one position", async () => {
    const { projectId, a, b, c, d } = await scene(4)
    for (const task of [a, b]) await ada.patch(`/api/v1/tasks/${task.id}`, { position: "a0" })
    for (const beside of [{ after: a.id }, { before: b.id }]) {
      expect((await problemIn(await place(ada, c, beside), 409)).detail).toContain("No place is left")
    }
    expect((await place(ada, d, { after: b.id })).status).toBe(200)
    expect((await place(ada, c, { before: a.id })).status).toBe(200)
    expect(await orderOf(projectId)).toEqual([c, a, b, d].map(({ id }) => id))
  })

  it("says so when no place is left", async () => {
    const { projectId, a, b, c } = await scene(4)
    const long = `a0${"0".repeat(252)}`
    await ada.patch(`/api/v1/tasks/${a.id}`, { position: "a0" })
    expect((await ada.patch(`/api/v1/tasks/${b.id}`, { position: `${long}1` })).status).toBe(200)
    const problem = await problemIn(await place(ada, c, { after: a.id }), 409)
    expect(problem.detail).toContain("No place is left")
    expect((await orderOf(projectId)).slice(0, 2)).toEqual([a.id, b.id])
  })
})
