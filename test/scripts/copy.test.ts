import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { json } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"
import { getTableName, is } from "drizzle-orm"
import { SQLiteTable } from "drizzle-orm/sqlite-core"
import { convertV4MiniflareOptions, Miniflare } from "miniflare"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest"
import { unstable_readConfig as readConfig } from "wrangler"
import { BadArguments, readArguments } from "../../scripts/copy/arguments.ts"
import { mustPlaceEvery } from "../../scripts/copy/tables.ts"
import { freePort } from "../../scripts/free-port.ts"
import { migratePostgres } from "../../scripts/postgres/migrate.ts"
import { type PostgresServer, startPostgres } from "../../scripts/postgres/server.ts"
import { makeSecrets } from "../../scripts/secrets.ts"
import * as sqlite from "../../src/db/sqlite.ts"

const root = join(import.meta.dirname, "../..")
const fixture = join(import.meta.dirname, "../fixtures/work-items.ndjson")
const realInput = join(root, "../shared/data/changelog-tasks.ndjson")
const password = "a long passphrase"
const ada = { email: "ada@example.com", password, name: "Ada" }
const eve = { email: "eve@example.com", password, name: "Eve" }

// What a local D1 is kept under. Most runs are told it, which spares each of them the two seconds of reading it.
const configured = readConfig({ config: join(root, "wrangler.toml") }, { hideWarnings: true })
const databaseId =
  configured.d1_databases.find(({ binding }: { binding: string }) => binding === "DB")?.database_id ?? ""

let folder: string
let secrets: string
let postgres: PostgresServer
/** The real input in one workspace, in a D1 that nobody has open. */
let real: Source
/** Two small workspaces, in a D1 whose Worker goes on running. */
let small: Source
let worker: Worker

type Source = { state: string; tasks: number }

const isMissing = inject("postgresMissing") !== ""

beforeAll(async () => {
  if (isMissing) return
  folder = await mkdtemp(join(tmpdir(), "edgewise-copy-"))
  // As root, another user runs Postgres.
  await chmod(folder, 0o755)
  secrets = join(folder, "secrets")
  const variables = {
    ...(await makeSecrets()),
    ENVIRONMENT: "development",
    RATE_LIMITS: "relaxed",
    LOG_SAMPLE_RATE: "0",
  }
  await writeFile(
    secrets,
    Object.entries(variables)
      .map(([name, value]) => `${name}='${value}'`)
      .join("\n"),
  )
  postgres = await startPostgres()

  const input = existsSync(realInput) ? realInput : fixture
  real = { state: await newD1(), tasks: await linesIn(input) }
  const filling = await startWorker({ state: real.state })
  await importInto(filling, input)
  await filling.stop()

  small = { state: await newD1(), tasks: (await linesIn(fixture)) + 5 }
  worker = await startWorker({ state: small.state })
  await importInto(worker, fixture)
  const { workspace } = await fillWorkspace(await register(worker, eve))
  await inD1(small.state, (database) => database.batch(afterAWrite(database, workspace.id)))
}, 300_000)

afterAll(async () => {
  for (const group of groups) await endGroup(group)
  await postgres?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
}, 60_000)

// ---- processes, each in a group of its own ----

const groups = new Set<number>()

