import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { TaskPage, type TaskView, taskSorts } from "../../src/contracts/tasks.ts"
import { fromBase64Url, toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { openApp } from "../support/app.ts"
import {
  addMember,
  type Caller,
  costOf,
  newCaller,
  newProject,
  newTask,
  nextIn,
  pageIn,
  pointersIn,
  problemIn,
  projectIn,
  taskIn,
  walk,
} from "../support/caller.ts"
import { nthProject, nthTask, seedProjects, seedTasks } from "../support/seed.ts"

type Pages = Awaited<ReturnType<typeof walk>>
type Sort = (typeof taskSorts)[number]

const strangerTask = "tsk_01j00000000000000000000000"
const strangerProject = "prj_01j00000000000000000000000"
const strangerUser = "usr_01j00000000000000000000000"

/** Which sorts each scope has; the first is the default. Every other pair is refused. */
const legal = {
  workspace: ["created", "updated", "due"],
  project: ["position", "created", "updated", "due"],
  parent: ["position"],
  assignee: ["due", "created"],
} as const satisfies Record<string, readonly Sort[]>

type Scope = keyof typeof legal
const scopes = Object.keys(legal) as Scope[]
const listOf = { workspace: "a workspace", project: "a project", parent: "a parent", assignee: "an assignee" } as const
const lists = scopes.flatMap((scope) =>
  legal[scope].flatMap((by) => [
    { scope, by, sort: by, sign: 1 },
    { scope, by, sort: `-${by}`, sign: -1 },
  ]),
)

const url = (query: Record<string, string | number>, path = "/api/v1/tasks") =>
  `${path}?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`

const idsOf = (pages: Pages) => pages.flatMap(({ data }) => data.map(({ id }) => id))

const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0)

/** The ids in the order of a list: ties in the key are broken by the id, in the same direction. */
function inOrder<Row extends { id: string }>(rows: Row[], key: (row: Row) => string | number, sign: number): string[] {
  const ordered = rows.toSorted((a, b) => sign * (compare(key(a), key(b)) || compare(a.id, b.id)))
  return ordered.map(({ id }) => id)
}

// ---- a workspace with a little of everything ----

const dueTime = ({ due }: TaskView) =>
  due === null ? Number.POSITIVE_INFINITY : "at" in due ? Date.parse(due.at) : Date.parse(`${due.date}T23:59:59.999Z`)

const keys: Record<Sort, (task: TaskView) => string | number> = {
  position: (task) => task.position,
  created: (task) => task.id,
  updated: (task) => Date.parse(task.updatedAt),
  due: dueTime,
}

let ada: Caller
let eve: Caller
let web: string
let gone: string
let parentId: string
let deletedTask: string
let live: TaskView[]
const start = Date.now()
// A clock that stands still between the steps, so that several tasks share a time.
let clock = start

const scopeQuery = (scope: Scope): Record<string, string> =>
  ({ workspace: {}, project: { project: web }, parent: { parent: parentId }, assignee: { assignee: "me" } })[
    scope
  ] as Record<string, string>

const inScope = (scope: Scope, task: TaskView) =>
  ({
    workspace: true,
    project: task.projectId === web,
    parent: task.parentId === parentId,
    assignee: task.assigneeIds.includes(ada.userId),
  })[scope]

const due = [
  { at: "2026-05-01T09:59:59.999Z" },
  { date: "2026-05-01" },
  { at: "2026-05-01T10:00:00.000Z" },
  { date: "2026-05-01" },
  null,
]
const statuses = ["todo", "in_progress", "done", "cancelled"]

/** The `n`-th of tasks that differ in everything, with many ties. */
function taskInput(n: number) {
  const projectId = n % 3 === 1 ? ada.inboxId : web
  const assigneeIds = [[ada.userId], [], [ada.userId], [eve.userId]][n % 4]
  return {
    title: `Task ${n}`,
    projectId,
    parentId: projectId === web && n % 4 < 3 ? parentId : null,
    status: statuses[n % 4],
    priority: n % 5,
    due: due[n % 5],
    assigneeIds,
    ...(n % 4 < 2 && { position: `a${n % 2}` }),
  }
}

