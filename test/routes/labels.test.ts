import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { Label, LabelList, LabelPage, type LabelView } from "../../src/contracts/labels.ts"
import type { TaskView } from "../../src/contracts/tasks.ts"
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
  walk,
} from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { between, isCommit, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

let ada: Caller
let eve: Caller

beforeAll(async () => {
  ada = await newCaller()
  eve = await newCaller()
})

const labels = "/api/v1/labels"
const nobody = "lbl_01j00000000000000000000000"

async function labelIn(answer: Response, status = 200): Promise<LabelView> {
  const text = await answer.text()
  if (answer.status !== status) throw new Error(`Expected ${status}, got ${answer.status}: ${text}`)
  return Label.parse(JSON.parse(text))
}

/** A label; of a name of its own when none is asked for. */
const newLabel = async (caller: Caller, input: Record<string, unknown> = {}): Promise<LabelView> =>
  labelIn(await caller.post(labels, { name: crypto.randomUUID(), ...input }), 201)

const merge = (caller: Caller, from: { id: string }, into: { id: string }) =>
  caller.put(`${labels}/${from.id}/merger`, { into: into.id })

const patchTask = (caller: Caller, { id }: { id: string }, patch: object) => caller.patch(`/api/v1/tasks/${id}`, patch)
const readTask = async (caller: Caller, { id }: { id: string }) => taskIn(await caller.get(`/api/v1/tasks/${id}`))
const detailsIn = async (answer: Response) =>
  ((await problemIn(answer, 422)).errors ?? []).map(({ pointer, detail }) => [pointer, detail])

const rowsOfLabel = ({ id }: { id: string }) =>
  rowsOf<{ task_id: string }>("select task_id from task_labels where label_id = ?", id)

describe("POST /labels", () => {
  it("creates a label in one round trip", async () => {
    const answer = await ada.post(labels, { name: "  Größe  ", color: "#A1B2C3" })
    const label = await labelIn(answer, 201)
    expect(label).toMatchObject({ name: "Größe", color: "#a1b2c3", revision: 1, createdBy: ada.userId })
    expect(answer.headers.get("location")).toBe(`${labels}/${label.id}`)
    expect(answer.headers.get("etag")).toBe('"1"')
    expect(costOf(answer).trips).toBe(1)
    expect(costOf(answer).written).toBeLessThanOrEqual(8)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "label.created",
      subjectId: label.id,
      projectId: null,
      data: { before: null, after: { name: "Größe", color: "#a1b2c3" } },
    })
  })

  it("gives a label that has none a colour, the same for the same name", async () => {
    const [hers, his] = [await newLabel(ada, { name: "Bug" }), await newLabel(eve, { name: "bug" })]
    expect(hers.color).toMatch(/^#[0-9a-f]{6}$/)
    expect(his.color).toBe(hers.color)
    const others = await Promise.all(Array.from({ length: 20 }, () => newLabel(eve)))
    expect(new Set(others.map(({ color }) => color)).size).toBeGreaterThan(3)
  })

  const twins = [
    ["Feature", "feature"],
    ["ＷＩＤＥ", "wide"],
    ["Ñandú", "n\u0303andu\u0301"],
    ["ﬁx", "FIX"],
  ] as const
  for (const [one, other] of twins) {
    it(`refuses a name that differs in nothing but how it is written: ${one}, ${other}`, async () => {
      await newLabel(ada, { name: one })
      const problem = await problemIn(await ada.post(labels, { name: ` ${other}\u00a0` }), 409)
      expect(problem.errors).toEqual([{ pointer: "/name", detail: "belongs to another label of this workspace" }])
    })
  }

  it("lets one of ten have a name for which they race", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ada.post(labels, { name: "contested" })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array.from({ length: 9 }, () => 409)])
    const all = (await walk(ada, labels)).flatMap(({ data }) => data)
    expect(all.filter(({ name }) => name === "contested")).toHaveLength(1)
  })

  it("creates once what is asked for twice with one key", async () => {
    const once = { "idempotency-key": crypto.randomUUID() }
    const [first, again] = [
      await ada.post(labels, { name: "once" }, once),
      await ada.post(labels, { name: "once" }, once),
    ]
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(again.headers.get("location")).toBe(first.headers.get("location"))
    expect(await labelIn(again, 201)).toEqual(await labelIn(first, 201))
  })

  it("survives a lost answer", async () => {
    const unlucky = ada.through(await openApp({ database: losing("after", 1) }))
    const label = await newLabel(unlucky, { name: "survivor" })
    expect(await historyOf(ada, label.id)).toEqual(["label.created"])
  })

  const wrong: [string, Record<string, unknown>, string][] = [
    ["no name", { name: undefined }, "/name"],
    ["an empty name", { name: " " }, "/name"],
    ["a name of 51 characters", { name: "x".repeat(51) }, "/name"],
    ["a name that is long without ligatures", { name: "\ufdfa".repeat(3) }, "/name"],
    ["a colour by name", { color: "red" }, "/color"],
    ["a short colour", { color: "#123" }, "/color"],
    ["an unknown field", { mergedInto: nobody }, "/mergedInto"],
  ]
  for (const [name, input, pointer] of wrong) {
    it(`refuses ${name} and names the field`, async () => {
      expect(await pointersIn(await ada.post(labels, { name: "x", ...input }))).toEqual([pointer])
    })
  }
})

