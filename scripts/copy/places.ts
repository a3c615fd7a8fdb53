import { existsSync } from "node:fs"
import { join, relative } from "node:path"
import { d1Database } from "../../src/db/d1.ts"
import { type Db, openDb } from "../../src/db/db.ts"
import type { Database } from "../../src/db/engine.ts"
import { DbError } from "../../src/db/errors.ts"
import { postgresDatabase } from "../../src/db/postgres-database.ts"
import { minute } from "../../src/lib/time.ts"
import { migratePostgres } from "../postgres/migrate.ts"
import { startPostgres } from "../postgres/server.ts"
import { type RemoteD1, remoteD1, remoteDeadlineMs } from "./remote-d1.ts"
import { readAll } from "./rows.ts"
import { allTables, tableOf } from "./tables.ts"

/** A database to copy from or to, and what people call it. */
export type Place = {
  title: string
  db: Db
  /** Tells the database that it holds much that it did not before, so that it plans for it from now on. */
  settle(): Promise<void>
  close(): Promise<void>
}

export type PlaceSettings =
  | { kind: "localD1"; state: string; databaseId: string }
  | ({ kind: "remoteD1" } & RemoteD1)
  | { kind: "postgres"; url: string }
  | { kind: "localPostgres"; state: string }

export type Role = "source" | "target"

/** Thrown when a database cannot be worked with; its message says in a line which one and why. */
export class PlaceFailed extends Error {
  override name = "PlaceFailed"
}

type Terms = { role: Role; signal: AbortSignal; onWait: (why: string) => void }

/** What is opened before it is known whether it can be worked with. `advice`: how it gets its tables. */
type Opened = { title: string; database: Database; advice: string; deadlineMs?: number; stop?: () => Promise<void> }

/** Opens a database and makes sure that it has the tables of today. */
export async function openPlace(settings: PlaceSettings, terms: Terms): Promise<Place> {
  const { title, database, advice, deadlineMs = minute, stop } = await open(settings, terms)
  const db = openDb(database.connect(), { readDeadlineMs: deadlineMs, writeDeadlineMs: deadlineMs })
  const close = async () => {
    await db.close()
    await stop?.()
  }
  try {
    const told = inWords(db, title, terms.signal)
    await mustHaveTables(told, title, advice)
    return { title, db: told, settle: () => analyse(database), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Postgres would gather statistics by itself a while later, and until then read whole tables for a page. */
async function analyse(database: Database): Promise<void> {
  const engine = database.connect()
  if (engine.dialect.name !== "postgres") return
  const { signal } = new AbortController()
  try {
    await engine.send([{ text: "analyze", values: [] }], { mode: "write", deadlineMs: 10 * minute, signal })
  } catch (error) {
    console.log(`The statistics were not gathered, which Postgres does by itself in a while: ${reasonOf(error)}`)
  } finally {
    await engine.close()
  }
}

function open(settings: PlaceSettings, terms: Terms): Opened | Promise<Opened> {
  switch (settings.kind) {
    case "localD1":
      return openLocalD1(settings.state, settings.databaseId)
    case "remoteD1":
      return {
        title: `the deployed D1 ${settings.databaseId}`,
        database: remoteD1({ ...settings, ...terms }),
        advice: "npx wrangler d1 migrations apply DB --remote",
        deadlineMs: remoteDeadlineMs,
      }
    case "postgres":
      return openPostgres(settings.url, titleOf(settings.url), terms.role)
    case "localPostgres":
      return openLocalPostgres(settings.state, terms.role)
  }
}

const fromHere = (path: string) => relative(process.cwd(), path) || path

// ---- D1 ----

/** What `npm run dev` keeps, without the Worker: nothing but the database is opened. */
async function openLocalD1(state: string, databaseId: string): Promise<Opened> {
  const title = `D1 in ${fromHere(state)}`
  const advice = `npx wrangler d1 migrations apply DB --local --persist-to ${fromHere(state)}`
  // Opening it would make it.
  if (!existsSync(join(state, "v3/d1"))) throw new PlaceFailed(withoutTables(title, advice))
  const { convertV4MiniflareOptions, Miniflare } = await import("miniflare")
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      resourcePersistencePath: join(state, "v3"),
      workers: [{ name: "copy", modules: true, script: "export default {}", d1Databases: { DB: databaseId } }],
    }),
  )
  const binding = (await runtime.getD1Database("DB")) as unknown as D1Database
  return { title, advice, database: d1Database(binding), stop: () => runtime.dispose() }
}

// ---- Postgres ----

/** Without the user and the password. */
function titleOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `Postgres at ${host}${pathname}`
}

async function openPostgres(url: string, title: string, role: Role): Promise<Opened> {
  if (role === "target") {
    await migratePostgres(url).catch((error: unknown) => {
      throw new PlaceFailed(`${title} cannot be used: ${reasonOf(error)}`)
    })
  }
  return { title, advice: "npm run migrate:postgres", database: postgresDatabase(url) }
}

/** What `npm run dev:postgres` keeps, for as long as the copy runs. */
async function openLocalPostgres(state: string, role: Role): Promise<Opened> {
  const title = `Postgres in ${fromHere(state)}`
  if (role === "source" && !existsSync(join(state, "data/PG_VERSION"))) {
    throw new PlaceFailed(`There is no ${title}. Set DATABASE_URL: postgres://user:password@host:5432/database`)
  }
  const server = await startPostgres({ folder: state, isDurable: true }).catch((error: unknown) => {
    const reason = reasonOf(error)
    if (!reason.includes("postmaster.pid")) throw new PlaceFailed(`${title} does not start: ${reason}`)
    throw new PlaceFailed(`${title} is running already: stop npm run dev:postgres, or set DATABASE_URL`)
  })
  try {
    return { ...(await openPostgres(server.url, title, role)), stop: () => server.stop() }
  } catch (error) {
    await server.stop()
    throw error
  }
}

// ---- trouble ----

const withoutTables = (title: string, advice: string) =>
  `${title} does not have the tables of this version. Apply its migrations first: ${advice}`

/** Reads from every table, by the names of all its columns. */
async function mustHaveTables(db: Db, title: string, advice: string): Promise<void> {
  const queries = allTables.map((name) => db.sql.select().from(tableOf(db, name)).limit(1))
  try {
    await readAll(db, queries)
  } catch (error) {
    const isMissing = error instanceof PlaceFailed && /no such (?:table|column)|does not exist/.test(error.message)
    throw isMissing ? new PlaceFailed(withoutTables(title, advice), { cause: error }) : error
  }
}

/** The database, which stops between statements when it is told to, and says in a line what went wrong. */
function inWords(db: Db, title: string, signal: AbortSignal): Db {
  async function attempt<T>(work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      throw new PlaceFailed(`${title}: ${reasonOf(error)}`, { cause: error })
    }
  }
  return {
    ...db,
    read: (...queries) => attempt(() => db.read(...queries)),
    write: (...statements) => attempt(() => db.write(...statements)),
  }
}

/** In a line. A refused connection has no message of its own, only a code. */
function reasonOf(error: unknown): string {
  if (error instanceof DbError && error.cause) return reasonOf(error.cause)
  if (!(error instanceof Error)) return String(error)
  const code = "code" in error ? String(error.code) : error.name
  return (error.message || code).replaceAll(/\s*\n\s*/g, " ")
}
