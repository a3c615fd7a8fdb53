import { and, gte, lte, type SQL, type SQLWrapper, sql } from "drizzle-orm"

/** A stretch of a primary key: beyond one place and up to another; null: from its beginning, to its end. */
export type KeyRange = {
  columns: readonly [SQLWrapper, ...SQLWrapper[]]
  from: readonly (string | number)[] | null
  to: readonly (string | number)[] | null
}

const rowOf = (parts: readonly (SQLWrapper | string | number)[]): SQL =>
  sql`(${sql.join(
    parts.map((part) => sql`${part}`),
    sql`, `,
  )})`

/** SQLite searches by rows that are compared, and by the first column alone if it is offered that. */
export const keyRangeSqlite = ({ columns, from, to }: KeyRange): SQL | undefined =>
  and(
    from ? sql`${rowOf(columns)} > ${rowOf(from)}` : undefined,
    to ? sql`${rowOf(columns)} <= ${rowOf(to)}` : undefined,
  )

/** Of two comparisons of rows, Postgres cannot tell how few are between them; of the first column it can. */
export const keyRangePostgres = ({ columns, from, to }: KeyRange): SQL | undefined => {
  const first = sql`${columns[0]}`
  return and(
    from ? gte(first, from[0]) : undefined,
    to ? lte(first, to[0]) : undefined,
    keyRangeSqlite({ columns, from, to }),
  )
}
