import type { Query } from "../../src/db/engine.ts"
import { fromBase64Url, toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { openApp } from "./app.ts"
import { addMember, type Caller, costOf, newCaller } from "./caller.ts"
import { between } from "./faults.ts"
import { nthLabel, nthProject, nthTask, seedEvents, seedLabels, seedProjects, seedTasks } from "./seed.ts"

// A workspace so large that a list without a bound would be noticed, and every list that there is.

const count = 100_000
const neverDue = 8_640_000_000_000_000

/** What a list may examine in all, the page itself not counted. */
export const examined = 1_000
/** What a page of any size reads beside it: the log's head, what the query names, a filter's values, the boundary. */
export const aside = 20
/** What a row of a page reads: itself, whom it is assigned to, which labels it has, and that this is all of each. */
export const perRow = 5

const parent = nthTask(40_002)
const middle = nthTask(70_000)
export const rare = nthTask(99_998)
const [large, other] = [nthProject(0), nthProject(1)]
export const tiny = nthProject(2)
/** On a third of the tasks, and on none. */
const [common, unused] = [nthLabel(0), nthLabel(1)]

type Asked = Record<string, string | number>
export type List = {
  name: string
  query: Asked
  /** The index that serves it, by its name on D1. */
  index: string
  postgresIndex: string
  /** A sort key from the middle of the list. */
  middle: string | number
}

const scopes = {
  workspace: {},
  project: { project: large },
  parent: { parent },
  assignee: { assignee: "me" },
  label: { label: common },
}

const list = (scope: keyof typeof scopes, sort: string, index: string, middle: List["middle"]): List[] =>
  [sort, `-${sort}`].map((sort) => ({
    name: `${scope} by ${sort}`,
    query: { ...scopes[scope], sort },
    index,
    postgresIndex: index.replace(/^sqlite_autoindex_(\w+)_1$/, "$1_workspace_id_id_pk"),
    middle,
  }))

/** Every scope and sort. */
export const lists: List[] = [
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
  ...list("label", "created", "task_labels_label", middle),
]

export const projectLists = [
  { sort: "created", index: "projects_created", key: nthProject(950) },
  { sort: "updated", index: "projects_updated", key: 5 },
]

/** Filters that one task in 100,000 passes, or none. */
export const rareFilters: Asked[] = [
  { priority: 4 },
  { status: "cancelled" },
  { updatedAfter: "2999-01-01T00:00:00Z" },
  { dueBefore: "1000-01-01" },
  { dueAfter: "1970-01-02", dueBefore: "1970-01-02" },
  { status: "todo,done", priority: "4,3", updatedAfter: "1970-01-01T00:00:00Z" },
]

/** Filters over other tables, which only some scopes have. */
export const lookups = (query: Asked): Asked[] => [
  ...("parent" in query ? [{ project: other }, { assignee: stranger }, { project: large, assignee: stranger }] : []),
  ...("project" in query ? [{ assignee: stranger }, { assignee: "me", priority: 4 }] : []),
  ...(["parent", "project", "assignee"].some((scope) => scope in query)
    ? [{ label: unused }, { label: common, priority: 4 }]
    : []),
]

export let ada: Caller
let stranger: string

let sent: Query[] = []

/** The real database, which remembers what it is asked. */
const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

/** Fills it: a hundred thousand tasks, a thousand projects, twenty thousand events. */
export async function buildLargeWorkspace(): Promise<void> {
  ada = await newCaller(await openApp({ database: recording }))
  const eve = await newCaller()
  stranger = eve.userId
  await addMember(ada, eve)
  // Other workspaces are there too: reading a whole table is never the cheapest way.
  await seedProjects(eve, 20_000)
  await seedEvents(eve, 100, 80_000)
  await seedLabels(eve, 20_000)

  const projectOf = (n: number) => (n % 1_000 === 1 ? tiny : n % 2 === 0 ? large : other)
  // A third of all tasks is deleted at one stretch. Sort keys have long ties: nine in ten are never due.
  const isDeleted = (n: number) => n < 30_000
  const labelsOf = (n: number) => (n % 3 === 0 && !isDeleted(n) ? [common] : [])
  await seedProjects(ada, 1_000, (n) => ({ deletedAt: n >= 3 && n < 900 ? 1 : null, updatedAt: n % 10 }))
  await seedLabels(ada, 2)
  await seedTasks(ada, count, (n) => ({
    projectId: projectOf(n),
    parentId: projectOf(n) === large && n > 50_000 ? parent : null,
    status: n % 5 < 3 ? "todo" : "done",
    priority: nthTask(n) === rare ? 4 : n % 3,
    position: `a${n % 10}`,
    updatedAt: n % 1_000,
    dueSort: n % 10 === 0 ? n * 100_000 : neverDue,
    deletedAt: isDeleted(n) ? 1 : null,
    labelIds: labelsOf(n),
    assigneeIds: isDeleted(n) || n % 4 === 3 ? [] : [ada.userId],
  }))
  await seedEvents(ada, 100, 20_000)
}

const url = (path: string, query: Asked) =>
  `/api/v1/${path}?${new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))}`

/** A page, what it read, and the statements that it ran. */
export async function read(path: string, query: Asked) {
  sent = []
  const answer = await ada.get(url(path, query))
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
  const { data, next } = JSON.parse(text) as { data: { id: string }[]; next: string | number | null }
  return { data, next, rowsRead: costOf(answer).read, trips: costOf(answer).trips, statements: sent }
}

/** A cursor for the middle of a list: the mark of a real one, with another place. */
export async function cursorInMiddle(path: string, query: Asked, key: string | number, id: string): Promise<string> {
  const { next } = await read(path, { ...query, limit: 1 })
  const [mark] = JSON.parse(new TextDecoder().decode(fromBase64Url(String(next)) ?? new Uint8Array())) as string[]
  return toBase64Url(utf8(JSON.stringify([mark, key, id])))
}

/** The first page and one in the middle. */
export async function placesOf({ query, middle: key }: List): Promise<{ isFirst: boolean; place: Asked }[]> {
  const cursor = await cursorInMiddle("tasks", query, key, middle)
  return [
    { isFirst: true, place: {} },
    { isFirst: false, place: { cursor } },
  ]
}

export const limits = [1, 50, 200]

/** The first page and one in the middle, of each size, under each filter. */
export async function* pagesOf(list: List, ...filters: Asked[][]) {
  for (const { place } of await placesOf(list)) {
    for (const filter of filters.flat()) {
      for (const limit of limits) {
        const query = { ...list.query, ...filter, ...place, limit }
        yield { ...(await read("tasks", query)), limit, asked: JSON.stringify(query) }
      }
    }
  }
}
