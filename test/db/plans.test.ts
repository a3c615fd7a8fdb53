import { env } from "cloudflare:workers"
import { beforeAll, describe, expect, it } from "vitest"
import { fromBase64Url, toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { openApp } from "../support/app.ts"
import { type Caller, costOf, newCaller } from "../support/caller.ts"
import { nthProject, nthTask, seedEvents, seedProjects, seedTasks } from "../support/seed.ts"

// A clean SEARCH can still examine everything, so each list is held to its plan and to the rows that it reads, in a
// workspace of 100,000 tasks.

const count = 100_000
const neverDue = 8_640_000_000_000_000

/** What a list may examine in all, the page itself not counted. */
const examined = 1_000
/** What a page of any size reads beside it: the log's head, what the query names, a filter's values, the boundary. */
const aside = 20
/** What a row of a page reads: itself, whom it is assigned to, and that this is all. */
const perRow = 3

const parent = nthTask(40_002)
const middle = nthTask(70_000)
const rare = nthTask(99_998)
const [large, other, tiny] = [nthProject(0), nthProject(1), nthProject(2)]

type Query = Record<string, string | number>
type List = { name: string; query: Query; index: string; middle: string | number }

const scopes = { workspace: {}, project: { project: large }, parent: { parent }, assignee: { assignee: "me" } }

const list = (scope: keyof typeof scopes, sort: string, index: string, middle: List["middle"]): List[] =>
  [sort, `-${sort}`].map((sort) => ({ name: `${scope} by ${sort}`, query: { ...scopes[scope], sort }, index, middle }))

/** Every scope and sort, the index that serves it, and a sort key from the middle of it. */
const lists = [
  ...list("workspace", "created", "sqlite_autoindex_tasks_1", middle),
  ...list("workspace", "updated", "tasks_updated", 500),
  ...list("workspace", "due", "tasks_due", neverDue),
  ...list("project", "position", "tasks_project_position", "a4"),
  ...list("project", "created", "tasks_project_created", middle),
  ...list("project", "updated", "tasks_project_updated", 500),
  ...list("project", "due", "tasks_project_due", neverDue),
  ...list("parent", "position", "tasks_parent_position", "a4"),
  ...list("assignee", "due", "task_assignees_due", neverDue),
  ...list("assignee", "created", "task_assignees_created", middle),
]

/** Filters that one task in 100,000 passes, or none. */
const rareFilters: Query[] = [
  { priority: 4 },
  { status: "cancelled" },
  { updatedAfter: "2999-01-01T00:00:00Z" },
  { dueBefore: "1000-01-01" },
  { dueAfter: "1970-01-02", dueBefore: "1970-01-02" },
  { status: "todo,done", priority: "4,3", updatedAfter: "1970-01-01T00:00:00Z" },
]

/** Filters over other tables, which only some scopes have. */
const lookups = (query: Query): Query[] => [
  ...("parent" in query ? [{ project: other }, { assignee: stranger }, { project: large, assignee: stranger }] : []),
  ...("project" in query ? [{ assignee: stranger }, { assignee: "me", priority: 4 }] : []),
]

let ada: Caller
let stranger: string

type Statement = { text: string; values: unknown[] }
let sent: Statement[] = []

/** The real database, which remembers what it is asked. */
function recording(db: D1Database): D1Database {
  const statements = new WeakMap<object, Statement>()
  const remember = (statement: D1PreparedStatement, text: string, values: unknown[]) => {
    statements.set(statement, { text, values })
    const bind = statement.bind.bind(statement)
    return Object.assign(statement, { bind: (...given: unknown[]) => remember(bind(...given), text, given) })
  }
  const door = {
    prepare: (text: string) => remember(db.prepare(text), text, []),
    batch: (batch: D1PreparedStatement[]) => {
      sent.push(...batch.map((statement) => statements.get(statement) ?? { text: "", values: [] }))
      return db.batch(batch)
    },
  }
  return door as unknown as D1Database
}

beforeAll(async () => {
  ada = await newCaller(await openApp({ db: recording(env.DB) }))
  stranger = (await newCaller()).userId
  await env.DB.prepare(
    "insert into members (workspace_id, user_id, role, name, revision, created_at, updated_at) values (?, ?, 'member', 'Eve', 1, 0, 0)",
  )
    .bind(ada.workspaceId, stranger)
    .run()

  const projectOf = (n: number) => (n % 1_000 === 1 ? tiny : n % 2 === 0 ? large : other)
  // A third of all tasks is deleted at one stretch. Sort keys have long ties: nine in ten are never due.
  const isDeleted = (n: number) => n < 30_000
  await seedProjects(ada, 1_000, (n) => ({ deletedAt: n >= 3 && n < 900 ? 1 : null, updatedAt: n % 10 }))
  await seedTasks(ada, count, (n) => ({
    projectId: projectOf(n),
    parentId: projectOf(n) === large && n > 50_000 ? parent : null,
    status: n % 5 < 3 ? "todo" : "done",
    priority: nthTask(n) === rare ? 4 : n % 3,
    position: `a${n % 10}`,
    updatedAt: n % 1_000,
    dueSort: n % 10 === 0 ? n * 100_000 : neverDue,
    deletedAt: isDeleted(n) ? 1 : null,
    assigneeIds: isDeleted(n) || n % 4 === 3 ? [] : [ada.userId],
  }))
  await seedEvents(ada, 100, 20_000)
})

const url = (path: string, query: Query) =>
  `/api/v1/${path}?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`

/** A page, what it read, and the statements that it ran. */
async function read(path: string, query: Query) {
  sent = []
  const answer = await ada.get(url(path, query))
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
  const { data, next } = JSON.parse(text) as { data: { id: string }[]; next: string | number | null }
  return { data, next, rowsRead: costOf(answer).read, trips: costOf(answer).trips, statements: sent }
}

/** A cursor for the middle of a list: the mark of a real one, with another place. */
async function cursorInMiddle(path: string, query: Query, key: string | number, id: string): Promise<string> {
  const { next } = await read(path, { ...query, limit: 1 })
  const [mark] = JSON.parse(new TextDecoder().decode(fromBase64Url(String(next)) ?? new Uint8Array())) as string[]
  return toBase64Url(utf8(JSON.stringify([mark, key, id])))
}

async function planOf(statements: Statement[]): Promise<string[]> {
  const explained = await env.DB.batch<{ detail: string }>(
    statements.map(({ text, values }) => env.DB.prepare(`explain query plan ${text}`).bind(...values)),
  )
  return explained.flatMap(({ results }) => results.map(({ detail }) => detail))
}

// Subqueries in the order in which another search yields them, and JSON parameters.
const harmless = /^SCAN (entry|page|\(subquery-\d+\)|json_each VIRTUAL TABLE.*|CONSTANT ROW)$/

function expectSearchesOnly(plan: string[]): void {
  expect(plan.filter((step) => step.startsWith("SCAN ") && !harmless.test(step))).toEqual([])
  expect(plan.filter((step) => /TEMP B-TREE|AUTOMATIC/.test(step))).toEqual([])
  // Nothing is looked for outside the workspace.
  const searches = plan.filter((step) => step.startsWith("SEARCH "))
  expect(searches.filter((step) => !/ USING (COVERING )?INDEX \w+ \(workspace_id=\?/.test(step))).toEqual([])
}

/** The list's own index, and for every page but the first the range that begins at the cursor. */
function expectEntriesBy(plan: string[], { index }: Pick<List, "index">, isFirst: boolean): void {
  const alias = index.startsWith("task_assignees") ? "a" : "t"
  const entries = plan.filter((step) => new RegExp(`^SEARCH ${alias} USING .*\\b${index} `).test(step))
  expect(entries.length, plan.join("\n")).toBeGreaterThan(0)
  const others = plan.filter((step) => step.startsWith(`SEARCH ${alias} `) && !entries.includes(step))
  expect(others.filter((step) => !/autoindex_task(s|_assignees)_1/.test(step))).toEqual([])
  expect(entries.every((step) => /[<>]/.test(step) !== isFirst)).toBe(true)
}

/** The first page and one in the middle. */
async function placesOf({ query, middle: key }: List): Promise<{ isFirst: boolean; place: Query }[]> {
  const cursor = await cursorInMiddle("tasks", query, key, middle)
  return [
    { isFirst: true, place: {} },
    { isFirst: false, place: { cursor } },
  ]
}

const limits = [1, 50, 200]

/** The first page and one in the middle, of each size, under each filter. */
async function* pagesOf(list: List, ...filters: Query[][]) {
  for (const { place } of await placesOf(list)) {
    for (const filter of filters.flat()) {
      for (const limit of limits) {
        const query = { ...list.query, ...filter, ...place, limit }
        yield { ...(await read("tasks", query)), limit, asked: JSON.stringify(query) }
      }
    }
  }
}

async function expectPlans(list: List): Promise<void> {
  for (const { isFirst, place } of await placesOf(list)) {
    const variants = [{}, { include: "project,assignees" }, ...rareFilters, ...lookups(list.query)]
    for (const filter of variants) {
      const { statements } = await read("tasks", { ...list.query, ...filter, ...place })
      const plan = await planOf(statements)
      expectSearchesOnly(plan)
      expectEntriesBy(plan, list, isFirst)
    }
  }
}

describe("a list of tasks among 100,000", () => {
  for (const list of lists) {
    it(`reads its own index and sorts nothing: ${list.name}`, () => expectPlans(list))

    it(`examines 1,000 rows at most for a rare match or none: ${list.name}`, async () => {
      const found = new Set<string>()
      for await (const { data, rowsRead, trips, limit, asked } of pagesOf(list, rareFilters, lookups(list.query))) {
        expect(trips).toBe(1)
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + limit + 1 + aside)
        for (const { id } of data) found.add(id)
      }
      expect([...found].filter((id) => id !== rare)).toEqual([])
    })

    it(`reads no more than its page when nothing is filtered out: ${list.name}`, async () => {
      for await (const { data, rowsRead, limit, asked } of pagesOf(list, [{}])) {
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + limit + 1 + aside)
        // Where every entry is shown, the price is the page's: an entry, its task and project, and the row.
        if (data.length === limit) expect(rowsRead, asked).toBeLessThanOrEqual((limit + 1) * (3 + perRow) + aside)
      }
    })

    it(`keeps the bound for a filter that half of the tasks pass: ${list.name}`, async () => {
      for await (const { data, rowsRead, asked } of pagesOf(list, [{ status: "todo" }])) {
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + data.length * perRow + aside)
      }
    })
  }

  it("skips 30,000 deleted tasks a window at a time", async () => {
    const { data, next, rowsRead } = await read("tasks", { sort: "created", limit: 50 })
    expect([data.length, typeof next]).toEqual([0, "string"])
    expect(rowsRead).toBeLessThanOrEqual(examined + aside)
  })
})