function launch(command: string[], env: Record<string, string | undefined> = {}): ChildProcess {
  const child = spawn(process.execPath, command, {
    cwd: root,
    detached: true,
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const group = child.pid ?? Number.NaN
  groups.add(group)
  // Its number may be another's some day.
  child.on("close", () => isAlive(group) || groups.delete(group))
  return child
}

function isAlive(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}

async function endGroup(group: number): Promise<void> {
  for (let waited = 0; isAlive(group); waited += 100) {
    process.kill(-group, waited > 10_000 ? "SIGKILL" : "SIGTERM")
    await sleep(100)
  }
  groups.delete(group)
}

type Outcome = { code: number | null; output: string }
type Run = {
  outcome: Promise<Outcome>
  /** Resolves when it has printed that. */
  printed(text: RegExp): Promise<void>
  signal(name: NodeJS.Signals): void
  /** As a terminal does it: to everything that the command has started, too. */
  signalAll(name: NodeJS.Signals): void
}

const withoutSettings = {
  DATABASE_URL: undefined,
  CLOUDFLARE_ACCOUNT_ID: undefined,
  CLOUDFLARE_API_TOKEN: undefined,
  CLOUDFLARE_API_BASE_URL: undefined,
  INIT_CWD: undefined,
}

type Settings = { DATABASE_URL?: string } & Partial<Record<`CLOUDFLARE_${string}`, string>>

function start(args: string[], { DATABASE_URL, ...cloudflare }: Settings): Run {
  const child = launch(["scripts/copy.ts", ...args], { ...withoutSettings, ...cloudflare, DATABASE_URL })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (output += text))
  const outcome = once(child, "close").then(([code]) => ({ code: code as number | null, output }))
  return {
    outcome,
    async printed(text) {
      while (!text.test(output)) {
        if (child.exitCode !== null) throw new Error(`It ended without ${text}:\n${output}`)
        await sleep(2)
      }
    },
    signal: (name) => child.kill(name),
    signalAll: (name) => process.kill(-(child.pid ?? Number.NaN), name),
  }
}

const copy = (args: string[], settings: Settings = {}) => start(args, settings).outcome

const local = (state: string) => ["--d1-state", state, "--database-id", databaseId]
const toPostgres = ({ state }: { state: string }) => ["--from", "d1", "--to", "postgres", ...local(state)]
const toD1 = ({ state }: { state: string }) => ["--from", "postgres", "--to", "d1", ...local(state)]

const isDone = { code: 0, output: expect.stringMatching(/^Both hold the same\.$/m) }

// ---- databases ----

let databases = 0

/** An empty database of the test's server. */
async function newPostgres(): Promise<{ DATABASE_URL: string }> {
  databases += 1
  const name = `copy_${databases}`
  await inPostgres({ DATABASE_URL: postgres.url }, (client) => client.query(`create database ${name}`))
  return { DATABASE_URL: postgres.url.replace(/\/[^/]+$/, `/${name}`) }
}

async function inPostgres<T>({ DATABASE_URL }: { DATABASE_URL: string }, work: (client: pg.Client) => Promise<T>) {
  const client = new pg.Client(DATABASE_URL)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function inD1<T>(state: string, work: (database: D1) => Promise<T>): Promise<T> {
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      resourcePersistencePath: join(state, "v3"),
      workers: [{ name: "test", modules: true, script: "export default {}", d1Databases: { DB: databaseId } }],
    }),
  )
  try {
    return await work((await runtime.getD1Database("DB")) as unknown as D1)
  } finally {
    await runtime.dispose()
  }
}

type D1Rows = { results: Record<string, unknown>[]; success: boolean; meta: object }
type D1Statement = { bind(...values: unknown[]): D1Statement; all(): Promise<D1Rows> }
type D1 = { prepare(text: string): D1Statement; batch(statements: D1Statement[]): Promise<D1Rows[]> }

/** A migrated and empty D1. */
async function newD1(): Promise<string> {
  const state = await mkdtemp(join(folder, "d1-"))
  const migrations = join(root, "migrations/d1")
  const files = (await readdir(migrations)).filter((file) => file.endsWith(".sql")).sort()
  const texts = await Promise.all(files.map((file) => readFile(join(migrations, file), "utf8")))
  const statements = texts.flatMap((text) => text.split("--> statement-breakpoint"))
  await inD1(state, (database) => database.batch(statements.map((statement) => database.prepare(statement))))
  return state
}

/** Every table by hand: its key, and what comes as another type from each database. */
const keys = {
  users: "id",
  identities: "provider, subject",
  workspaces: "id",
  memberships: "user_id, workspace_id",
  user_events: "user_id, revision",
  receipts: "workspace_id, actor_id, key",
  projects: "workspace_id, id",
  invitees: "email, workspace_id, invitation_id",
  profiles: "workspace_id",
  project_members: "workspace_id, project_id, user_id",
  favourites: "workspace_id, user_id, project_id",
  labels: "workspace_id, id",
  tasks: "workspace_id, id",
  task_assignees: "workspace_id, task_id, user_id",
  task_labels: "workspace_id, task_id, label_id",
  task_relations: "workspace_id, task_id, kind, other_id",
  task_aliases: "workspace_id, key",
  task_followers: "workspace_id, task_id, user_id",
  comments: "workspace_id, id",
  reactions: "workspace_id, comment_id, emoji, user_id",
  members: "workspace_id, user_id",
  invitations: "workspace_id, id",
  api_keys: "workspace_id, id",
  events: "workspace_id, seq",
  project_followers: "workspace_id, project_id, user_id",
  mutes: "workspace_id, user_id, subject_id",
  reminders: "workspace_id, id",
  webhooks: "workspace_id, id",
  webhook_deliveries: "workspace_id, webhook_id, seq",
  webhook_attempts: "workspace_id, webhook_id, seq, attempt",
  jobs: "name",
  heads: "workspace_id",
}
const jsonColumns = new Set([
  "users.settings",
  "user_events.data",
  "receipts.body",
  "comments.mention_ids",
  "comments.mention_calls",
  "api_keys.scopes",
  "events.data",
  "webhooks.events",
  "webhooks.project_ids",
  "webhooks.label_ids",
  "webhook_attempts.request",
  "webhook_attempts.response",
])

type Table = keyof typeof keys
type Content = Record<Table, Record<string, unknown>[]>

// How far a log has been read goes on behind the writes, for as long as the Worker runs.
const columnsOf = (table: string) => (table === "heads" ? "workspace_id, seq" : "*")

