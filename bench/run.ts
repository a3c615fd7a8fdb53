// Requests per second of the built Worker on D1 and on Postgres, beside a bare handler that does the same work on D1, on
// the same machine in the same run, and what writes cost. `--seconds N` is how long each measurement takes.
import { spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { cp, mkdtemp, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { gzipSync } from "node:zlib"
import pg from "pg"
import { type PostgresServer, startPostgres } from "../scripts/postgres/server.ts"
import { makeSecrets } from "../scripts/secrets.ts"
import type { SignedInView } from "../src/contracts/auth.ts"
import type { ProjectView } from "../src/contracts/projects.ts"
import type { TaskView } from "../src/contracts/tasks.ts"
import { type Call, closeConnections, type Figures, load, median, send } from "./load.ts"
import { type Served, serve } from "./serve.ts"

const projectCount = 20
const tasksPerProject = 80
const rounds = 3
const warmUpSeconds = 1
/** Rows that each write may cost, indexes included: D1 bills them. */
const bars = { create: 16, close: 9, patch: 8 }

const root = fileURLToPath(new URL("../", import.meta.url))
const ourBundle = join(root, "dist/worker/worker.js")
const postgresBundle = join(root, "dist/worker-postgres/worker.js")
const bareConfig = join(root, "bench/wrangler.toml")
const bareBundle = join(root, "dist/baseline/baseline.js")

type Seeded = { token: string; workspaceId: string; userId: string; projectIds: string[]; taskIds: string[] }

const seconds = readSeconds()
const folder = await mkdtemp(join(tmpdir(), "edgewise-bench-"))
const running: Pick<Served, "stop">[] = []
function readSeconds(): number {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "2" } } })
  const number = Number(values.seconds)
  if (number > 0) return number
  console.error(`--seconds takes a number above 0, not ${values.seconds}`)
  process.exit(2)
}

async function main(): Promise<void> {
  await buildBare()
  const secrets = { ...(await makeSecrets()), ENVIRONMENT: "development", RATE_LIMITS: "relaxed", LOG_SAMPLE_RATE: "0" }
  const states = { ours: join(folder, "ours"), bare: join(folder, "bare") }
  const config = join(root, "wrangler.toml")

  // Both begin with the same database: filled through the API, then copied.
  const seeding = await serve({ config, bundle: ourBundle, state: states.ours, bindings: secrets })
  const seeded = await seed(seeding).finally(() => seeding.stop())
  closeConnections()
  await cp(states.ours, states.bare, { recursive: true })

  const ours = await serve({ config, bundle: ourBundle, state: states.ours, bindings: secrets })
  running.push(ours)
  const bindings = { WORKSPACE_ID: seeded.workspaceId, USER_ID: seeded.userId }
  const bare = await serve({
    config: bareConfig,
    bundle: bareBundle,
    state: states.bare,
    bindings,
  })
  running.push(bare)

  const server = await startPostgres({ isDurable: true })
  running.push(server)
  const state = join(folder, "postgres")
  const onPostgres = await serve({
    config: join(root, "wrangler.postgres.toml"),
    bundle: postgresBundle,
    state,
    bindings: secrets,
    postgres: server.url,
  })
  running.push(onPostgres)
  const seededPostgres = await seed(onPostgres)

  await compare([
    { served: ours, seeded },
    { served: bare, seeded },
    { served: onPostgres, seeded: seededPostgres },
  ])
  await tellConnecting(server)
  await tellCosts(ours, seeded)
  const bytes = await readFile(ourBundle)
  console.log(`\nBundle: ${kib(bytes.length)} KiB minified, ${kib(gzipSync(bytes).length)} KiB gzipped`)
}

const kib = (bytes: number) => Math.round(bytes / 1_024)