describe("POST /labels/bulk", () => {
  const many = (names: string[]) => ({ labels: names.map((name) => ({ name })) })

  it("creates up to 100 in one round trip, with an event each", async () => {
    const caller = await newCaller()
    const names = Array.from({ length: 100 }, (_, n) => `Label ${n}`)
    const answer = await caller.post(`${labels}/bulk`, many(names), { "idempotency-key": "many" })
    expect([answer.status, costOf(answer).trips]).toEqual([201, 1])
    const made = LabelList.parse(await answer.json()).data
    expect(made.map(({ name }) => name)).toEqual(names)
    expect((await eventsOf(caller)).filter(({ type }) => type === "label.created")).toHaveLength(100)
    const again = await caller.post(`${labels}/bulk`, many(names), { "idempotency-key": "many" })
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(LabelList.parse(await again.json()).data).toEqual(made)
    expect(await pointersIn(await caller.post(`${labels}/bulk`, many([...names, "One more"])))).toEqual(["/labels"])
  })

  it("creates none when one cannot be, and names each that cannot", async () => {
    const caller = await newCaller()
    await newLabel(caller, { name: "Taken" })
    const taken = await problemIn(await caller.post(`${labels}/bulk`, many(["Free", "TAKEN", "Also free"])), 409)
    expect(taken.errors?.map(({ pointer }) => pointer)).toEqual(["/labels/1/name"])
    const twice = await caller.post(`${labels}/bulk`, many(["Free", "free", "FREE", " "]))
    expect(await pointersIn(twice)).toEqual(["/labels/3/name"])
    expect(await pointersIn(await caller.post(`${labels}/bulk`, many(["Free", "free", "FREE"])))).toEqual([
      "/labels/1/name",
      "/labels/2/name",
    ])
    expect((await pageIn(await caller.get(labels))).data).toHaveLength(1)
  })

  it("by several at once makes each label once, whoever is first", async () => {
    const caller = await newCaller()
    const names = ["a", "b", "c"]
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, n) => caller.post(`${labels}/bulk`, many([...names, `own ${n}`]))),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409, 409])
    expect((await pageIn(await caller.get(labels))).data).toHaveLength(4)
  })
})

