import { migratePostgres } from "../../scripts/postgres/migrate.ts"
import { type PostgresServer, startPostgres } from "../../scripts/postgres/server.ts"
import { type PairOnDemand, pairOnDemand } from "./postgres-pair.ts"
import { type SlowProxy, startSlowProxy } from "./slow-proxy.ts"

/** How far away the slow server seems to be, each way. */
const delayMs = 40

type Running = { server: Pick<PostgresServer, "url" | "port" | "stop">; slow: SlowProxy; pair: PairOnDemand }
type PostgresForTests = {
  url: string
  /** The same server, far away, and where to ask how often somebody went there. */
  slowUrl: string
  slowControl: string
  /** Where to ask for a primary and its replica. */
  pairControl: string
}

// A configuration may be read more than once in a run, and whoever reads it must get the same server.
const shared = globalThis as { edgewisePostgres?: Promise<Running> }

/** Another server of this machine to run the suite on, to see whether it fits: an empty database. */
const given = process.env["TEST_DATABASE_URL"]

async function start(): Promise<Running> {
  const server = given
    ? { url: given, port: Number(new URL(given).port || 5432), stop: () => Promise.resolve() }
    : await startPostgres()
  await migratePostgres(server.url)
  return { server, slow: await startSlowProxy(server.port, delayMs), pair: await pairOnDemand() }
}

/** A server with the tables of today, or why this machine has none. */
export async function postgresForTests(): Promise<PostgresForTests | { missing: string }> {
  shared.edgewisePostgres ??= start()
  try {
    const { server, slow, pair } = await shared.edgewisePostgres
    const slowUrl = server.url.replace(`:${server.port}/`, `:${slow.port}/`)
    return { url: server.url, slowUrl, slowControl: slow.control, pairControl: pair.control }
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
}

/** Vitest's global set-up: what was started for the configuration ends with the run. */
export default function stopAtTheEnd(): () => Promise<void> {
  return async () => {
    const running = await shared.edgewisePostgres?.catch(() => null)
    await running?.pair.stop()
    await running?.slow.stop()
    await running?.server.stop()
  }
}