async function build(): Promise<void> {
  ada = await newCaller(await openApp({ now: () => clock }))
  eve = await newCaller()
  await addMember(ada, eve)
  web = (await newProject(ada)).id
  gone = (await newProject(ada, { name: "Gone" })).id
  const parent = await newTask(ada, { projectId: web, title: "Parent" })
  parentId = parent.id

  const made: string[] = []
  for (let n = 0; n < 24; n += 1) {
    clock = start + Math.floor(n / 5)
    made.push((await newTask(ada, taskInput(n))).id)
  }
  for (let n = 0; n < 6; n += 1) {
    await newTask(ada, { projectId: gone, assigneeIds: [ada.userId], due: due[n % 5] })
  }
  await ada.delete(`/api/v1/projects/${gone}`)

  clock = start + 60_000
  const some = made.filter((_, n) => n % 3 === 0)
  deletedTask = some[0] ?? ""
  for (const id of some.slice(0, 2)) await ada.delete(`/api/v1/tasks/${id}`)
  for (const id of some.slice(2)) await taskIn(await ada.patch(`/api/v1/tasks/${id}`, { title: "Renamed" }))

  const kept = [parentId, ...made.filter((id) => !some.slice(0, 2).includes(id))]
  live = await Promise.all(kept.map(async (id) => taskIn(await ada.get(`/api/v1/tasks/${id}`))))
}

beforeAll(build)

describe("a list of tasks", () => {
  for (const { scope, by, sort, sign } of lists) {
    it(`of ${listOf[scope]} by ${sort} pages through each task once, in order`, async () => {
      const expected = inOrder(
        live.filter((task) => inScope(scope, task)),
        keys[by],
        sign,
      )
      const pages = await walk(ada, url({ ...scopeQuery(scope), sort, limit: 3 }))
      expect(idsOf(pages)).toEqual(expected)
      expect(expected.length).toBeGreaterThan(6)
      expect(pages.slice(0, -1).every(({ data }) => data.length === 3)).toBe(true)
    })
  }

  it("shows each task as it is", async () => {
    const { data } = TaskPage.parse(await (await ada.get(url({ limit: 200 }))).json())
    expect(data).toEqual(live.toSorted((a, b) => compare(a.id, b.id)))
  })

  for (const scope of scopes) {
    it(`of ${listOf[scope]} is sorted by ${legal[scope][0]} unless asked otherwise`, async () => {
      const [page] = await walk(ada, url(scopeQuery(scope)))
      const [asked] = await walk(ada, url({ ...scopeQuery(scope), sort: legal[scope][0] }))
      expect(page).toEqual(asked)
    })

    const illegal = taskSorts.filter((sort) => !(legal[scope] as readonly Sort[]).includes(sort))
    for (const sort of illegal.flatMap((by) => [by, `-${by}`])) {
      it(`of ${listOf[scope]} cannot be sorted by ${sort}`, async () => {
        expect(await pointersIn(await ada.get(url({ ...scopeQuery(scope), sort })))).toEqual(["?sort"])
      })
    }
  }

  it("is the same under the path of its project", async () => {
    for (const sort of [...legal.project, "-due"]) {
      const nested = await walk(ada, url({ sort, limit: 3 }, `/api/v1/projects/${web}/tasks`))
      expect(idsOf(nested)).toEqual(idsOf(await walk(ada, url({ project: web, sort, limit: 3 }))))
    }
    expect(await pointersIn(await ada.get(`/api/v1/projects/${web}/tasks?project=${web}`))).toEqual(["?project"])
  })

  it("never shows what is deleted, or is in a deleted project", async () => {
    const shown = new Set<string>()
    for (const { scope, sort } of lists) {
      for (const id of idsOf(await walk(ada, url({ ...scopeQuery(scope), sort, limit: 200 })))) shown.add(id)
    }
    expect([...shown].toSorted()).toEqual(live.map(({ id }) => id).toSorted())
    expect(shown.has(deletedTask)).toBe(false)
  })

  it("is empty for somebody else, and has no next page", async () => {
    const stranger = await newCaller()
    const answer = await stranger.get("/api/v1/tasks")
    expect(await pageIn(answer)).toEqual({ data: [], next: null })
    expect(nextIn(answer)).toBeNull()
  })

  it("ends with a full page when nothing is left", async () => {
    const pages = await walk(ada, url({ limit: live.length }))
    expect(pages.map(({ data }) => data.length)).toEqual([live.length])
  })
})