const queries = Object.entries(keys).map(
  ([table, key]) => [table, `select ${columnsOf(table)} from ${table} order by ${key}`] as const,
)

const contentOfD1 = ({ state }: { state: string }): Promise<Content> =>
  inD1(state, async (database) => {
    const found = queries.map(async ([table, text]) => {
      const { results } = await database.prepare(text).all()
      const read = (name: string, value: unknown) => (jsonColumns.has(`${table}.${name}`) ? parsed(value) : value)
      return [table, results.map((row) => plain(row, read))]
    })
    return Object.fromEntries(await Promise.all(found)) as Content
  })

const contentOfPostgres = (database: { DATABASE_URL: string }): Promise<Content> =>
  inPostgres(database, async (client) => {
    const found: [string, object[]][] = []
    for (const [table, text] of queries) {
      const { rows, fields } = await client.query<Record<string, unknown>>(text)
      const numbers = new Set(fields.flatMap(({ name, dataTypeID }) => (dataTypeID === 20 ? [name] : [])))
      found.push([table, rows.map((row) => plain(row, (name, value) => asNumber(numbers.has(name), value)))])
    }
    return Object.fromEntries(found) as unknown as Content
  })

const parsed = (value: unknown) => (value === null ? null : JSON.parse(String(value)))

function asNumber(isNumber: boolean, value: unknown): unknown {
  if (typeof value === "boolean") return value ? 1 : 0
  return isNumber && value !== null ? Number(value) : value
}

const plain = (row: Record<string, unknown>, read: (name: string, value: unknown) => unknown) =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, read(name, value)]))

/** Table by table, so that a difference is told in few words. */
function expectSame(one: Content, other: Content): void {
  for (const table of Object.keys(keys) as Table[]) {
    expect(other[table].length, table).toBe(one[table].length)
    expect(JSON.stringify(other[table].map(sorted)) === JSON.stringify(one[table].map(sorted)), table).toBe(true)
  }
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, field]) => [name, sorted(field)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

// ---- the Worker on a database ----

type Worker = { url: string; stop(): Promise<void> }

async function startWorker(on: { state: string } | { DATABASE_URL: string }): Promise<Worker> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const state = "state" in on ? on.state : await mkdtemp(join(folder, "worker-"))
  const isOnPostgres = "DATABASE_URL" in on
  const child = launch(
    [
      ...["node_modules/wrangler/bin/wrangler.js", "dev", "--ip", "127.0.0.1", "--port", String(port)],
      ...[
        "--persist-to",
        state,
        "--env-file",
        secrets,
        "--config",
        isOnPostgres ? "wrangler.postgres.toml" : "wrangler.toml",
      ],
    ],
    isOnPostgres ? { CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE: on.DATABASE_URL } : {},
  )
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => (output += text))
  while (!(await fetch(`${url}/health/live`).catch(() => null))?.ok) {
    if (child.exitCode !== null) throw new Error(`The Worker did not start:\n${output}`)
    await sleep(100)
  }
  return { url, stop: () => endGroup(child.pid ?? Number.NaN) }
}

const linesIn = async (file: string) => (await readFile(file, "utf8")).trim().split("\n").length

async function importInto({ url }: Worker, file: string): Promise<void> {
  await register({ url }, ada)
  const args = [file, "--url", url, "--email", ada.email, "--password", password]
  const child = launch(["scripts/import.ts", ...args])
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => (output += text))
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`The import failed:\n${output}`)
}

type View = Record<string, unknown> & { id: string }
type SignedIn = { user: View; workspace: { id: string; inboxId: string }; call: Call }
type Call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<View>

const signedIn =
  (path: string) =>
  async ({ url }: Pick<Worker, "url">, account: typeof ada): Promise<SignedIn> => {
    const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(account) }
    const answer = await fetch(`${url}/api/v1/auth/${path}`, post)
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
    const { accessToken, ...view } = (await answer.json()) as SignedIn & { accessToken: string }
    return { ...view, call: caller(url, accessToken) }
  }

const register = signedIn("register")
const logIn = (on: Pick<Worker, "url">, { email }: typeof ada) =>
  signedIn("login")(on, { email, password } as typeof ada)

const caller =
  (url: string, accessToken: string): Call =>
  async (method, path, body, headers = {}) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json", ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return (text ? JSON.parse(text) : {}) as View
  }

/**
 * What an import does not make: assignees, dates, a subtask, a deleted task, receipts of changes and of none, and at
 * least a row of every other table.
 */