describe("GET /labels", () => {
  it("lists by name, page by page, in one round trip each, without the deleted", async () => {
    const bob = await newCaller()
    for (const name of ["beta", "Alpha", "ÄRA", "gamma", "delta", "gone"]) await newLabel(bob, { name })
    const gone = LabelPage.parse(await (await bob.get(labels)).json()).data.find(({ name }) => name === "gone")
    await bob.delete(`${labels}/${gone?.id}`)

    const pages = await walk(bob, `${labels}?limit=2`)
    expect(pages.map(({ data }) => data.map(({ name }) => name))).toEqual([
      ["Alpha", "beta"],
      ["delta", "gamma"],
      ["ÄRA"],
    ])
    const answer = await bob.get(labels)
    expect(costOf(answer).trips).toBe(1)
    const etag = answer.headers.get("etag") ?? ""
    expect((await bob.get(labels, { "if-none-match": etag })).status).toBe(304)
  })

  it("pages through names as long as can be, and refuses a foreign cursor", async () => {
    const bob = await newCaller()
    const names = Array.from({ length: 4 }, (_, n) => `${"\u{1f469}".repeat(49)}${n}`)
    for (const name of names) await newLabel(bob, { name })
    const pages = await walk(bob, `${labels}?limit=1`)
    expect(pages.flatMap(({ data }) => data.map(({ name }) => name))).toEqual(names)
    const { next } = await pageIn(await bob.get(`${labels}?limit=1`))
    expect(await pointersIn(await ada.get(`${labels}?cursor=${next}`))).toEqual(["?cursor"])
  })

  it("is read by guests, who change nothing", async () => {
    const guest = await joined(ada, "guest")
    const label = await newLabel(ada)
    expect((await guest.get(labels)).status).toBe(200)
    expect(await labelIn(await guest.get(`${labels}/${label.id}`))).toEqual(label)
    for (const answer of [
      await guest.post(labels, { name: "mine" }),
      await guest.patch(`${labels}/${label.id}`, { name: "mine" }),
      await guest.delete(`${labels}/${label.id}`),
      await merge(guest, label, label),
    ]) {
      await problemIn(answer, 403)
    }
  })
})