describe("filters", () => {
  const at = "2026-05-01T10:00:00.000Z"
  const moment = () => new Date(start + 2).toISOString()
  const filters: [name: string, query: () => Record<string, string>, holds: (task: TaskView) => boolean][] = [
    ["one status", () => ({ status: "todo" }), ({ status }) => status === "todo"],
    ["several statuses", () => ({ status: "done,cancelled,done" }), ({ status }) => /done|cancelled/.test(status)],
    ["one priority", () => ({ priority: "0" }), ({ priority }) => priority === 0],
    ["several priorities", () => ({ priority: "4,1" }), ({ priority }) => priority === 4 || priority === 1],
    ["me", () => ({ assignee: "me" }), ({ assigneeIds }) => assigneeIds.includes(ada.userId)],
    ["an assignee", () => ({ assignee: eve.userId }), ({ assigneeIds }) => assigneeIds.includes(eve.userId)],
    ["dueBefore, which is exclusive", () => ({ dueBefore: at }), (task) => dueTime(task) < Date.parse(at)],
    ["dueAfter, which is inclusive", () => ({ dueAfter: at }), (task) => dueTime(task) >= Date.parse(at)],
    ["a day before a due date", () => ({ dueBefore: "2026-05-01" }), () => false],
    ["the day after a due date", () => ({ dueBefore: "2026-05-02" }), ({ due }) => due !== null],
    ["dueAfter of a due date's own day", () => ({ dueAfter: "2026-05-01" }), () => true],
    [
      "a range of due times",
      () => ({ dueAfter: "2026-05-01T10:00:00.001Z", dueBefore: "2026-05-02T00:00:00+00:00" }),
      ({ due }) => due !== null && "date" in due,
    ],
    [
      "updatedAfter, which is exclusive",
      () => ({ updatedAfter: moment() }),
      ({ updatedAt }) => Date.parse(updatedAt) > start + 2,
    ],
    [
      "several filters at once",
      () => ({ status: "todo,done", priority: "0,1,2,3", dueAfter: at, updatedAfter: moment() }),
      (task) =>
        /todo|done/.test(task.status) &&
        task.priority < 4 &&
        dueTime(task) >= Date.parse(at) &&
        Date.parse(task.updatedAt) > start + 2,
    ],
  ]
  for (const [name, query, holds] of filters) {
    it(`keep what matches ${name}, in every scope`, async () => {
      for (const scope of scopes) {
        // An assignee with nothing else is a scope and not a filter.
        if ("assignee" in query() && (scope === "workspace" || scope === "assignee")) continue
        const [by] = legal[scope]
        const matching = live.filter((task) => inScope(scope, task) && holds(task))
        const pages = await walk(ada, url({ ...scopeQuery(scope), ...query(), limit: 3 }))
        expect(idsOf(pages), scope).toEqual(inOrder(matching, keys[by], 1))
      }
    })
  }

  it("leave something and drop something, each of them", () => {
    const trivial = filters.filter(([, , holds]) => new Set(live.map(holds)).size < 2).map(([name]) => name)
    expect(trivial).toEqual(["a day before a due date", "dueAfter of a due date's own day"])
  })

  it("narrow a parent's subtasks by project and assignee", async () => {
    const children = live.filter((task) => task.parentId === parentId)
    const ids = (tasks: TaskView[]) => inOrder(tasks, keys.position, 1)
    const list = async (query: Record<string, string>) => idsOf(await walk(ada, url({ ...query, limit: 3 })))
    const mine = children.filter(({ assigneeIds }) => assigneeIds.includes(ada.userId))

    expect(await list({ parent: parentId, project: web })).toEqual(ids(children))
    expect(await list({ parent: parentId, project: ada.inboxId })).toEqual([])
    expect(await list({ parent: parentId, project: web, assignee: "me" })).toEqual(ids(mine))
    expect(await list({ parent: parentId, assignee: ada.userId, status: "todo" })).toEqual(
      ids(mine.filter(({ status }) => status === "todo")),
    )
    expect(idsOf(await walk(ada, url({ parent: parentId, limit: 3 }, `/api/v1/projects/${web}/tasks`)))).toEqual(
      ids(children),
    )
    expect(mine.length).toBeGreaterThan(1)
    expect(mine.length).toBeLessThan(children.length)
  })

  it("find me by name and by id alike, with one cursor", async () => {
    const { next } = await pageIn(await ada.get(url({ assignee: "me", limit: 3 })))
    const byName = await pageIn(await ada.get(url({ assignee: "me", limit: 3, cursor: next ?? "" })))
    expect(await pageIn(await ada.get(url({ assignee: ada.userId, limit: 3, cursor: next ?? "" })))).toEqual(byName)
  })
})

