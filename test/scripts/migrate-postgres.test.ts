import { execFile } from "node:child_process"
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { getTableName, is } from "drizzle-orm"
import { drizzle } from "drizzle-orm/node-postgres"
import { migrate } from "drizzle-orm/node-postgres/migrator"
import { getTableConfig, PgTable } from "drizzle-orm/pg-core"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest"
import { migratePostgres } from "../../scripts/postgres/migrate.ts"
import { type PostgresServer, startPostgres } from "../../scripts/postgres/server.ts"
import * as schema from "../../src/db/postgres.ts"

const root = join(import.meta.dirname, "../..")
const folder = join(root, "migrations/postgres")
type Journal = { entries: { tag: string }[] }
const journal = JSON.parse(await readFile(join(folder, "meta/_journal.json"), "utf8")) as Journal

const isMissing = inject("postgresMissing") !== ""

let server: PostgresServer

beforeAll(async () => {
  if (isMissing) return
  server = await startPostgres()
})

afterAll(() => server?.stop())

let databases = 0

/** An empty database, and a way to ask it. */
async function emptyDatabase() {
  databases += 1
  const name = `migrating_${databases}`
  const admin = new pg.Client(server.url)
  await admin.connect()
  await admin.query(`create database ${name}`)
  await admin.end()
  const url = server.url.replace(/\/\w+$/, `/${name}`)
  const rows = async <Row extends pg.QueryResultRow>(text: string, ...values: unknown[]): Promise<Row[]> => {
    const client = new pg.Client(url)
    await client.connect()
    try {
      return (await client.query<Row>(text, values)).rows
    } finally {
      await client.end()
    }
  }
  return { url, rows }
}

type Database = Awaited<ReturnType<typeof emptyDatabase>>

/** Applies the first `count` migrations, as somebody did who deployed at that time. */
async function migrateTo(count: number, { url }: Database): Promise<void> {
  const earlier = await mkdtemp(join(tmpdir(), "edgewise-migrations-"))
  await cp(folder, earlier, { recursive: true })
  const entries = journal.entries.slice(0, count)
  await writeFile(join(earlier, "meta/_journal.json"), JSON.stringify({ ...journal, entries }))
  const client = new pg.Client(url)
  await client.connect()
  try {
    await migrate(drizzle(client), { migrationsFolder: earlier })
  } finally {
    await client.end()
    await rm(earlier, { recursive: true })
  }
}

type Column = { table: string; name: string; type: string; nullable: boolean; collation: string | null }

const columnsOf = ({ rows }: Database) =>
  rows<Column>(
    `select table_name as table, column_name as name, data_type as type, is_nullable = 'YES' as nullable,
       collation_name as collation
     from information_schema.columns where table_schema = 'public' order by table_name, ordinal_position`,
  )

const rowsPerTable = 3

/** Every column of the n-th row holds n, or its text: every key is unique and every foreign key finds its row. */
async function fillEveryTable(database: Database): Promise<string[]> {
  const tables = Map.groupBy(await columnsOf(database), ({ table }) => table)
  const client = new pg.Client(database.url)
  await client.connect()
  try {
    await client.query("set session_replication_role = replica")
    for (const [table, columns] of tables) {
      for (let n = 0; n < rowsPerTable; n += 1) {
        const values = columns.map(({ type, nullable }) => {
          if (n === 0 && nullable) return null
          return type === "boolean" ? false : type === "json" ? `"${n}"` : String(n)
        })
        const places = columns.map((_, index) => `$${index + 1}`).join(", ")
        await client.query(`insert into "${table}" values (${places})`, values)
      }
    }
  } finally {
    await client.end()
  }
  return [...tables.keys()]
}

async function countRows({ rows }: Database, tables: string[]): Promise<Record<string, number>> {
  const counts = await Promise.all(
    tables.map(async (table) => {
      const [row] = await rows<{ count: number }>(`select count(*)::int as count from "${table}"`)
      return [table, row?.count ?? 0] as const
    }),
  )
  return Object.fromEntries(counts)
}

describe.skipIf(isMissing)("migrating a Postgres with rows", () => {
  for (const [index, { tag }] of journal.entries.entries()) {
    it(`loses no row from the state after ${tag}`, async () => {
      const database = await emptyDatabase()
      await migrateTo(index + 1, database)
      const tables = await fillEveryTable(database)
      const before = await countRows(database, tables)
      expect(Object.keys(before).length).toBeGreaterThan(0)
      expect(new Set(Object.values(before))).toEqual(new Set([rowsPerTable]))
      expect(await migratePostgres(database.url)).toBe(journal.entries.length - index - 1)
      expect(await countRows(database, tables)).toEqual(before)
    })
  }

  it("is done once by several who start at the same time", async () => {
    const { url } = await emptyDatabase()
    const applied = await Promise.all(Array.from({ length: 4 }, () => migratePostgres(url)))
    expect(applied.toSorted()).toEqual([0, 0, 0, journal.entries.length])
  })
})