describe("a label's name", () => {
  it("is one with every way of writing it that the server takes for the same", async () => {
    const { labelKey } = await import("../../src/lib/label-names.ts")
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "grapheme" }),
      fc
        .array(fc.constantFrom("H", "\u0331", "İ", "Σ", "\u0323", "ﬁ", "ẞ", "Å", " ", "\u00a8", "K"), { maxLength: 6 })
        .map((parts) => parts.join("")),
    )
    fc.assert(
      fc.property(text, (name) => {
        const key = labelKey(name)
        expect(labelKey(key)).toBe(key)
        expect(labelKey(` ${name}\u3000`)).toBe(key)
        expect(labelKey(name.normalize("NFD"))).toBe(key)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe("GET, PATCH and DELETE /labels/:labelId", () => {
  it("do not know what is not there, malformed, deleted, or another workspace's", async () => {
    const [hers, gone] = [await newLabel(eve), await newLabel(ada)]
    expect((await ada.delete(`${labels}/${gone.id}`)).status).toBe(204)
    for (const id of [nobody, "x", "%00", hers.id, gone.id]) {
      await problemIn(await ada.get(`${labels}/${id}`), 404)
      await problemIn(await ada.patch(`${labels}/${id}`, { color: "#000000" }), 404)
      await problemIn(await ada.delete(`${labels}/${id}`), 404)
    }
  })

  it("change what is named, in two round trips, and tell the log", async () => {
    const label = await newLabel(ada, { name: "Old", color: "#000000" })
    const answer = await ada.patch(`${labels}/${label.id}`, { name: "New", revision: 1 })
    expect(costOf(answer).trips).toBe(2)
    expect(answer.headers.get("etag")).toBe('"2"')
    expect(await labelIn(answer)).toMatchObject({ name: "New", color: "#000000", revision: 2 })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "label.updated",
      data: { before: { name: "Old" }, after: { name: "New" } },
    })
    // The name is free again, and may be written another way.
    await newLabel(ada, { name: "old" })
    expect(await labelIn(await ada.patch(`${labels}/${label.id}`, { name: "NEW" }))).toMatchObject({ name: "NEW" })
  })

  it("change nothing when nothing differs, and refuse a stale revision and a name that is taken", async () => {
    const [label, other] = [await newLabel(ada), await newLabel(ada)]
    const path = `${labels}/${label.id}`
    expect(await labelIn(await ada.patch(path, { name: label.name }))).toEqual(label)
    expect(await historyOf(ada, label.id)).toEqual(["label.created"])
    await problemIn(await ada.patch(path, { name: "x" }, { "if-match": '"2"' }), 412)
    await problemIn(await ada.delete(path, { "if-match": '"2"' }), 412)
    const problem = await problemIn(await ada.patch(path, { name: other.name.toUpperCase() }), 409)
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(["/name"])
    expect(await labelIn(await ada.get(path))).toEqual(label)
  })

  it("take a deleted label off its tasks with one event, and free its name", async () => {
    const label = await newLabel(ada, { name: "Doomed" })
    const kept = await newLabel(ada)
    const tasks = await Promise.all([1, 2, 3].map(() => newTask(ada, { labelIds: [label.id, kept.id] })))
    const from = (await eventsOf(ada)).length
    const answer = await ada.delete(`${labels}/${label.id}`)
    expect(answer.status).toBe(204)
    expect(costOf(answer).trips).toBe(2)
    expect((await eventsOf(ada)).slice(from)).toMatchObject([
      { type: "label.deleted", subjectId: label.id, data: { before: { name: "Doomed" }, after: null } },
    ])
    for (const task of tasks) expect((await readTask(ada, task)).labelIds).toEqual([kept.id])
    expect(await pointersIn(await ada.get(`/api/v1/tasks?label=${label.id}`))).toEqual(["?label"])
    await newLabel(ada, { name: "doomed" })
  })

  it("settle for one outcome when changes race", async () => {
    const label = await newLabel(ada)
    const answers = await Promise.all([
      ...["#000001", "#000002", "#000003"].map((color) => ada.patch(`${labels}/${label.id}`, { color })),
      ada.delete(`${labels}/${label.id}`),
    ])
    expect(answers.every(({ status }) => [200, 204, 404, 409].includes(status))).toBe(true)
    const history = await historyOf(ada, label.id)
    expect(history.filter((type) => type === "label.deleted").length).toBeLessThanOrEqual(1)
    expect(history.length).toBe(1 + answers.filter(({ ok }) => ok).length)
  })
})

describe("PUT /labels/:labelId/merger", () => {
  it("gives its tasks the other label with one event, in two round trips", async () => {
    const [from, into, other] = [await newLabel(ada, { name: "defect" }), await newLabel(ada), await newLabel(ada)]
    const one = await newTask(ada, { labelIds: [from.id] })
    const both = await newTask(ada, { labelIds: [from.id, into.id, other.id] })
    const neither = await newTask(ada, { labelIds: [other.id] })
    const seq = (await eventsOf(ada)).length

    const answer = await merge(ada, from, into)
    expect(costOf(answer).trips).toBe(2)
    expect(await labelIn(answer)).toEqual(into)
    expect((await eventsOf(ada)).slice(seq)).toMatchObject([
      {
        type: "label.merged",
        subjectId: from.id,
        data: { before: { name: "defect" }, after: { mergedInto: into.id } },
      },
    ])
    expect((await readTask(ada, one)).labelIds).toEqual([into.id])
    expect((await readTask(ada, both)).labelIds).toEqual([into.id, other.id].toSorted())
    expect((await readTask(ada, neither)).labelIds).toEqual([other.id])
    expect(await rowsOfLabel(from)).toEqual([])
    await problemIn(await ada.get(`${labels}/${from.id}`), 404)
    await newLabel(ada, { name: "defect" })
  })

  it("is refused into itself and into what is not there", async () => {
    const [label, gone] = [await newLabel(ada), await newLabel(ada)]
    await ada.delete(`${labels}/${gone.id}`)
    const hers = await newLabel(eve)
    for (const into of [label, gone, hers, { id: nobody }, { id: "x" }]) {
      expect(await pointersIn(await merge(ada, label, into))).toEqual(["/into"])
    }
    await problemIn(await merge(ada, gone, label), 404)
    await problemIn(await ada.put(`${labels}/${label.id}/merger`, { into: hers.id }, { "if-match": '"7"' }), 422)
    expect(await historyOf(ada, label.id)).toEqual(["label.created"])
  })

  it("does not lose tasks when two labels are merged into each other", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [a, b] = [await newLabel(ada), await newLabel(ada)]
      const task = await newTask(ada, { labelIds: [a.id, b.id] })
      const answers = await Promise.all([merge(ada, a, b), merge(ada, b, a)])
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
      const survivor = answers[0]?.status === 200 ? b : a
      expect((await readTask(ada, task)).labelIds).toEqual([survivor.id])
    }
  })
})