describe("a projection", () => {
  it("gives only the asked fields and the id", async () => {
    const answer = await ada.get(url({ fields: "title,due,assigneeIds", limit: 200 }))
    const { data } = (await answer.json()) as { data: unknown[] }
    expect(data).toEqual(
      live
        .toSorted((a, b) => compare(a.id, b.id))
        .map(({ id, title, due, assigneeIds }) => ({ id, title, due, assigneeIds })),
    )
  })

  it("puts what is referred to beside the task", async () => {
    const answer = await ada.get(url({ include: "project,assignees", fields: "key", project: web, limit: 200 }))
    const { data } = (await answer.json()) as { data: Record<string, unknown>[] }
    const project = await projectIn(await ada.get(`/api/v1/projects/${web}`))
    const names = new Map([
      [ada.userId, "Ada"],
      [eve.userId, "Eve"],
    ])
    const byId = new Map(live.map((task) => [task.id, task]))
    expect(data.length).toBeGreaterThan(6)
    for (const { id, ...shown } of data) {
      const task = byId.get(String(id))
      expect(shown).toEqual({
        key: task?.key,
        project: { id: web, key: project.key, name: project.name },
        assignees: task?.assigneeIds.map((userId) => ({ id: userId, name: names.get(userId) })),
      })
    }
  })

  it("does not change which tasks are there, nor the pages", async () => {
    const plain = await walk(ada, url({ limit: 4, sort: "-due" }))
    const projected = await walk(ada, url({ limit: 4, sort: "-due", fields: "status", include: "project" }))
    expect(projected.map(({ data }) => data.map(({ id }) => id))).toEqual(
      plain.map(({ data }) => data.map(({ id }) => id)),
    )
  })
})

