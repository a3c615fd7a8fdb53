import { getTableColumns, type InferInsertModel, type SQL, sql } from "drizzle-orm"
import type { SQLiteTable } from "drizzle-orm/sqlite-core"
import type { Sql } from "./sql.ts"

// Many rows travel as one JSON parameter: a statement's text stays the same however many there are, and D1 takes no
// more than 100 parameters. What differs by dialect about that is in this file.

type Rows<T extends SQLiteTable> = Record<string, unknown>[] & { __table?: T }
type Options<T extends SQLiteTable> = {
  /** Columns that are computed in the statement. */
  computed?: { [Column in keyof InferInsertModel<T>]?: SQL }
  /** What stands after `from`: joins, `where`. Rows that it drops are not written. */
  tail?: SQL
}

/** A field of the row that travels (an element of the JSON array). */
export const given = (field: string): SQL => sql`(j.value ->> ${sql.raw(`'$.${field}'`)})`

export const givenRows = (rows: unknown[]): SQL => sql`json_each(${JSON.stringify(rows)}) j`

/** `insert into … select … from` the rows, with some columns computed in the statement. */
export function insertRows<T extends SQLiteTable>(
  db: Sql,
  table: T,
  rows: Rows<T>,
  { computed = {}, tail }: Options<T> = {},
) {
  const columns = Object.keys(getTableColumns(table)).map(
    (column) => (computed as Record<string, SQL | undefined>)[column] ?? given(column),
  )
  return db.insert(table).select(sql`select ${sql.join(columns, sql`, `)} from ${givenRows(rows)} ${tail ?? sql``}`)
}

/** One JSON array of a column over the rows of a subquery, as text. */
export const jsonArray = (value: SQL, from: SQL): SQL<string> =>
  sql<string>`(select json_group_array(${value}) from ${from})`

export const jsonObject = (fields: Record<string, SQL>): SQL =>
  sql`json_object(${sql.join(
    Object.entries(fields).flatMap(([name, value]) => [sql.raw(`'${name}'`), value]),
    sql`, `,
  )})`
