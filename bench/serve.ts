import { readdir, readFile } from "node:fs/promises"
import { dirname } from "node:path"
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
}

export type Served = { url: URL; migrate(): Promise<void>; stop(): Promise<void> }

const name = "bench"

process.env["WRANGLER_LOG"] ??= "warn"

/**
 * Serves a built Worker with local simulators and nothing in front of it: `wrangler dev` puts a proxy there, and
 * Miniflare's own port an entry Worker, and under load both would be measured instead.
 */
export async function serve({ config, bundle, state, bindings, postgres }: Options): Promise<Served> {
  if (postgres) process.env["CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_HYPERDRIVE"] = postgres
  const { workerOptions, externalWorkers } = optionsOf(config)
  // No page is asked for, and the assets' router would stand in front of the Worker too.
  const { modulesRules: _rules, assets: _assets, ...worker } = workerOptions
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      resourcePersistencePath: state,
      logRequests: false,
      handleStructuredLogs: () => undefined,
      workers: [
        {
          ...worker,
          name,
          rootPath: dirname(bundle),
          bindings: { ...(worker["bindings"] as Record<string, string> | undefined), ...bindings },
          modules: [{ type: "ESModule", path: bundle }],
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        },
        ...externalWorkers,
      ],
    }),
  )
  await runtime.ready
  return {
    url: await runtime.unsafeGetDirectURL(name),
    migrate: async () => {
      if (postgres) {
        await migratePostgres(postgres)
        return
      }
      const database = await runtime.getD1Database("DB", name)
      for (const statement of await migrations()) await database.prepare(statement).run()
    },
    stop: () => runtime.dispose(),
  }
}

async function migrations(): Promise<string[]> {
  const folder = new URL("../migrations/d1/", import.meta.url)
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort()
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, folder), "utf8")))
  return texts.flatMap((text) => text.split("--> statement-breakpoint"))
}