describe("a query that is wrong", () => {
  const wrong: [query: string, pointer: string][] = [
    ["colour=red", "?colour"],
    ["limit=0", "?limit"],
    ["limit=201", "?limit"],
    ["limit=-1", "?limit"],
    ["limit=1.5", "?limit"],
    ["limit=abc", "?limit"],
    ["limit=", "?limit"],
    ["sort=colour", "?sort"],
    ["sort=", "?sort"],
    ["sort=--due", "?sort"],
    ["fields=title,colour", "?fields"],
    ["fields=", "?fields"],
    ["fields=constructor", "?fields"],
    ["include=colours", "?include"],
    ["label=bug", "?label"],
    ["status=open", "?status"],
    ["status=todo,", "?status"],
    ["priority=5", "?priority"],
    ["priority=high", "?priority"],
    ["assignee=you", "?assignee"],
    ["assignee=", "?assignee"],
    ["parent=42", "?parent"],
    ["dueBefore=tomorrow", "?dueBefore"],
    ["dueBefore=2026-02-30", "?dueBefore"],
    ["dueAfter=2026-05-01T10:00:00", "?dueAfter"],
    ["dueAfter=0999-01-01", "?dueAfter"],
    ["updatedAfter=2026-05-01", "?updatedAfter"],
    ["cursor=!", "?cursor"],
    ["cursor=", "?cursor"],
    [`cursor=${"A".repeat(1_001)}`, "?cursor"],
    ["limit=1&limit=2", "?limit"],
    ["status=todo&status=done", "?status"],
    ["sort=due&sort=due", "?sort"],
    ["assignee=me&assignee=me", "?assignee"],
    ["cursor=a&cursor=b", "?cursor"],
  ]
  for (const [query, pointer] of wrong) {
    it(`is refused with the parameter named: ${query.slice(0, 40)}`, async () => {
      for (const path of ["/api/v1/tasks", `/api/v1/projects/${web}/tasks`]) {
        expect(await pointersIn(await ada.get(`${path}?${query}`))).toEqual([pointer])
      }
    })
  }

  it("is refused with each parameter named that is wrong", async () => {
    const pointers = await pointersIn(await ada.get("/api/v1/tasks?limit=0&status=open&project=42&colour=red"))
    expect(pointers.toSorted()).toEqual(["?colour", "?limit", "?project", "?status"])
  })

  it("is refused when it names what is not there, is deleted, or belongs to another workspace", async () => {
    const hers = { project: eve.inboxId, parent: (await newTask(eve)).id, assignee: (await newCaller()).userId }
    const absent: [string, string[]][] = [
      ["project", [strangerProject, gone, hers.project]],
      ["parent", [strangerTask, deletedTask, hers.parent]],
      ["assignee", [strangerUser, hers.assignee]],
    ]
    for (const [name, ids] of absent) {
      for (const id of ids) expect(await pointersIn(await ada.get(url({ [name]: id }))), id).toEqual([`?${name}`])
    }
    const all = { project: strangerProject, parent: strangerTask, assignee: strangerUser }
    expect(await pointersIn(await ada.get(url(all)))).toEqual(["?project", "?parent", "?assignee"])
    expect(await pointersIn(await ada.get(url({ parent: parentId, project: strangerProject })))).toEqual(["?project"])
    expect(await pointersIn(await ada.get(url({ project: web, assignee: strangerUser })))).toEqual(["?assignee"])
  })

  it("is refused when the parent's project is deleted", async () => {
    const project = await newProject(eve)
    const parent = await newTask(eve, { projectId: project.id })
    expect((await eve.get(url({ parent: parent.id }))).status).toBe(200)
    await eve.delete(`/api/v1/projects/${project.id}`)
    expect(await pointersIn(await eve.get(url({ parent: parent.id })))).toEqual(["?parent"])
  })

  it("is 404 when the path names a project that is not there, whatever else is asked", async () => {
    for (const id of [strangerProject, gone, eve.inboxId, "42", "prj_", "%00", "'--"]) {
      for (const query of ["", "?limit=1", `?parent=${parentId}`, `?assignee=${strangerUser}`]) {
        const problem = await problemIn(await ada.get(`/api/v1/projects/${id}/tasks${query}`), 404)
        expect(problem.code).toBe("not_found")
      }
    }
    const answer = await ada.get(`/api/v1/projects/${web}/tasks?parent=${strangerTask}&assignee=${strangerUser}`)
    expect(await pointersIn(answer)).toEqual(["?parent", "?assignee"])
  })
})

