import { existsSync, readdirSync, readFileSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { convertV4MiniflareOptions, Miniflare } from "miniflare"
import { unstable_getMiniflareWorkerOptions as optionsOf } from "wrangler"
import { migratePostgres } from "../scripts/postgres/migrate.ts"

type Options = {
  /** A wrangler.toml, for the bindings, and what `wrangler deploy --dry-run --outdir` built from it. */
  config: string
  bundle: string
  /** Where the databases and objects are kept. */
  state: string
  /** Variables and secrets, over those of the configuration. */
  bindings: Record<string, string>
  /** Connection string of a Postgres to use instead of D1. */
  postgres?: string
  /** A module that stands before the bundle, and imports it as ./worker.js, whatever it is called. */
  entry?: string
  /** Gets every line that the Worker logs. */
  onLog?: (line: string) => void
}

export type Served = {
  url: URL
  migrate(): Promise<void>
  /** Bytes of its D1, as D1 tells them. */
  size(): Promise<number>
  /** Milliseconds of CPU that its runtime has used, simulators included; null where that cannot be told. */
  cpuMs(): number | null
  /** Bytes of memory that its runtime holds, simulators included; null where that cannot be told. */
  memory(): number | null
  stop(): Promise<void>
}

const name = "bench"

process.env["WRANGLER_LOG"] ??= "warn"

/**
 * Serves a built Worker with local simulators and nothing in front of it: `wrangler dev` puts a proxy there, and
 * Miniflare's own port an entry Worker, and under load both would be measured instead.
 */
export async function serve({ config, bundle, state, bindings, postgres, entry, onLog }: Options): Promise<Served> {
  if (postgres) process.env["CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE"] = postgres
  const { workerOptions, externalWorkers } = optionsOf(config)
  // No page is asked for, and the assets' router would stand in front of the Worker too.
  const { modulesRules: _rules, assets: _assets, ...worker } = workerOptions
  const before = new Set(runtimes())
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      resourcePersistencePath: state,
      logRequests: false,
      handleStructuredLogs: ({ message }) => onLog?.(message),
      workers: [
        {
          ...worker,
          name,
          rootPath: dirname(bundle),
          bindings: { ...(worker["bindings"] as Record<string, string> | undefined), ...bindings },
          modules: await modulesOf(bundle, entry),
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
        ...externalWorkers,
      ],
    }),
  )
  await runtime.ready
  const pid = runtimes().find((other) => !before.has(other))
  const database = () => runtime.getD1Database("DB", name)
  return {
    url: await runtime.unsafeGetDirectURL(name),
    migrate: async () => {
      if (postgres) {
        await migratePostgres(postgres)
        return
      }
      for (const statement of await migrations()) await (await database()).prepare(statement).run()
    },
    size: async () => (await (await database()).prepare("select 1").run()).meta.size_after,
    cpuMs: () => (pid === undefined ? null : cpuOf(pid)),
    memory: () => (pid === undefined ? null : memoryOf(pid)),
    stop: () => runtime.dispose(),
  }
}

async function modulesOf(bundle: string, entry?: string) {
  const moduleAt = async (name: string, path: string) => ({
    type: "ESModule" as const,
    path: join(dirname(bundle), name),
    contents: await readFile(path, "utf8"),
  })
  const built = await moduleAt("worker.js", bundle)
  return entry ? [await moduleAt("entry.js", entry), built] : [built]
}

async function migrations(): Promise<string[]> {
  const folder = new URL("../migrations/d1/", import.meta.url)
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort()
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, folder), "utf8")))
  return texts.flatMap((text) => text.split("--> statement-breakpoint"))
}

// ---- what a process has used, which only Linux tells ----

/** What /proc says of a process after its name, which may hold anything. */
function statOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
  } catch {
    // It has ended meanwhile.
    return []
  }
}

const isRuntime = (pid: string) => statOf(pid)[1] === String(process.pid) && commandOf(pid).includes("workerd")

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    return ""
  }
}

const runtimes = (): string[] =>
  existsSync("/proc/self/stat") ? readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && isRuntime(pid)) : []

// The kernel counts in hundredths of a second, for everybody who asks.
const tickMs = 10

function cpuOf(pid: string): number | null {
  const stat = statOf(pid)
  return stat.length > 0 ? (Number(stat[11]) + Number(stat[12])) * tickMs : null
}

const pageBytes = 4_096

function memoryOf(pid: string): number | null {
  const resident = statOf(pid)[21]
  return resident === undefined ? null : Number(resident) * pageBytes
}