describe.skipIf(isMissing)("the newest schema of Postgres", () => {
  const inCode = Object.values(schema).filter((table) => is(table, PgTable))
  const directory = ["identities", "invitees", "jobs", "memberships", "user_events", "users", "workspaces"]
  const tenant = inCode.map((table): string => getTableName(table)).filter((name) => !directory.includes(name))
  let database: Database

  beforeAll(async () => {
    database = await emptyDatabase()
    await migratePostgres(database.url)
  })

  it("has the columns that the code knows, and sorts text by its bytes", async () => {
    const known = inCode
      .map((table) => getTableConfig(table))
      .flatMap(({ name, columns }) =>
        columns.map((column) => {
          const [type = "", collate] = column.getSQLType().split(" collate ")
          return {
            table: name,
            name: column.name,
            type,
            nullable: !column.notNull,
            collation: collate?.replaceAll('"', "") ?? null,
          }
        }),
      )
    const byName = (a: Column, b: Column) => (`${a.table}.${a.name}` < `${b.table}.${b.name}` ? -1 : 1)
    const actual = await columnsOf(database)
    expect(actual.toSorted(byName)).toEqual(known.toSorted(byName))
    expect(actual.filter(({ type, collation }) => type === "text" && collation !== "C")).toEqual([])
  })

  type Key = { table: string; name: string; kind: string; columns: string[] }

  const constraints = () =>
    database.rows<Key & { target: string[] | null; on_delete: string }>(
      `select conrelid::regclass::text as table, conname as name, contype::text as kind, confdeltype::text as on_delete,
         array(select attname::text from unnest(conkey) with ordinality k(n, at) join pg_attribute a on a.attrelid = conrelid and a.attnum = k.n order by at) as columns,
         array(select attname::text from unnest(confkey) with ordinality k(n, at) join pg_attribute a on a.attrelid = confrelid and a.attnum = k.n order by at) as target
       from pg_constraint where connamespace = 'public'::regnamespace and contype in ('p', 'u', 'f')`,
    )

  const indexes = () =>
    database.rows<Key & { unique: boolean; partial: boolean }>(
      `select indrelid::regclass::text as table, indexrelid::regclass::text as name, 'i' as kind, indisunique as unique,
         indpred is not null as partial,
         array(select attname::text from unnest(indkey) with ordinality k(n, at) join pg_attribute a on a.attrelid = indrelid and a.attnum = k.n order by at) as columns
       from pg_index where indrelid::regclass::text = any ($1)`,
      inCode.map((table) => getTableName(table)),
    )

  it("can be distributed by workspace: it leads every key, index and foreign key of a workspace's tables", async () => {
    const ofTenant = [...(await constraints()), ...(await indexes())].filter(({ table }) => tenant.includes(table))
    expect(ofTenant.length).toBeGreaterThan(20)
    expect(ofTenant.filter(({ columns }) => columns[0] !== "workspace_id")).toEqual([])
    const foreign = (await constraints()).filter(({ kind }) => kind === "f")
    expect(foreign.length).toBeGreaterThan(0)
    expect(foreign.filter(({ target, table }) => target?.[0] !== "workspace_id" || !tenant.includes(table))).toEqual([])
    expect(foreign.filter(({ on_delete }) => on_delete !== "a")).toEqual([])
  })

  it("takes nothing from a sequence, and runs nothing by itself", async () => {
    expect(await database.rows("select * from information_schema.sequences where sequence_schema = 'public'")).toEqual(
      [],
    )
    expect(
      await database.rows(
        // A constant is what rows from before a column was added have in it; anything else would be computed.
        "select table_name, column_name from information_schema.columns where table_schema = 'public' and (column_default !~ $1 or is_identity = 'YES' or is_generated <> 'NEVER')",
        "^'[^']*'::(text|json)$",
      ),
    ).toEqual([])
    expect(
      await database.rows(
        "select tgname from pg_trigger where not tgisinternal union all select extname from pg_extension where extname <> 'plpgsql'",
      ),
    ).toEqual([])
  })

  it("has the indexes that the code knows", async () => {
    const known = inCode
      .map((table) => getTableConfig(table))
      .flatMap(({ name: table, indexes }) =>
        indexes.map(({ config }) => ({
          table,
          name: config.name ?? "",
          unique: config.unique,
          partial: config.where !== undefined,
          columns: config.columns.map((column) => ("name" in column ? (column.name ?? "") : "")),
        })),
      )
    const actual = (await indexes())
      .filter(({ name }) => !/_pk$|_pkey$/.test(name))
      .map(({ kind: _kind, ...index }) => index)
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
    expect(actual.toSorted(byName)).toEqual(known.toSorted(byName))
  })
})

describe.skipIf(isMissing)("npm run migrate:postgres", () => {
  const run = (env: Record<string, string>) =>
    new Promise<{ code: number; output: string }>((resolve) => {
      const command = ["run", "-s", "migrate:postgres"]
      execFile("npm", command, { cwd: root, env: { ...process.env, ...env } }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
      )
    })

  it("applies what is missing, and then nothing", async () => {
    const { url } = await emptyDatabase()
    const count = journal.entries.length
    expect(await run({ DATABASE_URL: url })).toEqual({
      code: 0,
      output: `Applied ${count} migration${count === 1 ? "" : "s"}.\n`,
    })
    expect(await run({ DATABASE_URL: url })).toEqual({ code: 0, output: "Nothing to apply.\n" })
  })

  it("says in one line what is wrong, without the password", async () => {
    expect(await run({ DATABASE_URL: "" })).toEqual({
      code: 2,
      output: "Set DATABASE_URL: postgres://user:password@host:5432/database\n",
    })
    const { code, output } = await run({ DATABASE_URL: "postgres://someone:secret@127.0.0.1:9/nothing" })
    expect(code).toBe(1)
    expect(output).toMatch(/^The migrations could not be applied: .+\n$/)
    expect(output).not.toContain("secret")
  })
})
