import { type SQL, type SQLWrapper, sql } from "drizzle-orm"
import type { KeyRange } from "./key-range.ts"
import type { Scan } from "./scan.ts"
import type { Sql } from "./sql.ts"
import type { Tables } from "./tables.ts"

export type FieldType = "text" | "integer" | "boolean" | "json"

/**
 * What statements are made of, where SQLite and Postgres differ. Everything else that they are made of must mean the
 * same to both: standard SQL, drizzle's builders, and explicit columns. Two objects implement it, side by side with
 * what they are the dialect of: in d1.ts and in postgres-dialect.ts.
 */
export type Dialect = {
  name: "d1" | "postgres"
  /** Builds statements; runs none. */
  sql: Sql
  tables: Tables
  /** Whether `column` is one of the values, which travel as one parameter: D1 takes no more than 100. */
  oneOf(column: SQLWrapper, values: readonly (string | number)[]): SQL
  /** Many rows as one parameter, to select from: a statement's text is the same however many there are. */
  givenRows(rows: readonly object[], fields: Record<string, FieldType>): SQL
  /** A field of such a row. */
  given(field: string): SQL
  /** The elements of a JSON array of strings, as rows `c (key, value)` in order. */
  elements(array: SQL): SQL
  /** One JSON array of a column over the rows of a subquery, as text. */
  jsonArray(value: SQL, from: SQL): SQL<string>
  jsonObject(fields: Record<string, SQL>): SQL
  /** What a subquery made with jsonObject, for an array: SQLite must be told that its text is JSON. */
  jsonItem(value: SQL): SQL
  /** A field of a column's JSON, as text. */
  jsonAt(column: SQLWrapper, path: readonly string[]): SQL<string | null>
  /** A column's JSON with the text in that field, where there is one, made empty. */
  jsonBlanked(column: SQLWrapper, path: readonly string[]): SQL
  /** What jsonObject made, as text. */
  jsonText(object: SQL): SQL
  /** A join that is to be made from left to right, where the database would otherwise choose. */
  joinInOrder: SQL
  /** Joins the rows of a table that each row before has, found one by one: the steps of a recursion. */
  joinEach(table: SQLWrapper, alias: string, on: SQL): SQL
  /** Whether a row is in a stretch of its primary key, to be read or written from end to end: see key-range.ts. */
  inRange(range: KeyRange): SQL | undefined
  /** The rows of a page, by the columns `id`, `k` and `is_boundary`: see scan.ts. */
  scanPage(scan: Scan): SQL
}

/** Makes something of a dialect once and keeps it: expressions that every request needs. */
export function perDialect<T>(make: (dialect: Dialect) => T): (dialect: Dialect) => T {
  const made = new Map<Dialect["name"], T>()
  return (dialect) => {
    const known = made.get(dialect.name)
    if (known) return known
    const fresh = make(dialect)
    made.set(dialect.name, fresh)
    return fresh
  }
}

/** `'name', value, …`, as both databases want the fields of an object. */
export const namesAndValues = (fields: Record<string, SQL>): SQL =>
  sql.join(
    Object.entries(fields).flatMap(([name, value]) => [sql.raw(`'${name}'`), value]),
    sql`, `,
  )