describe("a page", () => {
  it("costs one round trip, whatever is asked of it", async () => {
    for (const { scope, sort } of lists) {
      const query = { ...scopeQuery(scope), sort, limit: 3 }
      const filters = { status: "todo,done", priority: "0,1,2", dueAfter: "2026-01-01", include: "project,assignees" }
      const first = await ada.get(url(query))
      expect(costOf(first).trips).toBe(1)
      expect(costOf(await ada.get(nextIn(first) ?? "")).trips).toBe(1)
      expect(costOf(await ada.get(url({ ...query, ...filters }))).trips).toBe(1)
    }
    expect(costOf(await ada.get(`/api/v1/projects/${web}/tasks?parent=${parentId}&assignee=me`)).trips).toBe(1)
  })

  it("keeps the whole query in the link to the next", async () => {
    const path = `/api/v1/projects/${web}/tasks?sort=-due&limit=2&status=todo,done&fields=title`
    const answer = await ada.get(path)
    const next = new URL(nextIn(answer) ?? "", "https://edgewise.test")
    expect(next.searchParams.get("cursor")).toBe((await pageIn(answer)).next)
    next.searchParams.delete("cursor")
    expect(`${next.pathname}?${decodeURIComponent(next.searchParams.toString())}`).toBe(path)
  })

  it("stays unseen while nothing changes, and has another ETag after every write", async () => {
    const caller = await newCaller()
    const path = "/api/v1/tasks?limit=2"
    const etags: string[] = []
    const fresh = async () => {
      const last = etags.at(-1)
      const answer = await caller.get(path, last ? { "if-none-match": last } : {})
      expect(answer.status).toBe(200)
      const etag = answer.headers.get("etag") ?? ""
      etags.push(etag)
      const same = await caller.get(path, { "if-none-match": `"0", W/${etag}` })
      expect([same.status, await same.text(), same.headers.get("etag")]).toEqual([304, "", etag])
    }
    await fresh()
    const { id } = await newTask(caller)
    await fresh()
    await caller.patch(`/api/v1/tasks/${id}`, { priority: 1 })
    await fresh()
    await caller.patch("/api/v1/me", { name: "Grace" })
    await fresh()
    await caller.delete(`/api/v1/tasks/${id}`)
    await fresh()
    expect(new Set(etags).size).toBe(5)
    for (const etag of etags) expect(etag).toMatch(/^"0\.\d+\.\w+"$/)
  })

  it("has an ETag of its own for each query", async () => {
    const queries = ["", "?limit=3", "?limit=4", "?fields=title", "?sort=-created", "?include=project"]
    const etags = await Promise.all(
      queries.map(async (query) => (await ada.get(`/api/v1/tasks${query}`)).headers.get("etag")),
    )
    expect(new Set(etags).size).toBe(queries.length)
  })

  it("never shares an ETag between two workspaces", async () => {
    const callers = await Promise.all(Array.from({ length: 8 }, () => newCaller()))
    const answers = await Promise.all(callers.map((caller) => caller.get("/api/v1/tasks")))
    const etags = answers.map((answer) => answer.headers.get("etag") ?? "")
    // The same number of events in each log, so only the hash can tell them apart.
    expect(new Set(etags.map((etag) => etag.split(".")[1])).size).toBe(1)
    expect(new Set(etags).size).toBe(8)
    const [first, second] = callers
    const known = { "if-none-match": etags[0] ?? "" }
    expect((await second?.get("/api/v1/tasks", known))?.status).toBe(200)
    expect((await first?.get("/api/v1/tasks", known))?.status).toBe(304)
  })

  it("is for the caller alone to keep", async () => {
    const { headers } = await ada.get("/api/v1/tasks")
    expect(headers.get("cache-control")).toBe("private, no-cache")
    expect(headers.get("vary")).toContain("Authorization")
  })
})