async function fillWorkspace(signed: SignedIn): Promise<SignedIn> {
  const { user, call } = signed
  const { inboxId: projectId } = signed.workspace
  const assigneeIds = [user.id]
  const parent = await call("POST", "/tasks", {
    projectId,
    title: "Größe 👩‍👩‍👧‍👦 \\ \"'",
    assigneeIds,
    due: { date: "2026-12-01" },
  })
  await call("POST", "/tasks", { projectId, title: "Child", parentId: parent.id, assigneeIds })
  const { id } = await call("POST", "/tasks", { projectId, title: "Soon gone" })
  await call("DELETE", `/tasks/${id}`)
  const other = await call("POST", "/tasks", { projectId, title: "Other", description: "```ts\nlet x\n```\n\tend" })
  await call("PATCH", `/tasks/${other.id}`, { priority: 3 }, { "idempotency-key": "once" })
  const label = await call("POST", "/labels", { name: "Größe" })
  await call("PATCH", `/tasks/${other.id}`, { labelIds: [label.id] })
  await call("PUT", `/tasks/${other.id}/relations/blocks/${parent.id}`)
  await call("PUT", `/tasks/${other.id}/follower`)
  const comment = await call("POST", `/tasks/${parent.id}/comments`, { body: `Well, @[me](${user.id})` })
  await call("PUT", `/comments/${comment.id}/reactions/${encodeURIComponent("👍")}`)
  await call("PUT", `/projects/${projectId}/favourite`)
  await call("PUT", `/projects/${projectId}/follower`)
  await call("PUT", `/tasks/${other.id}/mute`)
  await call("POST", `/tasks/${parent.id}/reminders`, { before: "PT1H" })
  await call("POST", "/invitations", { email: "grace@example.com", role: "guest" })
  await call("POST", "/api-keys", { name: "Bot", scopes: ["task:read"] })
  await call("PATCH", "/me", { theme: "dark" })
  const project = await call("POST", "/projects", { name: "Archive" })
  const { id: movedId } = await call("POST", "/tasks", { projectId, title: "Moved" })
  await call("PUT", `/tasks/${movedId}/project`, { projectId: project.id })
  return signed
}

/** What is written behind the writes, and by the clock: put there by hand, so that nothing of it goes on changing. */
const afterAWrite = (database: D1, workspaceId: string) => [
  database
    .prepare(
      `insert into webhooks (workspace_id, id, url, description, events, project_ids, label_ids, generation, status, revision, created_by, created_at, updated_at)
       values (?, 'whk_1', 'https://example.com', '', '["task.created"]', '["prj_1"]', null, 1, 'disabled', 1, 'usr_1', 1, 1)`,
    )
    .bind(workspaceId),
  database
    .prepare(
      `insert into webhook_deliveries (workspace_id, webhook_id, seq, type, status, attempts, next_attempt_at, last_status, created_at, updated_at)
       values (?, 'whk_1', 1, 'task.created', 'failed', 1, null, 500, 1, 1)`,
    )
    .bind(workspaceId),
  database
    .prepare(
      `insert into webhook_attempts (workspace_id, webhook_id, seq, attempt, at, duration_ms, status, error, request, response)
       values (?, 'whk_1', 1, 1, 1, 20, 500, null, '{"url":"https://example.com"}', '{"body":"no"}')`,
    )
    .bind(workspaceId),
  database.prepare(
    "insert into jobs (name, cursor, started_at, duration_ms, lag_ms, examined, done, error) values ('unread-logs', null, 1, 2, 0, 3, 0, null)",
  ),
]

async function tasksOf({ call, workspace: { inboxId } }: SignedIn): Promise<View[]> {
  const { data } = (await call("GET", `/projects/${inboxId}/tasks?limit=200`)) as unknown as { data: View[] }
  return data
}

/** Signs in where the copy is, reads a task that came with it, and makes another one. */
async function expectToAnswer(on: { state: string } | { DATABASE_URL: string }): Promise<void> {
  const there = await startWorker(on)
  try {
    const session = await logIn(there, ada)
    const projects = (await session.call("GET", "/projects?limit=200")) as unknown as { data: View[] }
    const project = projects.data.find(({ name }) => name !== "Inbox")
    const tasks = (await session.call("GET", `/projects/${project?.id}/tasks`)) as unknown as { data: View[] }
    const [task] = tasks.data
    expect(await session.call("GET", `/tasks/${task?.id}`)).toMatchObject({ title: task?.["title"] })
    const made = await session.call("POST", "/tasks", { projectId: project?.id, title: "Here now" })
    expect(made).toMatchObject({ title: "Here now", revision: 1 })
  } finally {
    await there.stop()
  }
}

type Copied = { target: { DATABASE_URL: string }; outcome: Outcome }

let realCopied: Promise<Copied> | undefined

/** The real input copied to Postgres, once for all who need it. */
function realOnPostgres(): Promise<Copied> {
  realCopied ??= newPostgres().then(async (target) => ({ target, outcome: await copy(toPostgres(real), target) }))
  return realCopied
}