describe("a task's labels", () => {
  it("are given when it is made, sorted, and change with its revision", async () => {
    const [a, b, c] = [await newLabel(ada), await newLabel(ada), await newLabel(ada)]
    const answer = await ada.post("/api/v1/tasks", {
      projectId: ada.inboxId,
      title: "Labelled",
      labelIds: [c.id, a.id],
    })
    expect(costOf(answer).trips).toBe(1)
    const task = await taskIn(answer)
    expect(task.labelIds).toEqual([a.id, c.id])
    expect((await eventsOf(ada)).at(-1)?.data.after).toMatchObject({ labelIds: [a.id, c.id] })

    const changed = await patchTask(ada, task, { labelIds: [b.id, a.id] })
    expect(costOf(changed).trips).toBe(2)
    expect(await taskIn(changed)).toMatchObject({ labelIds: [a.id, b.id], revision: 2 })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "task.updated",
      data: { before: { labelIds: [a.id, c.id] }, after: { labelIds: [a.id, b.id] } },
    })
    expect(await readTask(ada, task)).toMatchObject({ labelIds: [a.id, b.id] })
    expect(await taskIn(await patchTask(ada, task, { labelIds: [b.id, a.id] }))).toMatchObject({ revision: 2 })
    expect(await taskIn(await patchTask(ada, task, { labelIds: [] }))).toMatchObject({ labelIds: [], revision: 3 })
    expect(await rowsOfLabel(a)).toEqual([])
  })

  it("are shown with their names on request, also beside chosen fields", async () => {
    const [a, b] = [await newLabel(ada, { name: "shown" }), await newLabel(ada)]
    const task = await newTask(ada, { labelIds: [b.id, a.id] })
    const shown = [a, b].map(({ id, name, color }) => ({ id, name, color }))
    const one = await ada.get(`/api/v1/tasks/${task.key}?fields=title&include=labels`)
    expect(await one.json()).toEqual({ id: task.id, title: task.title, labels: shown })
    const { data } = await pageIn(await ada.get(`/api/v1/tasks?label=${a.id}&include=labels&fields=labelIds`))
    expect(data).toEqual([{ id: task.id, labelIds: task.labelIds, labels: shown }])
  })

  it("are refused by their place when they are not there, and nothing is written", async () => {
    const [good, gone, hers] = [await newLabel(ada), await newLabel(ada), await newLabel(eve)]
    await ada.delete(`${labels}/${gone.id}`)
    const [merged, target] = [await newLabel(ada), await newLabel(ada, { name: "the target" })]
    await merge(ada, merged, target)
    const labelIds = [good.id, nobody, hers.id, gone.id, merged.id]
    const told = (at: string) => [
      ...[1, 2, 3].map((index) => [`${at}/labelIds/${index}`, "There is no such label"]),
      [`${at}/labelIds/4`, `was merged into the target: ${target.id}`],
    ]
    const seq = (await eventsOf(ada)).length
    const input = { projectId: ada.inboxId, title: "x" }
    expect(await detailsIn(await ada.post("/api/v1/tasks", { ...input, labelIds }))).toEqual(told(""))
    const tasks = [input, { ...input, labelIds: [good.id] }, input, { ...input, labelIds }]
    expect(await detailsIn(await ada.post("/api/v1/tasks/bulk", { tasks }))).toEqual(told("/tasks/3"))
    const task = await newTask(ada)
    expect(await detailsIn(await patchTask(ada, task, { title: "no", labelIds }))).toEqual(told(""))
    expect((await eventsOf(ada)).slice(seq).map(({ type }) => type)).toEqual(["task.created"])
    expect(await readTask(ada, task)).toEqual(task)
    expect(await rowsOfLabel(good)).toEqual([])
  })

  it("are at most fifty, none twice, and ids", async () => {
    const { id } = await newLabel(ada)
    const task = await newTask(ada)
    const wrong: [unknown, string][] = [
      [[id, id], "/labelIds/1"],
      [["bug"], "/labelIds/0"],
      [null, "/labelIds"],
      [Array.from({ length: 51 }, (_, n) => `lbl_${String(n).padStart(26, "0")}`), "/labelIds"],
    ]
    for (const [labelIds, pointer] of wrong) {
      expect(await pointersIn(await patchTask(ada, task, { labelIds }))).toEqual([pointer])
    }
  })

  it("go when the task is deleted", async () => {
    const label = await newLabel(ada)
    const task = await newTask(ada, { labelIds: [label.id] })
    await ada.delete(`/api/v1/tasks/${task.id}`)
    expect(await rowsOfLabel(label)).toEqual([])
  })

  it("are seen anew by whoever had the task before a label was merged or deleted", async () => {
    const [from, into] = [await newLabel(ada), await newLabel(ada)]
    const made = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x", labelIds: [from.id] })
    const path = `/api/v1/tasks/${(await taskIn(made)).id}`
    const tags = [made.headers.get("etag") ?? ""]
    const read = async () => {
      const known = await ada.get(path, { "if-none-match": tags.join(", ") })
      const etag = known.headers.get("etag") ?? ""
      expect((await ada.get(path, { "if-none-match": etag })).status).toBe(304)
      tags.push(etag)
      return known.status === 304 ? "known" : (await taskIn(known)).labelIds
    }
    expect(await read()).toBe("known")
    await merge(ada, from, into)
    expect(await read()).toEqual([into.id])
    await ada.delete(`${labels}/${into.id}`)
    expect(await read()).toEqual([])
    // Its revision is what it was: whoever knows it may change the task.
    expect((await ada.patch(path, { title: "y" }, { "if-match": tags[1] ?? "" })).status).toBe(200)
  })

  it("cost a task without them no row", async () => {
    const answer = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Bare" })
    expect(costOf(answer).trips).toBe(1)
    expect(costOf(answer).written).toBeLessThanOrEqual(16)
  })
})

