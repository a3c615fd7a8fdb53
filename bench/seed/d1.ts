import { readdirSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import type { SeedRow } from "./rows.ts"

/** The one database among what Miniflare keeps in a folder. */
function fileIn(state: string): string {
  const folder = join(state, "d1/miniflare-D1DatabaseObject")
  const [file, ...others] = readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
  if (!file || others.length > 0) throw new Error(`${folder} does not hold one database`)
  return join(folder, file)
}

/** Writes straight into the file of a local D1 that nobody serves, in one transaction. Indexes are made at its end. */
export function fillD1(state: string, rows: Iterable<SeedRow>): void {
  const database = new DatabaseSync(fileIn(state), { enableForeignKeyConstraints: false })
  try {
    // Whatever is half done when the power fails is thrown away anyway.
    for (const pragma of ["journal_mode = off", "synchronous = off", "cache_size = -400000", "temp_store = memory"]) {
      database.exec(`pragma ${pragma}`)
    }
    const indexes = database
      .prepare("select name, sql from sqlite_master where type = 'index' and sql is not null")
      .all() as { name: string; sql: string }[]
    database.exec("begin")
    for (const { name } of indexes) database.exec(`drop index ${name}`)
    const statements = new Map<string, StatementSync>()
    for (const { table, columns } of rows) {
      const statement = statements.get(table) ?? database.prepare(insertInto(table, Object.keys(columns)))
      statements.set(table, statement)
      statement.run(...Object.values(columns).map((value) => (typeof value === "boolean" ? Number(value) : value)))
    }
    for (const { sql } of indexes) database.exec(sql)
    database.exec("commit")
    database.exec("pragma journal_mode = wal")
  } finally {
    database.close()
  }
}

const insertInto = (table: string, columns: string[]) =>
  `insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`
