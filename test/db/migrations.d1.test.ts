import { applyD1Migrations, reset } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { getTableName, is } from "drizzle-orm"
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core"
import { beforeAll, describe, expect, it } from "vitest"
import * as schema from "../../src/db/sqlite.ts"
import { d1 } from "../support/d1.ts"

type Column = { name: string; type: string; notnull: number; pk: number }
type Index = { name: string; unique: number; origin: "c" | "u" | "pk"; partial: number }
type Migration = (typeof env.TEST_MIGRATIONS)[number]

const migrations = env.TEST_MIGRATIONS

async function query<Row>(sql: string, ...values: unknown[]): Promise<Row[]> {
  const { results } = await d1
    .prepare(sql)
    .bind(...values)
    .all<Row>()
  return results
}

/** The tables that are ours, and not D1's, SQLite's or the migrations' own. */
const tablesOf = async () =>
  (await query<{ name: string }>("select name from sqlite_master where type = 'table' order by name"))
    .map(({ name }) => name)
    .filter((name) => !/^(_cf_|sqlite_|d1_migrations)/.test(name))

const columnsOf = (table: string) => query<Column>("select * from pragma_table_info(?)", table)
const indexesOf = (table: string) => query<Index>("select * from pragma_index_list(?)", table)
const indexColumnsOf = async (index: string) =>
  (await query<{ name: string }>("select name from pragma_index_info(?) order by seqno", index)).map(({ name }) => name)

// ---- from every earlier state to the newest ----

const rowsPerTable = 3

/**
 * Rows in every table that exists. All columns of the n-th row hold n, or its text: so every key is unique and every
 * foreign key finds its row, whatever the tables are. Of the first row, all that may be null is.
 */
async function fillEveryTable(): Promise<void> {
  const inserts = await Promise.all(
    (await tablesOf()).map(async (table) => {
      const columns = await columnsOf(table)
      const names = columns.map(({ name }) => `"${name}"`).join(", ")
      return Array.from({ length: rowsPerTable }, (_, n) => {
        const values = columns.map(({ type, notnull, pk }) => {
          if (n === 0 && !notnull && !pk) return null
          return /int|real|num/i.test(type) ? n : String(n)
        })
        const places = columns.map(() => "?").join(", ")
        return d1.prepare(`insert into "${table}" (${names}) values (${places})`).bind(...values)
      })
    }),
  )
  // Tables refer to each other, so the order does not matter only until the end.
  await d1.batch([d1.prepare("pragma defer_foreign_keys = on"), ...inserts.flat()])
}

/** How many rows the tables have that were there before; a table that is gone has none. */
async function countRows(tables: string[]): Promise<Record<string, number>> {
  const present = await tablesOf()
  const counts = await Promise.all(
    tables.map(async (table) => {
      if (!present.includes(table)) return [table, 0] as const
      const [row] = await query<{ count: number }>(`select count(*) as count from "${table}"`)
      return [table, row?.count ?? 0] as const
    }),
  )
  return Object.fromEntries(counts)
}

/** Applies the first migrations, fills what is there, applies the rest, and counts before and after. */
async function migrateFilled(all: Migration[], first: number) {
  await reset()
  await applyD1Migrations(d1, all.slice(0, first))
  await fillEveryTable()
  const tables = await tablesOf()
  const before = await countRows(tables)
  await applyD1Migrations(d1, all)
  return { before, after: await countRows(tables), orphans: await query("pragma foreign_key_check") }
}

describe("migrating a database with rows", () => {
  for (const [index, { name }] of migrations.entries()) {
    it(`loses no row from the state after ${name}`, async () => {
      const { before, after, orphans } = await migrateFilled(migrations, index + 1)
      expect(Object.keys(before).length).toBeGreaterThan(0)
      expect(new Set(Object.values(before))).toEqual(new Set([rowsPerTable]))
      expect(after).toEqual(before)
      expect(orphans).toEqual([])
    })
  }

  it("would be noticed to empty a table", async () => {
    const careless = { name: "9999_careless.sql", queries: ["delete from task_assignees"] }
    const { before, after } = await migrateFilled([...migrations, careless], migrations.length)
    expect(after).toEqual({ ...before, task_assignees: 0 })
  })

  it("would be noticed to rebuild a table whose children go by cascade", async () => {
    const family = {
      name: "9998_family.sql",
      queries: [
        "create table parents (id text primary key)",
        "create table children (id text primary key, parent_id text not null references parents (id) on delete cascade)",
      ],
    }
    const rebuild = {
      name: "9999_rebuild.sql",
      queries: [
        "pragma defer_foreign_keys = on",
        "create table new_parents (id text primary key, name text)",
        "insert into new_parents select id, null from parents",
        "drop table parents",
        "alter table new_parents rename to parents",
      ],
    }
    const { before, after } = await migrateFilled([...migrations, family, rebuild], migrations.length + 1)
    expect(after).toEqual({ ...before, children: 0 })
  })
})

