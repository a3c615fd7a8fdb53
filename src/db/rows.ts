import { getTableColumns, type InferInsertModel, type SQL, sql } from "drizzle-orm"
import type { SQLiteTable } from "drizzle-orm/sqlite-core"
import type { Dialect, FieldType } from "./dialect.ts"

type Rows<T extends SQLiteTable> = Record<string, unknown>[] & { __table?: T }
type Options<T extends SQLiteTable> = {
  /** Columns that are computed in the statement. */
  computed?: { [Column in keyof InferInsertModel<T>]?: SQL }
  /** Fields of the rows that are no columns, for what is computed. */
  fields?: Record<string, FieldType>
  /** What stands after `from`: joins, `where`. Rows that it drops are not written. */
  tail?: SQL
}

const fieldTypes: Record<string, FieldType> = { number: "integer", boolean: "boolean", json: "json" }

/** `insert into … select … from` the rows, which travel as one parameter, with some columns computed in the statement. */
export function insertRows<T extends SQLiteTable>(
  { sql: builder, given, givenRows }: Dialect,
  table: T,
  rows: Rows<T>,
  { computed = {}, fields = {}, tail }: Options<T> = {},
) {
  const columns = Object.entries(getTableColumns(table))
  const values = columns.map(([name]) => (computed as Record<string, SQL | undefined>)[name] ?? given(name))
  const types = Object.fromEntries(columns.map(([name, { dataType }]) => [name, fieldTypes[dataType] ?? "text"]))
  const from = givenRows(rows, { ...types, ...fields })
  return builder.insert(table).select(sql`select ${sql.join(values, sql`, `)} from ${from} ${tail ?? sql``}`)
}
