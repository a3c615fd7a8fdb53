import { projectSorts } from "../../src/contracts/projects.ts"
import { taskLists } from "../../src/domain/task-lists.ts"
import type { Bench } from "../bench.ts"
import { type Call, median, send } from "../load.ts"
import { atMost, type Report, type Row, type Table } from "../report.ts"
import { type Plan, type Viewer, viewersOf } from "../seed/rows.ts"
import { newD1, newPostgres, ours, oursOnPostgres, type Side } from "../sides.ts"

const bar = 1.3
const rounds = 5
const perRound = 30

const small: Plan = { workspaces: 1, members: 10, projects: 10, tasksPerProject: 100, labels: 5, subtasks: 60 }
const large: Plan = { workspaces: 1, members: 50, projects: 200, tasksPerProject: 5_000, labels: 20, subtasks: 60 }

const method = `Two databases with one workspace each: 1,000 tasks in 10 projects, and 1,000,000 in 200. Nine in ten tasks are
assigned, half carry a label, six in ten are due; rows and indexes are written straight into the database (there is no full-text
index yet, and no events are written: no list reads them). Every list that there is gives its first page, of 50 tasks or 10
projects, one request at a time and without a cache (one that keeps nothing, as on workers.dev), first on one and then on the other, ${rounds} rounds of
${perRound} such pairs after one to warm up. The ratio is that of the two p50.`

type List = { name: string; path: (viewer: Viewer) => string }

const scopes = {
  workspace: () => "",
  project: ({ projects }: Viewer) => `project=${projects[1]?.id}&`,
  parent: ({ projects }: Viewer) => `parent=${projects[0]?.taskIds[0]}&`,
  assignee: () => "assignee=me&",
  label: ({ labelIds }: Viewer) => `label=${labelIds[0]}&`,
}

/** Every pair of a scope and a sort, and the projects. */
const lists: List[] = [
  ...Object.entries(taskLists).flatMap(([scope, sorts]) =>
    sorts.map((sort) => ({
      name: `${scope} by ${sort}`,
      path: (viewer: Viewer) => `/api/v1/tasks?${scopes[scope as keyof typeof scopes](viewer)}sort=${sort}&limit=50`,
    })),
  ),
  ...projectSorts.map((sort) => ({
    name: `projects by ${sort}`,
    path: () => `/api/v1/projects?sort=${sort}&limit=10`,
  })),
]

type Seeded = { side: Side; viewer: Viewer; seconds: number }
type Pair = [small: Seeded, large: Seeded]
type Grown = { name: string; small: number; large: number; ratio: number; rows: [number, number] }

export async function growth(bench: Bench): Promise<Report> {
  const d1: Pair = [await seededD1(bench, small), await seededD1(bench, large)]
  const onD1 = await measure(bench, "D1", d1)
  const postgres: Pair = [await seededPostgres(bench, small), await seededPostgres(bench, large)]
  const onPostgres = await measure(bench, "Postgres", postgres)
  return {
    method,
    tables: [tableOf("D1", onD1), tableOf("Postgres", onPostgres)],
    rows: [...onD1.map((list) => rowOf("D1", list)), ...onPostgres.map((list) => rowOf("Postgres", list))],
    notes: [
      `Writing the million took ${d1[1].seconds.toFixed(0)} s on D1 and ${postgres[1].seconds.toFixed(0)} s on Postgres. On Postgres
       every request makes a connection of its own, for which the server starts a process: that is most of its time here.`,
    ],
    data: { small, large, onD1, onPostgres },
  }
}

async function seededD1(bench: Bench, plan: Plan): Promise<Seeded> {
  const viewer = ownerIn(plan)
  const { state, seconds } = await newD1(bench, plan)
  return { side: await ours(bench, { state, viewers: [viewer], entry: "no-cache" }), viewer, seconds }
}

async function seededPostgres(bench: Bench, plan: Plan): Promise<Seeded> {
  const viewer = ownerIn(plan)
  const { server, seconds } = await newPostgres(bench, plan, { isDurable: false })
  return {
    side: await oursOnPostgres(bench, { url: server.url, viewers: [viewer], entry: "no-cache" }),
    viewer,
    seconds,
  }
}

function ownerIn(plan: Plan): Viewer {
  const [viewer] = viewersOf(plan)
  if (!viewer) throw new RangeError("Nobody is there to look")
  return viewer
}

type Timed = { times: number[]; rows: number }
type Measured = { list: List; few: Timed; many: Timed }

async function measure(bench: Bench, database: string, [few, many]: Pair): Promise<Grown[]> {
  const timed = (): Timed => ({ times: [], rows: 0 })
  const measured = lists.map((list): Measured => ({ list, few: timed(), many: timed() }))
  // The first round only warms up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const { list, ...sizes } of measured) {
      if (round === 1) for (const size of [sizes.few, sizes.many]) size.times = []
      for (let n = 0; n < perRound; n += 1) {
        await ask(list, few, sizes.few)
        await ask(list, many, sizes.many)
      }
    }
    if (round > 0) bench.tell(`round ${round} of ${rounds} on ${database}`)
  }
  return measured.map(grownIn)
}

async function ask(list: List, seeded: Seeded, timed: Timed): Promise<void> {
  const answer = await send(seeded.side.url, callOf(list, seeded))
  timed.times.push(answer.ms)
  timed.rows = (JSON.parse(answer.body) as { data: unknown[] }).data.length
}

function grownIn({ list: { name }, few, many }: Measured): Grown {
  const [small, large] = [median(few.times), median(many.times)]
  return { name, small, large, ratio: large / small, rows: [few.rows, many.rows] }
}

const callOf = ({ path }: List, { side, viewer }: Seeded): Call => ({
  method: "GET",
  path: path(viewer),
  headers: side.headersOf(viewer),
  expected: 200,
})

// Pages that are not equally full would be no measure.
const rowOf = (database: string, { name, ratio, rows }: Grown): Row => {
  if (rows[0] !== rows[1]) throw new Error(`${name} on ${database} gives ${rows[0]} and ${rows[1]} rows`)
  return atMost(`growth on ${database}, ${name}`, bar, ratio, "", 2)
}

const tableOf = (database: string, grown: Grown[]): Table => ({
  title: `p50 on ${database}, one request at a time`,
  lines: [
    ["list", "rows", "of 1,000: ms", "of 1,000,000: ms", "ratio"],
    ...grown.map(({ name, small, large, ratio, rows }) => [
      name,
      String(rows[0]),
      small.toFixed(2),
      large.toFixed(2),
      ratio.toFixed(2),
    ]),
  ],
})
