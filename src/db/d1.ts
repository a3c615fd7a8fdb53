import { sql } from "drizzle-orm"
import { drizzle } from "drizzle-orm/d1"
import { type Dialect, namesAndValues } from "./dialect.ts"
import type { Database, Engine } from "./engine.ts"
import { keyRangeSqlite } from "./key-range.ts"
import { scanSqlite } from "./scan.ts"
import type { Sql } from "./sql.ts"
import * as tables from "./sqlite.ts"

// The builder prepares what it builds on a database of its own, which has no way to run it: statements go through `send`.
const builder = drizzle({ prepare: () => ({}) } as unknown as D1Database)

export const sqliteDialect: Dialect = {
  name: "d1",
  sql: builder as unknown as Sql,
  tables,
  oneOf: (column, values) => sql`${column} in (select value from json_each(${JSON.stringify(values)}))`,
  givenRows: (rows) => sql`json_each(${JSON.stringify(rows)}) j`,
  given: (field) => sql`(j.value ->> ${sql.raw(`'$.${field}'`)})`,
  elements: (array) => sql`json_each(${array}) c`,
  jsonArray: (value, from) => sql<string>`(select json_group_array(${value}) from ${from})`,
  jsonObject: (fields) => sql`json_object(${namesAndValues(fields)})`,
  jsonItem: (value) => sql`json(${value})`,
  jsonAt: (column, path) => sql`(${column} ->> ${sql.raw(`'$.${path.join(".")}'`)})`,
  jsonBlanked: (column, path) => sql`json_replace(${column}, ${sql.raw(`'$.${path.join(".")}'`)}, '')`,
  jsonText: (object) => object,
  joinInOrder: sql`cross join`,
  joinEach: (table, alias, on) => sql`cross join ${table} ${sql.raw(alias)} on ${on}`,
  inRange: keyRangeSqlite,
  scanPage: scanSqlite,
}

const primary = "first-primary"

/**
 * D1 runs a batch as one transaction, in one round trip. It has no way to be told that nobody waits any more. Whoever
 * brings a bookmark may be answered by a replica near them that has reached it; everybody else is by the primary.
 */
export function d1Database(binding: D1Database): Database {
  return { connect: (from) => d1Engine(binding, from ?? primary), connections: null }
}

function d1Engine(binding: D1Database, from: string): Engine {
  let start = from
  let session: D1DatabaseSession | null = null
  function toPrimary(): void {
    start = primary
    session = null
  }

  return {
    dialect: sqliteDialect,
    async send(queries, { mode }) {
      session ??= binding.withSession(start)
      const open = session
      const sent = open.batch<object>(queries.map(({ text, values }) => open.prepare(text).bind(...values)))
      const results = await sent.catch((error: unknown) => {
        // Why it was refused, or whether it landed, must not be asked of a replica: the session has not moved.
        if (mode === "write") toPrimary()
        throw error
      })
      return results.map(({ results: rows, meta }) => ({
        rows,
        rowsRead: meta.rows_read,
        rowsWritten: meta.rows_written,
      }))
    },
    ready: () => Promise.resolve(),
    reach(bookmark) {
      const reached = session ? session.getBookmark() : start
      // Cloudflare makes them so that later ones are greater, as text.
      if (bookmark !== null && reached !== null && reached !== primary && bookmark <= reached) return
      toPrimary()
      start = bookmark ?? primary
    },
    bookmark: () => session?.getBookmark() ?? null,
    close: () => Promise.resolve(),
  }
}
