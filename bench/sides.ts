// What is measured: the built Worker on D1 or on Postgres, and the bare handler, each served the lean way over the same
// seeded rows.
import { spawn } from "node:child_process"
import { cp, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { migratePostgres } from "../scripts/postgres/migrate.ts"
import { type PostgresServer, startPostgres } from "../scripts/postgres/server.ts"
import { openAccessTokens } from "../src/lib/access-token.ts"
import { scryptHasher } from "../src/lib/passwords.ts"
import { hour } from "../src/lib/time.ts"
import { type Bench, root } from "./bench.ts"
import { closeConnections } from "./load.ts"
import { fillD1 } from "./seed/d1.ts"
import { fillPostgres } from "./seed/postgres.ts"
import { type Plan, password, rowsOf, type Viewer, viewersOf } from "./seed/rows.ts"
import { type Served, serve } from "./serve.ts"

export type Side = {
  name: string
  url: URL
  /** Headers by which a viewer is known there. */
  headersOf(viewer: Viewer): Record<string, string>
}

export type ServedSide = Side & { served: Served }

const d1 = { config: join(root, "wrangler.toml"), bundle: join(root, "dist/worker/worker.js") }
const postgres = {
  config: join(root, "wrangler.postgres.toml"),
  bundle: join(root, "dist/worker-postgres/worker.js"),
}
const bare = { config: join(root, "bench/wrangler.toml"), bundle: join(root, "dist/baseline/baseline.js") }
/** Modules that may stand before them. */
const entries = {
  counting: join(root, "bench/counting.js"),
  "no-cache": join(root, "bench/no-cache.js"),
  silent: join(root, "bench/silent.js"),
}
type Entry = keyof typeof entries

/** 100 users with 6 projects of 80 tasks each. */
export const referencePlan: Plan = {
  workspaces: 100,
  members: 1,
  projects: 6,
  tasksPerProject: 80,
  labels: 0,
  subtasks: 0,
}

// ---- the rows ----

let secret: string | undefined
/** One hash for everybody: making it is what takes time. */
async function secretHash(): Promise<string> {
  secret ??= await scryptHasher().hash(password)
  return secret
}

const filled = new WeakMap<Bench, string>()

/** A folder with a D1 of the reference plan, made once in a section and copied for each who asks. */
export async function seededD1(bench: Bench): Promise<string> {
  const original = filled.get(bench) ?? (await newD1(bench, referencePlan)).state
  filled.set(bench, original)
  const copy = await bench.folder()
  await cp(original, copy, { recursive: true })
  return copy
}

/** What was filled, and how long that took. */
type Filled = { seconds: number }

/** A folder with a D1 that holds the rows of a plan. */
export async function newD1(bench: Bench, plan: Plan): Promise<Filled & { state: string }> {
  const state = await bench.folder()
  const served = await serve({ ...d1, state, bindings: {} })
  await served.migrate().finally(() => served.stop())
  const start = performance.now()
  fillD1(state, rowsOf(plan, await secretHash()))
  return { state, ...filledIn(bench, plan, "D1", start) }
}

/** A Postgres that holds the rows of a plan. `isDurable`: what is written reaches the disk first. */
export async function newPostgres(
  bench: Bench,
  plan: Plan,
  { isDurable }: { isDurable: boolean },
): Promise<Filled & { server: PostgresServer }> {
  const server = bench.own(await startPostgres({ folder: await bench.folder(), isDurable }))
  await migratePostgres(server.url)
  const start = performance.now()
  await fillPostgres(server.url, rowsOf(plan, await secretHash()))
  return { server, ...filledIn(bench, plan, "Postgres", start) }
}

function filledIn(bench: Bench, plan: Plan, name: string, start: number): Filled {
  const tasks = plan.workspaces * plan.projects * plan.tasksPerProject
  const seconds = (performance.now() - start) / 1_000
  bench.tell(`${tasks.toLocaleString("en")} tasks are in ${name} after ${seconds.toFixed(1)} s`)
  return { seconds }
}

// ---- the sides ----

type Ours = {
  /** Where a D1 is kept. */
  state: string
  /** Over the settings that a measurement of speed wants. */
  settings?: Record<string, string>
  viewers: Viewer[]
  entry?: Entry
  onLog?: (line: string) => void
}

// No limit in the way, and nothing written to a terminal.
const unhindered = { ENVIRONMENT: "development", RATE_LIMITS: "relaxed", LOG_SAMPLE_RATE: "0" }

export async function ours(bench: Bench, { state, settings, viewers, entry, onLog }: Ours): Promise<ServedSide> {
  const served = await serve({
    ...d1,
    state,
    bindings: { ...unhindered, ...bench.secrets, ...settings },
    ...(entry && { entry: entries[entry] }),
    ...(onLog && { onLog }),
  })
  return side(bench, "ours on D1", served, viewers)
}

type OursOnPostgres = { url: string; viewers: Viewer[]; entry?: Entry }

export async function oursOnPostgres(bench: Bench, { url, viewers, entry }: OursOnPostgres): Promise<ServedSide> {
  const state = await bench.folder()
  const bindings = { ...unhindered, ...bench.secrets }
  const before = entry && { entry: entries[entry] }
  return side(
    bench,
    "ours on Postgres",
    await serve({ ...postgres, state, bindings, postgres: url, ...before }),
    viewers,
  )
}

async function side(bench: Bench, name: string, served: Served, viewers: Viewer[]): Promise<ServedSide> {
  bench.own(stopping(served))
  const tokens = await tokensOf(bench, viewers)
  return {
    name,
    url: served.url,
    served,
    headersOf: ({ userId }) => ({ authorization: `Bearer ${tokens.get(userId)}` }),
  }
}

/** Signed with the instance's own key, and ahead of time, so that none expires while it is used. */
async function tokensOf({ secrets }: Bench, viewers: Viewer[]): Promise<Map<string, string>> {
  const tokens = await openAccessTokens({ issuer: "edgewise", signingKey: JSON.parse(secrets.SIGNING_KEY) })
  const ahead = Date.now() + hour
  const sessionId = "ses_00000000000000000000000000"
  const issued = viewers.map(
    async ({ userId, workspaceId }): Promise<[string, string]> => [
      userId,
      await tokens.issue({ userId, workspaceId, role: "owner", sessionId }, ahead),
    ],
  )
  return new Map(await Promise.all(issued))
}

export async function bareHandler(bench: Bench, state: string, entry?: Entry): Promise<ServedSide> {
  await buildBare()
  const served = await serve({ ...bare, state, bindings: {}, ...(entry && { entry: entries[entry] }) })
  bench.own(stopping(served))
  return {
    name: "bare",
    url: served.url,
    served,
    headersOf: ({ userId, workspaceId }) => ({ "x-user": userId, "x-workspace": workspaceId }),
  }
}

/** A server that goes away closes its connections, and whoever kept them must not try them again. */
const stopping = (served: Served) => ({
  stop: async () => {
    closeConnections()
    await served.stop()
  },
})

let isBuilt = false
async function buildBare(): Promise<void> {
  if (isBuilt) return
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js")
  const args = ["deploy", "--dry-run", "--minify", "--config", bare.config, "--outdir", dirname(bare.bundle)]
  const child = spawn(process.execPath, [wrangler, ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
  const code = await new Promise((resolve) => child.on("close", resolve))
  // What it leaves beside the configuration is of no use to anybody.
  await rm(join(dirname(bare.config), ".wrangler"), { recursive: true, force: true })
  if (code !== 0) throw new Error("The bare handler could not be built")
  isBuilt = true
}

export const referenceViewers = (): Viewer[] => viewersOf(referencePlan)