describe("GET /tasks?label=", () => {
  const ids = async (caller: Caller, query: string) =>
    (await walk(caller, `/api/v1/tasks?${query}`)).flatMap(({ data }) => data.map(({ id }) => id))

  it("lists the label's tasks by creation, either way, page by page", async () => {
    const label = await newLabel(ada)
    const tasks: TaskView[] = []
    for (let n = 0; n < 5; n += 1) tasks.push(await newTask(ada, { labelIds: n === 2 ? [] : [label.id] }))
    const expected = tasks.filter((_, n) => n !== 2).map(({ id }) => id)
    expect(await ids(ada, `label=${label.id}&limit=2`)).toEqual(expected)
    expect(await ids(ada, `label=${label.id}&limit=1&sort=-created`)).toEqual(expected.toReversed())
    expect(costOf(await ada.get(`/api/v1/tasks?label=${label.id}`)).trips).toBe(1)
    const problem = await problemIn(await ada.get(`/api/v1/tasks?label=${label.id}&sort=due`), 422)
    expect(problem.errors).toEqual([{ pointer: "?sort", detail: "a list of a label can be sorted by created" }])
  })

  it("narrows the lists of a parent, a project and an assignee, and is narrowed by other filters", async () => {
    const label = await newLabel(ada)
    const project = await newProject(ada)
    const parent = await newTask(ada, { projectId: project.id })
    const labelIds = [label.id]
    const inProject = await newTask(ada, { projectId: project.id, labelIds })
    const under = await newTask(ada, { projectId: project.id, parentId: parent.id, labelIds, priority: 3 })
    await newTask(ada, { projectId: project.id, parentId: parent.id })
    const mine = await newTask(ada, { labelIds, assigneeIds: [ada.userId] })

    const of = `label=${label.id}`
    expect(await ids(ada, `${of}&project=${project.id}`)).toEqual([inProject.id, under.id])
    expect(await ids(ada, `${of}&project=${project.id}&sort=-due`)).toEqual([under.id, inProject.id])
    expect(await ids(ada, `${of}&parent=${parent.id}`)).toEqual([under.id])
    expect(await ids(ada, `${of}&assignee=me&sort=due`)).toEqual([mine.id])
    expect(await ids(ada, `${of}&priority=3`)).toEqual([under.id])
    expect((await pageIn(await ada.get(`/api/v1/projects/${project.id}/tasks?${of}&sort=position`))).data).toHaveLength(
      2,
    )
  })

  it("shows nobody what is in a project that they do not see", async () => {
    const bob = await joined(ada, "member")
    const label = await newLabel(ada)
    const hidden = await newProject(ada, { visibility: "private" })
    await newTask(ada, { projectId: hidden.id, labelIds: [label.id] })
    const open = await newTask(ada, { labelIds: [label.id], projectId: (await newProject(ada)).id })
    expect(await ids(bob, `label=${label.id}`)).toEqual([open.id])
    expect(await ids(ada, `label=${label.id}`)).toHaveLength(2)
  })

  it("does not know a label that is not there, deleted, or another workspace's", async () => {
    const [gone, hers] = [await newLabel(ada), await newLabel(eve)]
    await ada.delete(`${labels}/${gone.id}`)
    for (const id of [nobody, gone.id, hers.id]) {
      for (const more of ["", `&project=${ada.inboxId}`, "&assignee=me"]) {
        const told = await detailsIn(await ada.get(`/api/v1/tasks?label=${id}${more}`))
        expect(told).toEqual([["?label", "There is no such label"]])
      }
    }
  })
})

