// Everything on this machine: secrets made once, migrations applied, the Worker served. With --postgres on the database
// that DATABASE_URL names, or else on a Postgres out of an npm package. What is not known here (--var NAME:value and
// the like) goes on to `wrangler dev`.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { PostgresServer } from "./postgres/server.ts"
import { makeSecrets } from "./secrets.ts"

const root = new URL("../", import.meta.url)
const wrangler = fileURLToPath(new URL("node_modules/wrangler/bin/wrangler.js", root))
const postgresFolder = new URL(".wrangler/state/postgres", root)
const quiet = { WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CLOUDFLARE_CF_FETCH_ENABLED: "false" }

/** Why there is nothing to serve, in words for whoever started it. */
class Refused extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

let postgres: PostgresServer | undefined

// It ends by having nothing left to do: process.exit() may wait forever for V8's own threads (nodejs/node#54918).
try {
  process.exitCode = await start(readArguments(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof Refused)) throw error
  console.error(error.message)
  process.exitCode = error.exitCode
} finally {
  await postgres?.stop()
}

type Arguments = { port: number; isPostgres: boolean; rest: string[] }

/** Gives the exit code of what was served. */
async function start(given: Arguments): Promise<number> {
  await makeLocalSecrets()
  await import("./assets.ts")
  if (given.isPostgres) return serve(given, ["--config", "wrangler.postgres.toml"], await preparePostgres())
  await migrate()
  return serve(given)
}

function readArguments(args: string[]): Arguments {
  const { values, tokens } = parseArgs({
    args,
    options: { port: { type: "string", default: "8787" }, postgres: { type: "boolean", default: false } },
    strict: false,
    tokens: true,
  })
  const port = Number(values["port"])
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Refused(`--port takes a number from 1 to 65535, not ${String(values["port"])}`, 2)
  }
  const own = new Set(
    tokens.flatMap((token) =>
      token.kind === "option" && (token.name === "port" || token.name === "postgres")
        ? [token.index, ...(token.name === "port" && !token.inlineValue ? [token.index + 1] : [])]
        : [],
    ),
  )
  return { port, isPostgres: values["postgres"] === true, rest: args.filter((_, index) => !own.has(index)) }
}

/** Written once and kept: tokens stay valid from one start to the next. */
async function makeLocalSecrets(): Promise<void> {
  const file = new URL(".dev.vars", root)
  if (existsSync(file)) return
  const variables = { ENVIRONMENT: "development", LOG_SAMPLE_RATE: "1", ...(await makeSecrets()) }
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'`)
  await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 })
  console.log("Made a signing key and an instance key in .dev.vars, for this machine only.")
}

async function migrate(): Promise<void> {
  const child = spawn(process.execPath, [wrangler, "d1", "migrations", "apply", "DB", "--local"], {
    cwd: root,
    env: { ...process.env, ...quiet },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => output.push(chunk))
  const code = await new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? 1)))
  if (code !== 0) throw new Refused(`${Buffer.concat(output).toString()}\nThe migrations could not be applied.`)
}

/** A migrated database, as wrangler wants to be told of it: what Hyperdrive stands for on this machine. */
async function preparePostgres(): Promise<Record<string, string>> {
  const given = process.env["DATABASE_URL"]
  const { migratePostgres } = await import("./postgres/migrate.ts")
  const { startPostgres } = await import("./postgres/server.ts")
  try {
    if (!given) postgres = await startPostgres({ folder: fileURLToPath(postgresFolder), isDurable: true })
    const database = given ?? postgres?.url ?? ""
    await migratePostgres(database)
    return { CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE: database }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Refused(given ? `${reason}\nThe database that DATABASE_URL names could not be prepared.` : reason)
  }
}

/** Serves until it is told to end. */
async function serve(given: Arguments, options: string[] = [], env: Record<string, string> = {}): Promise<number> {
  const { port, rest } = given
  const url = `http://127.0.0.1:${port}`
  const origin = (await isOriginGiven(rest)) ? [] : ["--var", `ORIGIN:${url}`]
  const command = [wrangler, "dev", ...options, "--ip", "127.0.0.1", "--port", String(port), ...origin, ...rest]
  const child = spawn(process.execPath, command, {
    cwd: root,
    env: { ...process.env, ...quiet, ...env },
    stdio: "inherit",
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Those of the embedded server would end this process while the Worker is still served.
    process.removeAllListeners(signal)
    process.on(signal, () => child.kill(signal))
  }
  const alive = new AbortController()
  void isAlive(url, alive.signal).then((is) => is && announce(url, given))
  const code = await new Promise<number>((resolve) => child.on("exit", (status) => resolve(status ?? 0)))
  alive.abort()
  return code
}

/** Whether somebody has said where links in mail shall lead. Otherwise it is here. */
async function isOriginGiven(rest: string[]): Promise<boolean> {
  const variables = await readFile(new URL(".dev.vars", root), "utf8")
  return rest.some((arg) => /^(?:--var=)?ORIGIN:/.test(arg)) || /^\s*ORIGIN\s*=/m.test(variables)
}

async function isAlive(url: string, signal: AbortSignal): Promise<boolean> {
  for (let attempt = 0; attempt < 240 && !signal.aborted; attempt += 1) {
    const answer = await fetch(`${url}/health/live`, { signal }).catch(() => null)
    if (answer?.ok) return true
    await sleep(250)
  }
  return false
}

function announce(url: string, { isPostgres }: Arguments): void {
  const database = postgres ? "an embedded Postgres" : isPostgres ? "the Postgres of DATABASE_URL" : "D1"
  console.log(`
  Edgewise is running on ${database}.

    API reference   ${url}/docs
    Health          ${url}/health
    Mail            ${url}/dev/mailbox
    Register        curl ${url}/api/v1/auth/register -H 'content-type: application/json' \\
                      -d '{"email":"you@example.com","password":"a long passphrase","name":"You"}'
`)
}
