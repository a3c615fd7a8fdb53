import { sql } from "drizzle-orm"
import { drizzle } from "drizzle-orm/d1"
import { type Dialect, namesAndValues } from "./dialect.ts"
import type { Database, Engine } from "./engine.ts"
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
  scanPage: scanSqlite,
}

/**
 * D1 runs a batch as one transaction, in one round trip. It has no way to be told that nobody waits any more. Whoever
 * brings a bookmark may be answered by a replica near them that has reached it; everybody else is by the primary.
 */
export function d1Database(binding: D1Database): Database {
  return { connect: (from) => d1Engine(binding.withSession(from ?? "first-primary")), connections: null }
}

function d1Engine(session: D1DatabaseSession): Engine {
  return {
    dialect: sqliteDialect,
    async send(queries) {
      const results = await session.batch<object>(
        queries.map(({ text, values }) => session.prepare(text).bind(...values)),
      )
      return results.map(({ results: rows, meta }) => ({
        rows,
        rowsRead: meta.rows_read,
        rowsWritten: meta.rows_written,
      }))
    },
    ready: () => Promise.resolve(),
    bookmark: () => session.getBookmark(),
    close: () => Promise.resolve(),
  }
}