describe("the newest schema", () => {
  beforeAll(async () => {
    await reset()
    await applyD1Migrations(d1, migrations)
  })

  const inCode = Object.values(schema).filter((table) => is(table, SQLiteTable))
  // Who exists, whatever workspaces they have; everything else belongs to one workspace.
  const directory = ["identities", "invitees", "jobs", "memberships", "user_events", "users", "workspaces"]

  it("never deletes children by cascade", async () => {
    const statements = migrations.flatMap(({ queries }) => queries)
    expect(statements.filter((statement) => /on\s+delete\s+(cascade|set)/i.test(statement))).toEqual([])
    for (const table of await tablesOf()) {
      const keys = await query<{ on_delete: string }>("select * from pragma_foreign_key_list(?)", table)
      expect(
        keys.map(({ on_delete }) => on_delete).filter((action) => action !== "NO ACTION"),
        table,
      ).toEqual([])
    }
  })

  it("begins every key and index of a workspace's tables with the workspace", async () => {
    const tenant = (await tablesOf()).filter((table) => !directory.includes(table))
    expect(tenant.length).toBeGreaterThan(5)
    for (const table of tenant) {
      const columns = await columnsOf(table)
      expect(columns.find(({ pk }) => pk === 1)?.name, table).toBe("workspace_id")
      expect(columns.find(({ name }) => name === "workspace_id")?.notnull, table).toBe(1)
      for (const { name } of await indexesOf(table)) {
        expect((await indexColumnsOf(name))[0], name).toBe("workspace_id")
      }
      const parents = await query<{ from: string; to: string; seq: number }>(
        "select * from pragma_foreign_key_list(?) where seq = 0",
        table,
      )
      for (const { from, to } of parents) expect([from, to], table).toEqual(["workspace_id", "workspace_id"])
    }
  })

  it("has eight indexes on tasks at most: each is a billed row per write", async () => {
    const indexes = (await indexesOf("tasks")).filter(({ origin }) => origin !== "pk")
    expect(indexes.length).toBeGreaterThan(0)
    expect(indexes.length).toBeLessThanOrEqual(8)
  })

  it("has the tables that the code knows, and no others", async () => {
    expect(inCode.map((table) => getTableName(table)).toSorted()).toEqual(await tablesOf())
    expect(directory.filter((table) => !inCode.some((known) => getTableName(known) === table))).toEqual([])
  })

  for (const table of inCode) {
    const { name, columns, indexes, primaryKeys } = getTableConfig(table)

    it(`has the columns that the code knows: ${name}`, async () => {
      const keys = primaryKeys.flatMap((key) => key.columns.map((column) => column.name))
      const known = columns.map((column) => ({
        name: column.name,
        type: column.getSQLType(),
        notnull: Number(column.notNull),
        pk: column.primary ? 1 : keys.indexOf(column.name) + 1,
      }))
      const actual = (await columnsOf(name)).map(({ name, type, notnull, pk }) => ({
        name,
        type: type.toLowerCase(),
        notnull,
        pk,
      }))
      // Columns that came later stand last in the database, and where they belong in the code.
      const byName = (a: Column, b: Column) => (a.name < b.name ? -1 : 1)
      expect(actual.toSorted(byName)).toEqual(known.toSorted(byName))
    })

    it(`has the indexes that the code knows: ${name}`, async () => {
      const known = indexes.map(({ config }) => ({
        name: config.name,
        unique: config.unique,
        isPartial: config.where !== undefined,
        columns: config.columns.map((column) => ("name" in column ? column.name : "")),
      }))
      const actual = await Promise.all(
        (await indexesOf(name))
          .filter(({ origin }) => origin === "c")
          .map(async (index) => ({
            name: index.name,
            unique: index.unique === 1,
            isPartial: index.partial === 1,
            columns: await indexColumnsOf(index.name),
          })),
      )
      const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
      expect(actual.toSorted(byName)).toEqual(known.toSorted(byName))
    })
  }
})
