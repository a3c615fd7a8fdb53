import { migratePostgres } from "../../scripts/postgres/migrate.ts"
import { type PostgresServer, startPostgres } from "../../scripts/postgres/server.ts"

export type PostgresForTests = { url: string } | { missing: string }

// A configuration may be read more than once in a run, and whoever reads it must get the same server.
const shared = globalThis as { edgewisePostgres?: Promise<PostgresServer> }

/** A server with the tables of today, or why this machine has none. */
export async function postgresForTests(): Promise<PostgresForTests> {
  shared.edgewisePostgres ??= startPostgres()
  try {
    const { url } = await shared.edgewisePostgres
    await migratePostgres(url)
    return { url }
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
}

/** Vitest's global set-up: what was started for the configuration ends with the run. */
export default function stopAtTheEnd(): () => Promise<void> {
  return async () => {
    const server = await shared.edgewisePostgres?.catch(() => null)
    await server?.stop()
  }
}