describe("other lists in a large workspace", () => {
  const projectLists = [
    { sort: "created", index: "projects_created", key: nthProject(950) },
    { sort: "updated", index: "projects_updated", key: 5 },
  ]
  for (const { sort, index, key } of projectLists) {
    for (const query of [{ sort }, { sort: `-${sort}` }]) {
      it(`of projects by ${query.sort} reads its page and not the deleted`, async () => {
        const cursor = await cursorInMiddle("projects", query, key, nthProject(950))
        for (const place of [{}, { cursor }]) {
          for (const limit of limits) {
            const { rowsRead, statements, data } = await read("projects", { ...query, ...place, limit })
            expect(data.length).toBeGreaterThan(0)
            expect(rowsRead).toBeLessThanOrEqual(limit + 1 + aside)
            const plan = await planOf(statements)
            expectSearchesOnly(plan)
            expect(plan.filter((step) => step.startsWith(`SEARCH projects USING INDEX ${index} `))).toHaveLength(1)
          }
        }
      })
    }
  }

  it("of events reads its page", async () => {
    for (const after of [0, 10_000]) {
      for (const limit of limits) {
        const { rowsRead, statements, data } = await read("events", { after, limit })
        expect(data).toHaveLength(limit)
        expect(rowsRead).toBeLessThanOrEqual(limit)
        expect(await planOf(statements)).toEqual([
          "SEARCH events USING INDEX sqlite_autoindex_events_1 (workspace_id=? AND seq>?)",
        ])
      }
    }
  })
})

describe("lists in a database that has been analysed", () => {
  beforeAll(async () => {
    await env.DB.prepare("analyze").run()
  })

  for (const list of lists) {
    it(`keep their plan: ${list.name}`, () => expectPlans(list))
  }
})

describe("lists when all projects but one small one are deleted", () => {
  beforeAll(async () => {
    await env.DB.prepare("update projects set deleted_at = 1 where workspace_id = ? and id <> ?")
      .bind(ada.workspaceId, tiny)
      .run()
  })

  const across = lists.filter(({ query }) => !("project" in query || "parent" in query))
  for (const list of across) {
    it(`examine 1,000 rows at most: ${list.name}`, async () => {
      for await (const { rowsRead, limit, asked } of pagesOf(list, [{}])) {
        expect(rowsRead, asked).toBeLessThanOrEqual(examined + limit + 1 + aside)
      }
    })
  }
})