describe("merging labels while tasks get them", () => {
  const settled = async (from: LabelView, into: LabelView, answers: Response[]) => {
    expect(await rowsOfLabel(from)).toEqual([])
    for (const answer of answers.filter(({ ok }) => ok)) {
      const { id } = (await answer.json()) as { id: string }
      expect((await readTask(ada, { id })).labelIds).toEqual([into.id])
    }
  }

  it("leaves no task with the label that went away, and none without any", async () => {
    for (let round = 0; round < 5; round += 1) {
      const [from, into] = [await newLabel(ada), await newLabel(ada)]
      const bare = await Promise.all([1, 2, 3].map(() => newTask(ada)))
      const work = (n: number): Promise<Response> =>
        n % 2 === 0
          ? ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "x", labelIds: [from.id] })
          : patchTask(ada, bare[n % 3] ?? { id: "" }, { labelIds: [from.id] })
      const answers = await Promise.all([work(0), work(1), work(2), merge(ada, from, into), work(3), work(4), work(5)])
      expect(answers[3]?.status).toBe(200)
      const others = answers.filter((_, index) => index !== 3)
      expect(others.every(({ status }) => [200, 201, 409, 422].includes(status))).toBe(true)
      await settled(from, into, others)
    }
  })

  it("refuses a label that was merged away between loading and writing", async () => {
    const [from, into] = [await newLabel(ada), await newLabel(ada)]
    const task = await newTask(ada)
    let left = 1
    const late = ada.through(
      await openApp({
        database: between(async (batch) => {
          if (isCommit(batch) && left-- > 0) expect((await merge(ada, from, into)).status).toBe(200)
          return batch.run()
        }),
      }),
    )
    const told = await detailsIn(await patchTask(late, task, { labelIds: [from.id] }))
    expect(told).toEqual([["/labelIds/0", `was merged into ${into.name}: ${into.id}`]])
    expect(await readTask(ada, task)).toEqual(task)
  })

  it("leaves a task with what its last change asked for, though its labels were merged meanwhile", async () => {
    const [from, into, asked] = [await newLabel(ada), await newLabel(ada), await newLabel(ada)]
    const task = await newTask(ada, { labelIds: [from.id] })
    let left = 1
    const late = ada.through(
      await openApp({
        database: between(async (batch) => {
          if (isCommit(batch) && left-- > 0) expect((await merge(ada, from, into)).status).toBe(200)
          return batch.run()
        }),
      }),
    )
    expect((await patchTask(late, task, { labelIds: [asked.id] })).status).toBe(200)
    expect((await readTask(ada, task)).labelIds).toEqual([asked.id])
  })

  it("refuses to merge into a label that is deleted meanwhile", async () => {
    const [from, into] = [await newLabel(ada), await newLabel(ada)]
    const task = await newTask(ada, { labelIds: [from.id] })
    let left = 1
    const late = ada.through(
      await openApp({
        database: between(async (batch) => {
          if (isCommit(batch) && left-- > 0) await ada.delete(`${labels}/${into.id}`)
          return batch.run()
        }),
      }),
    )
    expect(await pointersIn(await merge(late, from, into))).toEqual(["/into"])
    expect((await readTask(ada, task)).labelIds).toEqual([from.id])
  })
})
