import { type Query, sql } from "drizzle-orm"
import { PgDatabase, PgDialect, PgPreparedQuery, PgSession, type PreparedQueryConfig } from "drizzle-orm/pg-core"
import { type Dialect, type FieldType, namesAndValues } from "./dialect.ts"
import { keyRangePostgres } from "./key-range.ts"
import * as tables from "./postgres.ts"
import { scanPostgres } from "./scan.ts"
import type { Sql } from "./sql.ts"
import type { Tables } from "./tables.ts"

const columnTypes: Record<FieldType, string> = { text: "text", integer: "bigint", boolean: "boolean", json: "json" }

let builder: Sql | undefined

export const postgresDialect: Dialect = {
  name: "postgres",
  // Not while modules load: drizzle's import each other in a circle, and the classes may not be there yet.
  get sql() {
    builder ??= new PgDatabase(new PgDialect(), builderSession(), undefined) as unknown as Sql
    return builder
  },
  // Sound as long as tables.ts compiles.
  tables: tables as unknown as Tables,
  oneOf(column, values) {
    if (values.length === 0) return sql`false`
    const type = typeof values[0] === "number" ? sql`bigint[]` : sql`text[]`
    return sql`${column} = any (${sql.param(values)}::${type})`
  },
  givenRows(rows, fields) {
    const columns = Object.entries(fields).map(([name, type]) => `"${name}" ${columnTypes[type]}`)
    return sql`json_to_recordset(${JSON.stringify(rows)}::json) as j(${sql.raw(columns.join(", "))})`
  },
  given: (field) => sql.raw(`j."${field}"`),
  elements: (array) => sql`json_array_elements_text(${array}) with ordinality as c(value, key)`,
  // As text, so that it arrives as it does from SQLite.
  jsonArray: (value, from) => sql<string>`(select coalesce(json_agg(${value}), '[]')::text from ${from})`,
  jsonObject: (fields) => sql`json_build_object(${namesAndValues(fields)})`,
  jsonItem: (value) => value,
  jsonAt: (column, path) => sql`(${column} #>> ${sql.raw(`'{${path.join(",")}}'`)})`,
  jsonBlanked: (column, path) =>
    sql`jsonb_set(${column}::jsonb, ${sql.raw(`'{${path.join(",")}}'`)}, '""', false)::json`,
  jsonText: (object) => sql`${object}::text`,
  // Left to the planner: it has statistics, and a limit on the rows.
  joinInOrder: sql`join`,
  // The offset keeps the planner from making a join of it that reads the whole workspace for each step.
  joinEach: (table, alias, on) =>
    sql`cross join lateral (select * from ${table} ${sql.raw(alias)} where ${on} offset 0) ${sql.raw(alias)}`,
  inRange: keyRangePostgres,
  scanPage: scanPostgres,
}

type Fields = Parameters<PgSession["prepareQuery"]>[1]

/** A session of drizzle's that builds queries, but has no way to run them: that is what `send` is for. */
function builderSession(): PgSession {
  const nothingToRun = () => Promise.reject(new TypeError("Statements run through read, write and commit of Db"))
  class Built extends PgPreparedQuery<PreparedQueryConfig> {
    readonly fields: Fields

    constructor(query: Query, fields: Fields) {
      super(query, undefined, undefined)
      this.fields = fields
    }

    override execute = nothingToRun
  }
  class BuilderSession extends PgSession {
    override prepareQuery<Config extends PreparedQueryConfig>(query: Query, fields: Fields): PgPreparedQuery<Config> {
      return new Built(query, fields) as PgPreparedQuery<Config>
    }

    override transaction = nothingToRun
  }
  return new BuilderSession(new PgDialect())
}