describe("a cursor", () => {
  const cursorOf = async (caller: Caller, query: Record<string, string | number>) =>
    (await pageIn(await caller.get(url({ ...query, limit: 1 })))).next ?? ""

  it("is refused by every list but its own", async () => {
    const cursors = await Promise.all(lists.map(({ scope, sort }) => cursorOf(ada, { ...scopeQuery(scope), sort })))
    for (const [at, { scope, sort }] of lists.entries()) {
      for (const [made, cursor] of cursors.entries()) {
        const answer = await ada.get(url({ ...scopeQuery(scope), sort, cursor, limit: 1 }))
        if (made === at) expect(answer.status).toBe(200)
        else expect(await pointersIn(answer)).toEqual(["?cursor"])
      }
    }
  })

  it("is refused in another workspace, project or parent, and by the list of projects", async () => {
    await newTask(eve)
    await newTask(eve)
    expect(await pointersIn(await ada.get(url({ cursor: await cursorOf(eve, {}) })))).toEqual(["?cursor"])
    const cursor = await cursorOf(ada, { project: web })
    expect(await pointersIn(await ada.get(url({ project: ada.inboxId, cursor })))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get(`/api/v1/projects?cursor=${await cursorOf(ada, {})}`))).toEqual(["?cursor"])
  })

  it("still finds its place when the task it points to is gone", async () => {
    const caller = await newCaller()
    const tasks: TaskView[] = []
    for (let n = 0; n < 4; n += 1) tasks.push(await newTask(caller))
    const first = await pageIn(await caller.get(url({ limit: 2 })))
    await caller.delete(`/api/v1/tasks/${tasks[1]?.id}`)
    const rest = await pageIn(await caller.get(url({ limit: 2, cursor: first.next ?? "" })))
    expect(idsOf([rest])).toEqual([tasks[2]?.id, tasks[3]?.id])
  })

  const loneSurrogates = fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 5 })
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    loneSurrogates.map((units) => String.fromCharCode(...units)),
    fc.constantFrom("", "\0", "tsk_\0", "a\0b", nthTask(7), "%", "' or 1=1 --", "🎉"),
  )
  const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-1, 0, 1e308, -1e308, 8_640_000_000_000_000))
  const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null))
  const encoded = (value: unknown) => toBase64Url(utf8(typeof value === "string" ? value : JSON.stringify(value)))

  const answersOrRefuses = async (query: Record<string, string>) => {
    const answer = await ada.get(url({ ...query, limit: 2 }))
    if (answer.status === 200) await pageIn(answer)
    else expect(await pointersIn(answer)).toEqual(["?cursor"])
  }
  const anyList = fc.constantFrom(...lists)

  it("may be any text: it is refused, and never a fault", async () => {
    await fc.assert(
      fc.asyncProperty(anyList, fc.oneof(text, fc.base64String()), ({ scope, sort }, cursor) =>
        answersOrRefuses({ ...scopeQuery(scope), sort, cursor }),
      ),
      { numRuns: 150 },
    )
  })

  it("may hold any JSON: it is refused, and never a fault", async () => {
    const json = fc.oneof(fc.jsonValue(), fc.array(scalar, { maxLength: 4 }), fc.json())
    await fc.assert(
      fc.asyncProperty(anyList, json, ({ scope, sort }, value) =>
        answersOrRefuses({ ...scopeQuery(scope), sort, cursor: encoded(value) }),
      ),
      { numRuns: 150 },
    )
  })

  it("may name any place in its own list: it answers or is refused", async () => {
    const written = (values: fc.Arbitrary<unknown>) => values.map((value) => JSON.stringify(value))
    // Numbers beyond a double come out of JSON as Infinity, which JSON.stringify cannot write.
    const odd = fc.constantFrom("1e999", "-1e999", '"\\ud800"', '"\\u0000"', "[]", "{}", "null", "true", '"1"')
    const key = fc.oneof({ weight: 4, arbitrary: written(text) }, { weight: 4, arbitrary: written(number) }, odd)
    const name = fc.oneof({ weight: 8, arbitrary: written(text) }, odd)
    const marks = new Map<string, string>()
    for (const { scope, sort } of lists) {
      const cursor = await cursorOf(ada, { ...scopeQuery(scope), sort })
      const [mark] = JSON.parse(new TextDecoder().decode(fromBase64Url(cursor) ?? new Uint8Array())) as string[]
      marks.set(`${scope} ${sort}`, mark ?? "")
    }
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(anyList, key, name, async ({ scope, sort }, k, id) => {
        const cursor = encoded(`["${marks.get(`${scope} ${sort}`)}",${k},${id}]`)
        const answer = await ada.get(url({ ...scopeQuery(scope), sort, limit: 2, cursor }))
        if (answer.status === 200) accepted += 1
        else expect(await pointersIn(answer)).toEqual(["?cursor"])
      }),
      { numRuns: 300, examples: [[{ scope: "workspace", by: "due", sort: "due", sign: 1 }, "1e999", '"a"']] },
    )
    expect(accepted).toBeGreaterThan(20)
  })
})

