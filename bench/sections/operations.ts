import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import pg from "pg"
import { startSlowProxy } from "../../test/support/slow-proxy.ts"
import { type Bench, root } from "../bench.ts"
import {
  type CellCounts,
  type Counter,
  callsOf,
  cellsOf,
  countCell,
  cpuOfCell,
  cpuOfSimulators,
  openCounter,
  openPlain,
  type Simulators,
} from "../counts.ts"
import { type Answer, type Call, costOf, send } from "../load.ts"
import { type CountedFile, type Kind, kinds, type Way, ways } from "../mix.ts"
import { type Played, play } from "../play.ts"
import { atMost, notMeasured, type Report, type Row, type Table, told } from "../report.ts"
import { type Plan, password, taskText, type Viewer, viewersOf } from "../seed/rows.ts"
import { newPostgres, oursOnPostgres, referenceViewers, type ServedSide } from "../sides.ts"
import { nth, reads, writeOf } from "../work.ts"

const rowBars = { create: 16, close: 9, patch: 8 }
const tripBars: Record<Kind | "delete", number> = {
  task: 1,
  "project-tasks": 1,
  projects: 1,
  create: 1,
  patch: 2,
  close: 2,
  delete: 2,
}
const delayMs = 40
const playedTimes = 15
const bulk = 100
const bulks = 20

const method = `Counted and not timed, one request after the other on D1 with 100 users × 6 projects × 80 tasks and the limits of a
deployment; the mean of up to 60 requests of each kind and way, after 100 that only warm up. Trips and rows are what Server-Timing
tells; a module in front of the built Worker counts its calls of the Cache API, of D1 and of Durable Objects; the bytes of a line are
those that the Worker wrote with LOG_SAMPLE_RATE=1. CPU is user and system time of the whole local runtime over 200 requests, the
median of three rounds, with the simulators of D1 and of the cache in it: an upper bound. What is left without them is about what is
left when each call is taken off for what it takes in a handler that does nothing else. The calls of the limiter and how reads
are answered are those of the reference mix, played with its pauses. The wire to Postgres has ${delayMs} ms put in each way and is
counted by a proxy, beside what making the connection takes.`

type Cell = { kind: Kind; way: Way; counts: CellCounts | null; cpuMs: number | null }

export async function operations(bench: Bench): Promise<Report> {
  const viewers = referenceViewers()
  const counter = await openCounter(bench, viewers)
  const plain = await openPlain(bench, viewers)
  const cells: Cell[] = []
  for (const cell of cellsOf(viewers)) {
    const counts = await countCell(counter, cell)
    const cpuMs = await cpuOfCell(bench, plain, cell)
    cells.push({ kind: cell.kind, way: cell.way, counts, cpuMs })
    bench.tell(`${cell.kind}, ${cell.way}: ${counts ? "counted" : "no such answer"}`)
  }
  const simulators = await cpuOfSimulators(bench)
  const others = await otherTrips(counter.side, nth(viewers, 1))
  const limiterCalls = await playCounted(bench, counter, viewers)
  const bytesPerTask = await bytesOfTask(plain, nth(viewers, 0))
  const wire = await tripsOnWire(bench)
  const file = fileOf(cells, limiterCalls, bytesPerTask)
  if (file) await writeFile(join(root, "bench/counted.json"), `${JSON.stringify(file, null, 2)}\n`)

  return {
    method,
    tables: [tableOf(cells, simulators)],
    rows: [
      ...cells.map(tripRow),
      ...others,
      told("Postgres, to make a connection, trips on the wire", String(wire.toConnect)),
      atMost("Postgres, a commit, trips on the wire", 1, wire.ofCommit),
      ...Object.entries(rowBars).map(([kind, bar]) => writtenRow(cells, kind as Kind, bar)),
      told("calls of the limiter's Durable Object, per request of the mix", limiterCalls.perRequest.toFixed(3)),
      told("bytes of a task with its event and indexes", bytesPerTask.toFixed(0)),
    ],
    notes: [
      file
        ? "bench/counted.json was written."
        : "bench/counted.json was left as it is: not everything could be counted.",
    ],
    data: { cells, simulators, limiterCalls, bytesPerTask, wire },
  }
}