describe.skipIf(isMissing)("npm run copy", () => {
  it("moves everything from D1 to Postgres, and says what it compared", async () => {
    const { target, outcome } = await realOnPostgres()
    const { code, output } = outcome
    const rows = (count: number) => count.toLocaleString("en")
    expect(output).toMatch(new RegExp(`^tasks +${rows(real.tasks)} +${rows(real.tasks)}  [0-9a-f]{12}  ok$`, "m"))
    expect(output.match(/ ok$/gm)?.length).toBe(Object.keys(keys).length)
    expect(output).toMatch(/^[\d,]+ rows copied, 0 were there already; [\d.]+ s, [\d,]+ rows\/s$/m)
    expect({ code, output }).toEqual(isDone)
    const content = await contentOfD1(real)
    expect(content.tasks.length).toBe(real.tasks)
    expectSame(content, await contentOfPostgres(target))
  })

  it("copies nothing when it is run again, with the database of wrangler.toml", async () => {
    const { target: copied } = await realOnPostgres()
    const { code, output } = await copy(["--from", "d1", "--to", "postgres", "--d1-state", real.state], copied)
    expect(output).toMatch(/^0 rows copied, [\d,]+ were there already; /m)
    expect({ code, output }).toEqual(isDone)
  })

  it("moves everything back into an empty D1, where the Worker answers", async () => {
    const { target: copied } = await realOnPostgres()
    const back = { state: await newD1() }
    expect(await copy(toD1(back), copied)).toEqual(isDone)
    expectSame(await contentOfD1(real), await contentOfD1(back))
    await expectToAnswer(back)
  })

  it("moves assignees, subtasks, deleted tasks and receipts, and the Worker answers on Postgres", async () => {
    const target = await newPostgres()
    expect(await copy(toPostgres(small), target)).toEqual(isDone)
    const content = await contentOfD1(small)
    expect(content.task_assignees.length).toBe(2)
    expect(content.tasks.length).toBe(small.tasks)
    expect(content.heads.length).toBe(2)
    expect(Object.entries(content).flatMap(([table, rows]) => (rows.length > 0 ? [] : [table]))).toEqual([])
    expectSame(content, await contentOfPostgres(target))
    await expectToAnswer(target)
  })

  it("stops after the statement under way, marks nothing as complete, and is completed by a second run", async () => {
    const target = await newPostgres()
    await migratePostgres(target.DATABASE_URL)
    await inPostgres(target, async (client) => {
      // Reading goes on; the first page of events waits.
      await client.query("begin; lock table events in exclusive mode")
      const running = start(toPostgres(small), target)
      await waitingFor(client, "events")
      running.signal("SIGINT")
      await sleep(200)
      await client.query("commit")
      expect(await running.outcome).toMatchObject({
        code: 130,
        output: expect.stringContaining("Stopped. What was copied stays; run the same command again to continue."),
      })
    })
    const half = await contentOfPostgres(target)
    expect(half.tasks.length).toBeGreaterThan(0)
    expect(half.events.length).toBeGreaterThan(0)
    expect(half.heads).toEqual([])

    expect(await copy(toPostgres(small), target)).toEqual(isDone)
    expectSame(await contentOfD1(small), await contentOfPostgres(target))
  })

  it("goes on with the workspaces that are missing, and leaves alone those that are there", async () => {
    const target = await newPostgres()
    await migratePostgres(target.DATABASE_URL)
    await inPostgres(target, async (client) => {
      await client.query("begin; lock table heads in exclusive mode")
      const running = start(toPostgres(small), target)
      await waitingFor(client, "heads")
      running.signal("SIGTERM")
      await sleep(200)
      await client.query("commit")
      expect(await running.outcome).toMatchObject({ code: 143 })
    })
    const half = await contentOfPostgres(target)
    expect(half.heads.length).toBe(1)
    const versions = "select xmin::text as version from tasks where workspace_id = $1 order by id"
    const workspaceId = half.heads[0]?.["workspace_id"]
    const before = await inPostgres(target, (client) => client.query(versions, [workspaceId]))

    expect(await copy(toPostgres(small), target)).toEqual(isDone)
    const after = await inPostgres(target, (client) => client.query(versions, [workspaceId]))
    expect(after.rows.length).toBeGreaterThan(0)
    expect(after.rows).toEqual(before.rows)
    expectSame(await contentOfD1(small), await contentOfPostgres(target))
  })

  it("tells when the source was written to meanwhile, and is put right by a second run", async () => {
    const target = await newPostgres()
    await migratePostgres(target.DATABASE_URL)
    const session = await logIn(worker, ada)
    const running = await inPostgres(target, async (client) => {
      await client.query("begin; lock table events in exclusive mode")
      const copying = start(toPostgres(small), target)
      await waitingFor(client, "events")
      // Its tasks have been read, and its log has not been read to the end.
      await session.call("POST", "/tasks", { projectId: session.workspace.inboxId, title: "Meanwhile" })
      await client.query("commit")
      return copying
    })
    const { code, output } = await running.outcome
    expect(output).toContain("The target does not hold what the source does: projects, tasks, heads.")
    expect(output).toContain("If the source was written to meanwhile, stop that and run this again")
    expect(code).toBe(1)

    expect(await copy(toPostgres(small), target)).toEqual(isDone)
    expectSame(await contentOfD1(small), await contentOfPostgres(target))
  })

  it("can be stopped by a terminal, which also ends the database's process", async () => {
    const { target: copied } = await realOnPostgres()
    const back = { state: await newD1() }
    const running = start(toD1(back), copied)
    await running.printed(/^[\d,]+ of [\d,]+ rows$/m)
    running.signalAll("SIGINT")
    const { code, output } = await running.outcome
    expect(output.trim().split("\n").at(-1)).toMatch(/^Stopped\. /)
    expect(code).toBe(130)
    expect((await contentOfD1(back)).heads).toEqual([])

    expect(await copy(toD1(back), copied)).toEqual(isDone)
    expectSame(await contentOfPostgres(copied), await contentOfD1(back))
  })

  it("brings over what the source has changed and removed since, in the directory too", async () => {
    const target = await newPostgres()
    await copy(toPostgres(small), target)
    const session = await logIn(worker, eve)
    const tasks = await tasksOf(session)
    const assigned = tasks.find(({ title }) => title === "Child")
    await session.call("PATCH", `/tasks/${assigned?.id}`, { title: "Grown", assigneeIds: [] })
    await session.call("PATCH", "/me", { name: "Eve, renamed" })

    expect(await copy(toPostgres(small), target)).toEqual(isDone)
    const content = await contentOfPostgres(target)
    expect(content.tasks.find(({ id }) => id === assigned?.id)).toMatchObject({ title: "Grown" })
    expect(content.task_assignees.length).toBe(1)
    expect(content.users.map(({ name }) => name)).toContain("Eve, renamed")
    expectSame(await contentOfD1(small), content)
  })

  it("brings over a receipt that no head tells of", async () => {
    const target = await newPostgres()
    await copy(toPostgres(small), target)
    const session = await logIn(worker, eve)
    const [task] = await tasksOf(session)
    const before = await contentOfD1(small)
    await session.call("PATCH", `/tasks/${task?.id}`, { title: task?.["title"] }, { "idempotency-key": "no change" })
    const after = await contentOfD1(small)
    expect(after.receipts.length).toBe(before.receipts.length + 1)
    expect(after.heads).toEqual(before.heads)

    expect(await copy(toPostgres(small), target)).toEqual(isDone)
    expectSame(after, await contentOfPostgres(target))
  })

  it("refuses a target that would lose something, and changes nothing; --overwrite replaces it", async () => {
    const target = await newPostgres()
    await copy(toPostgres(small), target)
    const [own] = (await contentOfD1(small)).heads
    await inPostgres(target, async (client) => {
      await client.query("update heads set seq = seq + 1 where workspace_id = $1", [own?.["workspace_id"]])
      await client.query("insert into users values ('usr_z', 'z@example.com', 'Z', 'UTC', 1, 0, 0)")
      await client.query("insert into workspaces values ('wsp_z', 'Z', 'prj_z', 'usr_z', 0)")
      await client.query(
        "insert into projects values ('wsp_z', 'prj_z', 'Z', 'Z', '', true, 0, 1, 'usr_z', 0, 0, null)",
      )
      await client.query("insert into heads values ('wsp_z', 1, 0)")
    })
    const before = await contentOfPostgres(target)

    const refused = await copy(toPostgres(small), target)
    expect(refused.output).toMatch(
      /^Postgres at 127\.0\.0\.1:\d+\/copy_\d+ has 1 workspace and 1 user that the source does not have, and 1 workspace with newer changes than in the source\. Nothing was written; --overwrite replaces all of it\.$/m,
    )
    expect(refused.code).toBe(1)
    expectSame(before, await contentOfPostgres(target))

    const { code, output } = await copy([...toPostgres(small), "--overwrite"], target)
    expect(output).toContain("2 were removed")
    expect({ code, output }).toEqual(isDone)
    expectSame(await contentOfD1(small), await contentOfPostgres(target))
  })

  it("refuses a workspace that has come less far than in the source, but on a way of its own", async () => {
    const target = await newPostgres()
    await copy(toPostgres(small), target)
    await inPostgres(target, async (client) => {
      await client.query("update events set commit_id = 'cmt_elsewhere' where seq = 2")
      await client.query("update heads set seq = 2")
    })
    const refused = await copy(toPostgres(small), target)
    expect(refused.output).toContain("has 2 workspaces with newer changes than in the source. Nothing was written")
    expect(refused.code).toBe(1)
  })

  it("finds by the hash what was changed under an equal head, and names the tables", async () => {
    const target = await newPostgres()
    await copy(toPostgres(small), target)
    await inPostgres(target, async (client) => {
      await client.query("update tasks set title = title || '.' where title = 'Other'")
      await client.query("update members set role = 'guest' where name like 'Eve%'")
    })

    const { code, output } = await copy(toPostgres(small), target)
    expect(output).toMatch(/^tasks +(\d+) +\1 {2}[0-9a-f]{12} {2}DIFFERS$/m)
    expect(output).toMatch(/^projects .+ {2}ok$/m)
    expect(output).toMatch(/^0 rows copied, /m)
    expect(output).toContain("The target does not hold what the source does: tasks, members.")
    expect(output).not.toContain("Both hold the same")
    expect(code).toBe(1)

    expect(await copy([...toPostgres(small), "--overwrite"], target)).toEqual(isDone)
    expectSame(await contentOfD1(small), await contentOfPostgres(target))
  })

  it("works with the deployed D1 over Cloudflare's API, through busy moments", async () => {
    const deployed = { state: await newD1() }
    const [there, back] = [await newPostgres(), await newPostgres()]
    await copy(toPostgres(small), there)
    await asCloudflare(deployed.state, async (settings, seen) => {
      const remote = ["--remote", "--database-id", databaseId.replace(/.$/, "7")]
      const written = await copy(["--from", "postgres", "--to", "d1", ...remote], { ...settings, ...there })
      expect(written.output).toContain("answered with 429: Slow down (code 971); next try in 1 s")
      expect(written).toEqual(isDone)
      expect(seen.refused).toBe(1)
      expect(seen.largest).toBeLessThan(2_000_000)

      const read = await copy(["--from", "d1", "--to", "postgres", ...remote], { ...settings, ...back })
      expect(read).toEqual(isDone)
      const stranger = { ...settings, ...back, CLOUDFLARE_API_TOKEN: "another" }
      const refused = await copy(["--from", "d1", "--to", "postgres", ...remote], stranger)
      expect(refused.output.trim()).toBe(
        `the deployed D1 ${remote[2]}: answered with 401: Authentication error (code 10000)`,
      )
      expect(refused.code).toBe(1)
    })
    const content = await contentOfD1(small)
    expectSame(content, await contentOfD1(deployed))
    expectSame(content, await contentOfPostgres(back))
  })

  it("keeps to the local Postgres when no other is named, unless that is running", async () => {
    const state = join(folder, "postgres")
    const args = [...toPostgres(small), "--postgres-state", state]
    expect(await copy(args)).toEqual(isDone)
    const server = await startPostgres({ folder: state })
    try {
      expectSame(await contentOfD1(small), await contentOfPostgres({ DATABASE_URL: server.url }))
      const { code, output } = await copy(args)
      expect(output.trim()).toMatch(
        /^Postgres in \S+ is running already: stop npm run dev:postgres, or set DATABASE_URL$/,
      )
      expect(code).toBe(1)
    } finally {
      await server.stop()
    }
  })

  it("says in a line what is wrong with its databases, and no password", async () => {
    const unreachable = { DATABASE_URL: "postgres://somebody:secret@127.0.0.1:1/edgewise" }
    const empty = await newPostgres()
    const nowhere = { state: join(folder, "nowhere") }
    const outcomes = await Promise.all([
      copy(toPostgres(small), unreachable),
      copy(toD1(small), empty),
      copy(toPostgres(nowhere), empty),
      copy([...toD1(small), "--postgres-state", nowhere.state]),
    ])
    const lines = outcomes.map(({ output }) => output.trim())
    expect(lines[0]).toMatch(/^Postgres at 127\.0\.0\.1:1\/edgewise cannot be used: .*ECONNREFUSED.*$/)
    expect(lines[1]).toMatch(/^Postgres at .+ does not have the tables of this version\. .+: npm run migrate:postgres$/)
    expect(lines[2]).toMatch(
      /^D1 in .+ does not have the tables of this version\. .+: npx wrangler d1 migrations apply DB --local --persist-to .+$/,
    )
    expect(lines[3]).toMatch(/^There is no Postgres in .+\. Set DATABASE_URL: .+$/)
    expect(outcomes.map(({ code }) => code)).toEqual([1, 1, 1, 1])
    expect(existsSync(nowhere.state)).toBe(false)
  })

  it("tells how to use it, and refuses what it does not know with another status than what went wrong", async () => {
    const usage = expect.stringContaining("npm run copy -- --from d1 --to postgres")
    expect(await copy(["--help"])).toEqual({ code: 0, output: usage })
    expect(await copy(["--from", "d1", "--to", "d1"])).toEqual({ code: 2, output: usage })
  })

  it.each([
    [[], "--from and --to take"],
    [["--from", "d1"], "--from and --to take"],
    [["--from", "postgres", "--to", "postgres"], "--from and --to take"],
    [["--from", "d1", "--to", "mysql"], "--from and --to take"],
    [["--from", "d1", "--to", "postgres", "--colour"], "Unknown option '--colour'"],
    [["--from", "d1", "--to", "postgres", "more"], "Unexpected argument 'more'"],
    [["--from", "d1", "--to", "postgres", "--remote", "--d1-state", "x"], "--d1-state is for the local D1"],
  ])("refuses %j", async (args, problem) => {
    await expect(readArguments(args)).rejects.toThrow(BadArguments)
    await expect(readArguments(args)).rejects.toThrow(problem)
  })

  it.each([
    [{ CLOUDFLARE_API_TOKEN: "token" }, "Set CLOUDFLARE_ACCOUNT_ID: "],
    [{ CLOUDFLARE_ACCOUNT_ID: "account" }, "Set CLOUDFLARE_API_TOKEN: "],
    [{ CLOUDFLARE_API_TOKEN: "token", CLOUDFLARE_ACCOUNT_ID: "account" }, "Set database_id in wrangler.toml, or give"],
    [
      { CLOUDFLARE_API_TOKEN: "token", CLOUDFLARE_ACCOUNT_ID: "account", DATABASE_URL: "mysql://localhost" },
      "DATABASE_URL takes ",
    ],
  ])("names the setting that is missing beside %j", async (settings, problem) => {
    for (const [name, value] of Object.entries({ ...withoutSettings, ...settings })) vi.stubEnv(name, value)
    const id = "DATABASE_URL" in settings ? "made" : "00000000-0000-0000-0000-000000000001"
    await expect(readArguments(["--from", "d1", "--to", "postgres", "--remote", "--database-id", id])).rejects.toThrow(
      problem,
    )
    vi.unstubAllEnvs()
  })

  it("has a place for every table, and does not start with one that has none", () => {
    expect(() => mustPlaceEvery(sqlite)).not.toThrow()
    expect(() => mustPlaceEvery({ ...sqlite, elsewhere: sqlite.tasks })).toThrow("no place for elsewhere")
    const tables = Object.values(sqlite).flatMap((value) => (is(value, SQLiteTable) ? [getTableName(value)] : []))
    expect(Object.keys(keys).toSorted()).toEqual(tables.toSorted())
  })
})