describe("a list of thousands", () => {
  const count = 3_000
  let big: Caller
  let seeded: Awaited<ReturnType<typeof seedTasks>>
  let assigned: Set<string>
  const parent = nthTask(0)
  // Long runs of tasks that are not to be seen, deleted or in a deleted project; priority 4 is four in three thousand.
  const isDeleted = (n: number) => (n > 10 && n < 700) || n === 2_990
  const isAssigned = (n: number) => n % 10 !== 1 && !isDeleted(n)
  const projectOf = (n: number) => (n > 1_300 && n < 2_100 ? 2 : n % 8 === 1 ? 1 : 0)
  const rare = new Set([3, 1_207, 1_208, 2_990])
  const priorityOf = (n: number) => (rare.has(n) ? 4 : [97, 9, 3].findIndex((divisor) => n % divisor === 0) + 1)

  beforeAll(async () => {
    big = await newCaller()
    await seedProjects(big, 3, (n) => ({ deletedAt: n === 2 ? 1 : null }))
    seeded = await seedTasks(big, count, (n) => ({
      projectId: nthProject(projectOf(n)),
      deletedAt: isDeleted(n) ? 1 : null,
      parentId: projectOf(n) === 0 && n > 0 ? parent : null,
      priority: priorityOf(n),
      position: `a${(n * 7) % 10}`,
      updatedAt: (n * 31) % 50,
      dueSort: n % 5 === 0 ? (n * 13) % 700 : 8_640_000_000_000_000,
      assigneeIds: isAssigned(n) ? [big.userId] : [],
    }))
    assigned = new Set(seeded.filter((_, n) => isAssigned(n)).map(({ id }) => id))
  })

  type Row = (typeof seeded)[number]
  const rowKeys: Record<Sort, (row: Row) => string | number> = {
    position: (row) => row.position,
    created: (row) => row.id,
    updated: (row) => row.updatedAt,
    due: (row) => row.dueSort,
  }
  const bigScope = (scope: Scope): Record<string, string> =>
    ({ workspace: {}, project: { project: nthProject(0) }, parent: { parent }, assignee: { assignee: "me" } })[
      scope
    ] as Record<string, string>
  const isIn = (scope: Scope, row: Row) =>
    row.deletedAt === null &&
    {
      workspace: row.projectId !== nthProject(2),
      project: row.projectId === nthProject(0),
      parent: row.parentId === parent,
      assignee: row.projectId !== nthProject(2) && assigned.has(row.id),
    }[scope]

  const expected = ({ scope, by, sign }: (typeof lists)[number], holds: (row: Row) => boolean = () => true) =>
    inOrder(
      seeded.filter((row) => isIn(scope, row) && holds(row)),
      rowKeys[by],
      sign,
    )

  for (const list of lists) {
    const { scope, sort } = list
    it(`of ${listOf[scope]} by ${sort} is found whole, and so are the few and the none that match in it`, async () => {
      const query = { ...bigScope(scope), sort }
      const whole = await walk(big, url({ ...query, limit: 200 }))
      expect(idsOf(whole)).toEqual(expected(list))

      const few = await walk(big, url({ ...query, limit: 50, priority: 4 }))
      expect(idsOf(few)).toEqual(expected(list, (row) => row.priority === 4))
      expect(few.some(({ data, next }) => data.length < 50 && next !== null)).toBe(true)

      const none = await walk(big, url({ ...query, limit: 50, status: "cancelled" }))
      expect(idsOf(none)).toEqual([])
      expect(none.length).toBeGreaterThan(2)
    })
  }

  it("is found whole under any filter, limit and order", async () => {
    const query = fc.record({
      list: fc.constantFrom(...lists),
      limit: fc.integer({ min: 20, max: 200 }),
      priorities: fc.subarray([0, 1, 2, 3, 4], { minLength: 1 }),
      isMine: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(query, async ({ list, limit, priorities, isMine }) => {
        const { scope, sort } = list
        const filtersByPerson = isMine && (scope === "project" || scope === "parent")
        const pages = await walk(
          big,
          url({
            ...bigScope(scope),
            ...(filtersByPerson && { assignee: "me" }),
            sort,
            limit,
            priority: priorities.join(","),
          }),
        )
        const holds = (row: Row) => priorities.includes(row.priority) && (!filtersByPerson || assigned.has(row.id))
        expect(idsOf(pages)).toEqual(expected(list, holds))
        expect(pages.every(({ data }) => data.length <= limit)).toBe(true)
      }),
      { numRuns: 25 },
    )
  })

  it("fills its pages when nothing is filtered out", async () => {
    const caller = await newCaller()
    await seedTasks(caller, 450, () => ({ assigneeIds: [caller.userId] }))
    for (const query of [{}, { project: caller.inboxId }, { assignee: "me" }]) {
      const pages = await walk(caller, url({ ...query, limit: 200 }))
      expect(pages.map(({ data }) => data.length)).toEqual([200, 200, 50])
    }
  })
})
