// Applies migrations/postgres to the database that DATABASE_URL names. Run by itself: npm run migrate:postgres.
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { drizzle } from "drizzle-orm/node-postgres"
import { migrate } from "drizzle-orm/node-postgres/migrator"
import pg from "pg"

const migrationsFolder = join(import.meta.dirname, "../../migrations/postgres")

// Any number; two who migrate at once must only know the same one.
const migrationLock = 5_174_203

/** Applies what has not been applied yet, all or nothing. Returns how many migrations that were. */
export async function migratePostgres(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // Whoever waits for an answer is told by its own promise.
  client.on("error", () => undefined)
  await client.connect()
  try {
    await client.query("set lock_timeout = '60s'")
    await client.query("select pg_advisory_lock($1)", [migrationLock])
    const before = await countApplied(client)
    await migrate(drizzle(client), { migrationsFolder })
    return (await countApplied(client)) - before
  } finally {
    // Ends the lock with the session.
    await client.end()
  }
}

async function countApplied(client: pg.Client): Promise<number> {
  const { rows: known } = await client.query("select to_regclass('drizzle.__drizzle_migrations') as name")
  if (!known[0]?.name) return 0
  const { rows } = await client.query("select count(*)::int as count from drizzle.__drizzle_migrations")
  return rows[0]?.count ?? 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = await main()

/** Returns the exit status. */
async function main(): Promise<number> {
  const url = process.env["DATABASE_URL"]
  if (!url) {
    console.error("Set DATABASE_URL: postgres://user:password@host:5432/database")
    return 2
  }
  try {
    const applied = await migratePostgres(url)
    console.log(applied === 0 ? "Nothing to apply." : `Applied ${applied} migration${applied === 1 ? "" : "s"}.`)
    return 0
  } catch (error) {
    console.error(`The migrations could not be applied: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}