/** Resolves when another connection waits for a lock on that table. */
async function waitingFor(client: pg.Client, table: string): Promise<void> {
  const waiting = "select 1 from pg_locks where not granted and relation = $1::regclass"
  while (!(await client.query(waiting, [table])).rowCount) await sleep(20)
}

type Asked = { sql: string; params: unknown[] }
type Answer = { status: number; body: object; headers?: Record<string, string> }
type Seen = { requests: number; refused: number; largest: number }

const refusal = (status: number, code: number, message: string, headers = {}): Answer => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: [] },
  headers,
})

const queryPath = /^\/client\/v4\/accounts\/account\/d1\/database\/[\w-]+7\/query$/

/** Cloudflare's endpoint for a D1, as far as it is used here. The third request is one too many. */
async function answerOf(database: D1, request: IncomingMessage, seen: Seen): Promise<Answer> {
  const body = (await json(request)) as Asked | { batch: Asked[] }
  seen.requests += 1
  if (request.headers.authorization !== "Bearer token") return refusal(401, 10_000, "Authentication error")
  if (!queryPath.test(request.url ?? "")) return refusal(404, 7_404, "The database was not found")
  if (seen.requests === 3) {
    seen.refused += 1
    return refusal(429, 971, "Slow down", { "retry-after": "1" })
  }
  const all = "batch" in body ? body.batch : [body]
  const sizes = all.flatMap(({ params }) => params.map((value) => Buffer.byteLength(String(value))))
  seen.largest = Math.max(seen.largest, ...sizes)
  try {
    const result = await database.batch(all.map(({ sql, params }) => database.prepare(sql).bind(...params)))
    return { status: 200, body: { success: true, errors: [], messages: [], result } }
  } catch (error) {
    return refusal(400, 7_500, error instanceof Error ? error.message : String(error))
  }
}

/** Runs work while a D1 can be had as a deployed one is, on this machine. */
async function asCloudflare(state: string, work: (settings: Settings, seen: Seen) => Promise<void>): Promise<void> {
  await inD1(state, async (database) => {
    const seen: Seen = { requests: 0, refused: 0, largest: 0 }
    const server = createServer(async (request, response) => {
      const { status, body, headers } = await answerOf(database, request, seen)
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body))
    })
    await once(server.listen(0, "127.0.0.1"), "listening")
    const { port } = server.address() as AddressInfo
    const settings = {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}/client/v4`,
      CLOUDFLARE_ACCOUNT_ID: "account",
      CLOUDFLARE_API_TOKEN: "token",
    }
    try {
      await work(settings, seen)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
}