// ---- the table ----

const tripBar = ({ kind, way }: Cell) => (way === "uncached" ? tripBars[kind] : 0)

function tripRow(cell: Cell): Row {
  const { kind, way, counts } = cell
  const what = way === "uncached" ? `${kind}, trips` : `${kind}, ${way}, trips`
  if (!counts) return notMeasured(what, `≤ ${tripBar(cell)}`, "no such answer")
  return atMost(what, tripBar(cell), counts.trips, "", 2)
}

function writtenRow(cells: Cell[], kind: Kind, bar: number): Row {
  const what = `${kind}, rows written on D1`
  const counts = cells.find((cell) => cell.kind === kind)?.counts
  return counts ? atMost(what, bar, counts.rowsWritten, "", 1) : notMeasured(what, `≤ ${bar}`, "not counted")
}

const tableOf = (cells: Cell[], simulators: Simulators | null): Table => ({
  title: "What one request costs (each is a mean)",
  lines: [
    [
      "kind",
      "way",
      "trips",
      "statements",
      "rows read",
      "written",
      "cache match",
      "put",
      "limiter",
      "log bytes",
      "CPU ms",
      "less simulators",
    ],
    ...cells.map(({ kind, way, counts, cpuMs }) => {
      if (!counts) return [kind, way, "no such answer"]
      const { trips, rowsRead, rowsWritten, logBytes, calls } = counts
      const { statements, cacheMatch, cachePut, limiter } = calls
      const figures = [trips, statements, rowsRead, rowsWritten, cacheMatch, cachePut, limiter]
      return [kind, way, ...figures.map(short), logBytes.toFixed(0), ...cpuTold(counts, cpuMs, simulators)]
    }),
  ],
})

function cpuTold({ trips, calls }: CellCounts, cpuMs: number | null, simulators: Simulators | null): string[] {
  if (cpuMs === null || simulators === null) return ["?", "?"]
  const { trip, match, put } = simulators
  const theirs = trips * trip + calls.cacheMatch * match + calls.cachePut * put
  return [cpuMs.toFixed(2), Math.max(cpuMs - theirs, 0).toFixed(2)]
}

const short = (figure: number) => String(Math.round(figure * 100) / 100)

// ---- what is not of the mix ----

async function otherTrips(side: ServedSide, viewer: Viewer): Promise<Row[]> {
  const headers = side.headersOf(viewer)
  const [project] = viewer.projects
  const created = await send(side.url, writeOf(side, viewer, "create", project?.id ?? "", 0))
  const { id } = JSON.parse(created.body) as { id: string }
  const deleted = await send(side.url, { method: "DELETE", path: `/api/v1/tasks/${id}`, headers, expected: 204 })
  const credentials = { email: viewer.email, password }
  const login: Call = { method: "POST", path: "/api/v1/auth/login", body: credentials, expected: 200 }
  const signedIn = await send(side.url, login)
  // Refused after it is known who asks, and before anything is looked up: whatever it took was for that.
  const refused = await send(side.url, { method: "GET", path: "/api/v1/tasks?sort=nothing", headers, expected: 422 })
  return [
    atMost("delete, trips", tripBars.delete, tripsOf(deleted)),
    atMost("login, trips", 2, tripsOf(signedIn)),
    atMost("a request with a JWT, trips to authenticate", 0, tripsOf(refused)),
  ]
}

const tripsOf = (answer: Answer) => costOf(answer)?.trips ?? Number.NaN

// ---- the mix, played ----

type Limited = { perRequest: number; requests: number; answered: Played["answered"] }