async function buildBare(): Promise<void> {
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js")
  const args = ["deploy", "--dry-run", "--minify", "--config", bareConfig, "--outdir", dirname(bareBundle)]
  const child = spawn(process.execPath, [wrangler, ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
  const code = await new Promise((resolve) => child.on("close", resolve))
  if (code !== 0) throw new Error("The bare handler could not be built")
}

async function seed(served: Served): Promise<Seeded> {
  await served.migrate()
  const post = async <View>(path: string, body: unknown, token = ""): Promise<View> => {
    const headers = { authorization: `Bearer ${token}` }
    const answer = await send(served.url, { method: "POST", path: `/api/v1${path}`, headers, body }, 201)
    return JSON.parse(answer.body) as View
  }
  const account = { email: "bench@example.com", password: "a long passphrase", name: "Bench" }
  const { accessToken: token, user, workspace } = await post<SignedInView>("/auth/register", account)
  const projectIds: string[] = []
  const taskIds: string[] = []
  for (let n = 1; n <= projectCount; n += 1) {
    const { id: projectId } = await post<ProjectView>("/projects", { name: `Project ${n}` }, token)
    const tasks = Array.from({ length: tasksPerProject }, (_, index) => newTask(projectId, index))
    const { data } = await post<{ data: TaskView[] }>("/tasks/bulk", { tasks }, token)
    projectIds.push(projectId)
    taskIds.push(...data.map(({ id }) => id))
  }
  return { token, workspaceId: workspace.id, userId: user.id, projectIds, taskIds }
}

const newTask = (projectId: string, n: number) => ({
  projectId,
  title: `Measure the thing with number ${n}`,
  description: "Some words on why this matters, and what is to be done. ".repeat(5),
})

// ---- requests per second ----

type Work = { name: string; expected: number; next: () => Call }

/** Each goes round the seeded rows, so that no two requests under way change the same task. */
function worksOf({ token, projectIds, taskIds }: Seeded): Work[] {
  let n = 0
  const headers = { authorization: `Bearer ${token}` }
  const turn = (ids: string[]) => {
    n += 1
    return ids[n % ids.length] ?? ""
  }
  return [
    {
      name: "read one",
      expected: 200,
      next: () => ({ method: "GET", path: `/api/v1/tasks/${turn(taskIds)}`, headers }),
    },
    {
      name: "list 50",
      expected: 200,
      next: () => ({ method: "GET", path: `/api/v1/projects/${turn(projectIds)}/tasks?limit=50`, headers }),
    },
    {
      name: "create",
      expected: 201,
      next: () => ({ method: "POST", path: "/api/v1/tasks", headers, body: newTask(turn(projectIds), n) }),
    },
    {
      name: "patch",
      expected: 200,
      next: () => ({
        method: "PATCH",
        path: `/api/v1/tasks/${turn(taskIds)}`,
        headers,
        body: { title: `Renamed ${n}` },
      }),
    },
  ]
}

type Side = { served: Served; seeded: Seeded }

async function compare(sides: [Side, Side, Side]): Promise<void> {
  const works = sides.map(({ seeded }) => worksOf(seeded))
  const names = works[0]?.map(({ name }) => name) ?? []
  const wait = names.length * sides.length * (warmUpSeconds + rounds * seconds)
  console.log(`Measuring for about ${Math.ceil(wait)} s`)
  const lines = [["", "req/s", "p50 ms", "bare req/s", "bare p50 ms", "ratio", "Postgres req/s", "Postgres p50 ms"]]
  for (const [index, name] of names.entries()) {
    const figures = await inTurns(sides.map(({ served }, side) => ({ served, work: works[side]?.[index] as Work })))
    const [us, bare, postgres] = figures as [Figures, Figures, Figures]
    lines.push([name, ...told(us), ...told(bare), (us.perSecond / bare.perSecond).toFixed(2), ...told(postgres)])
  }
  console.log(`\n${rounds} rounds of ${seconds} s each, in turns, 16 connections; the median round\n`)
  printTable(lines)
  console.log(
    "\nThe bare handler is Hono and hand-written SQL over the same tables in D1. It signs nobody in and checks nothing:",
  )
  console.log("no token, no input validation, no guards on revision or role, no ETag, no count of what a request cost.")
  console.log("\nOn Postgres every request makes a connection, and here the server starts a process for it. Deployed,")
  console.log("Hyperdrive keeps connections near the Worker: this column is of local development, not of production.")
}

const told = ({ perSecond, p50 }: Figures) => [perSecond.toFixed(0), p50.toFixed(1)]

async function inTurns(sides: { served: Served; work: Work }[]): Promise<Figures[]> {
  for (const { served, work } of sides) await load(served.url, work.next, work.expected, warmUpSeconds)
  const figures = sides.map((): Figures[] => [])
  for (let round = 1; round <= rounds; round += 1) {
    for (const [side, { served, work }] of sides.entries()) {
      figures[side]?.push(await load(served.url, work.next, work.expected, seconds))
    }
  }
  return figures.map(middle)
}

/** What a connection costs by itself, one after the other: much of what a request on Postgres takes here. */
async function tellConnecting({ url }: PostgresServer): Promise<void> {
  const times: number[] = []
  for (let n = 0; n < 50; n += 1) {
    const client = new pg.Client(url)
    const start = performance.now()
    await client.connect()
    times.push(performance.now() - start)
    await client.end()
  }
  console.log(`Making one, with nothing else to do, takes ${median(times).toFixed(1)} ms (median of 50).`)
}

const middle = (figures: Figures[]): Figures => ({
  perSecond: median(figures.map(({ perSecond }) => perSecond)),
  p50: median(figures.map(({ p50 }) => p50)),
})

// ---- rows written ----

async function tellCosts({ url }: Served, { token, projectIds }: Seeded): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const ask = (method: string, path: string, expected: number, body?: unknown) =>
    send(url, { method, path: `/api/v1${path}`, headers, body }, expected)

  const created = await ask("POST", "/tasks", 201, newTask(projectIds[0] ?? "", 0))
  const { id } = JSON.parse(created.body) as TaskView
  const costs = {
    create: created,
    patch: await ask("PATCH", `/tasks/${id}`, 200, { title: "Renamed" }),
    close: await ask("PUT", `/tasks/${id}/closure`, 200),
  }
  const lines = [["", "rows written", "at most", "round trips"]]
  for (const [name, answer] of Object.entries(costs)) {
    const [, trips = "?", written = "?"] =
      /trips=(\d+) read=\d+ written=(\d+)/.exec(String(answer.headers["server-timing"])) ?? []
    lines.push([name, written, String(bars[name as keyof typeof bars]), trips])
  }
  console.log()
  printTable(lines)
}

function printTable(lines: string[][]): void {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(cells.join("  "))
  }
}

// The runtimes end with this process; the folder has to be taken away.
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

try {
  await main()
} finally {
  closeConnections()
  for (const served of running) await served.stop()
}