async function playCounted(bench: Bench, { side }: Counter, viewers: Viewer[]): Promise<Limited> {
  const seconds = bench.seconds * playedTimes
  bench.tell(`the reference mix with pauses, for ${seconds} s`)
  await callsOf(side)
  const { figures, answered } = await play(side, viewers, { seconds, seed: 1, withPeople: true })
  const { limiter } = await callsOf(side)
  return { perRequest: limiter / figures.answers, requests: figures.answers, answered }
}

// ---- what a task takes ----

async function bytesOfTask(side: ServedSide, viewer: Viewer): Promise<number> {
  const before = await side.served.size()
  for (let n = 0; n < bulks; n += 1) {
    const projectId = nth(viewer.projects, n).id
    const tasks = Array.from({ length: bulk }, (_, at) => ({ projectId, ...taskText(n * bulk + at) }))
    const headers = side.headersOf(viewer)
    await send(side.url, { method: "POST", path: "/api/v1/tasks/bulk", headers, body: { tasks }, expected: 201 })
  }
  return ((await side.served.size()) - before) / (bulk * bulks)
}

// ---- Postgres, far away ----

const tiny: Plan = { workspaces: 1, members: 1, projects: 1, tasksPerProject: 1, labels: 0, subtasks: 0 }

async function tripsOnWire(bench: Bench): Promise<{ toConnect: number; ofCommit: number; commitMs: number }> {
  const { server } = await newPostgres(bench, tiny, { isDurable: false })
  const proxy = bench.own(await startSlowProxy(server.port, delayMs))
  const far = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
  const viewers = viewersOf(tiny)
  const side = await oursOnPostgres(bench, { url: far, viewers })
  const counted = async () => (await (await fetch(proxy.control)).json()) as number[]
  await counted()
  const client = new pg.Client(far)
  await client.connect()
  const [toConnect = Number.NaN] = await counted()
  await client.end()
  const viewer = nth(viewers, 0)
  const projectId = nth(viewer.projects, 0).id
  await send(side.url, writeOf(side, viewer, "create", projectId, 0))
  await counted()
  const created = await send(side.url, writeOf(side, viewer, "create", projectId, 1))
  const trips = await counted()
  // A request has a connection of its own, and it is the first: those after it are of who reads behind the write.
  const [whole = Number.NaN] = trips
  return { toConnect, ofCommit: whole - toConnect, commitMs: created.ms }
}

// ---- what the price is worked out from ----

function fileOf(cells: Cell[], { perRequest, answered }: Limited, bytesPerTask: number): CountedFile | null {
  const found = (kind: Kind) => {
    const counted = cells.flatMap(({ kind: other, way, counts, cpuMs }) => {
      if (other !== kind || !counts || cpuMs === null) return []
      const { calls: _calls, ...amounts } = counts
      const rounded = Object.entries({ ...amounts, cpuMs }).map(([name, amount]) => [
        name,
        Math.round(amount * 100) / 100,
      ])
      return [[way, Object.fromEntries(rounded)] as const]
    })
    return Object.fromEntries(counted)
  }
  const shares = (kind: Kind) => {
    const all = ways.reduce((sum, way) => sum + answered[kind][way], 0)
    return Object.fromEntries(ways.map((way) => [way, Math.round((answered[kind][way] / all) * 1e4) / 1e4]))
  }
  const file = {
    kinds: Object.fromEntries(kinds.map((kind) => [kind, found(kind)])),
    reads: Object.fromEntries(reads.map((kind) => [kind, shares(kind)])),
    limiterCalls: Math.round(perRequest * 1e4) / 1e4,
    bytesPerTask: Math.round(bytesPerTask),
  } as CountedFile
  // What happens in the mix must be counted, or it would be priced as nothing.
  const isWhole = kinds.every((kind) => file.kinds[kind].uncached)
  const isKnown = reads.every((kind) => ways.every((way) => file.reads[kind][way] === 0 || file.kinds[kind][way]))
  return isWhole && isKnown ? file : null
}
