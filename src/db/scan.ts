import { type SQL, sql } from "drizzle-orm"

/** A place in a list: the sort key and the id of the row that a page ended with. */
export type Place = { k: string | number; id: string }

export type Scan = {
  /** The index entries of the scope in the order of the sort: `id`, `k`, and unless narrow what `residual` looks at. */
  entries: (limit: SQL, isNarrow: boolean) => SQL
  /** What else must hold, over the columns of `entries`; null when the index alone decides. */
  residual: SQL | null
  /** Whether the entries are ordered by their id alone, which is their key too. */
  isById: boolean
  direction: "asc" | "desc"
  /** How many rows the page may have. One more is fetched, to tell whether there is a next page. */
  limit: number
  /** How many entries the statement may examine; then it gives up, and the page is short or empty. */
  window: number
}

// A scan yields the page's rows (`id`, `k`, `is_boundary`). A short page of a bounded scan comes with one boundary row:
// the last entry of the window, which is not part of the page but tells where the next one starts. The boundary costs a
// second pass over the window, only when the page is short. Numbering the entries in one pass costs three times the
// reads, on every page.

/** SQLite keeps the order of a subquery, and does not start the second arm once the first has met the limit. */
export function scanSqlite({ entries, residual, limit, window }: Scan): SQL {
  const wanted = sql`${limit + 1}`
  if (!residual) return sql`(select id, k, 0 as is_boundary from (${entries(wanted, true)}))`
  return sql`(
    select id, k, 0 as is_boundary from (${entries(sql`${window}`, false)}) entry where ${residual}
    union all
    select id, k, 1 from (${entries(sql`1 offset ${window - 1}`, true)})
    limit ${wanted}
  )`
}

/**
 * Postgres promises no order that it is not told, nor which arm of a union comes first: the filter may become a join.
 * So the page is ordered (which costs no sort where the plan keeps the index's order), and the boundary asks how full
 * it is; where it is full, the second pass never starts.
 */
export function scanPostgres({ entries, residual, isById, direction, limit, window }: Scan): SQL {
  const wanted = sql`${limit + 1}`
  if (!residual) return sql`(select id, k, 0 as is_boundary from (${entries(wanted, true)}) entry)`
  const way = sql.raw(direction)
  // Where both are one column, it takes the order of the index for that of `id`, and would sort the window by `k`.
  const order = isById ? sql`id ${way}` : sql`k ${way}, id ${way}`
  return sql`(
    with full_page as materialized (
      select id, k from (${entries(sql`${window}`, false)}) entry where ${residual} order by ${order} limit ${wanted}
    )
    select id, k, 0 as is_boundary from full_page
    union all
    select id, k, 1 from (${entries(sql`1 offset ${window - 1}`, true)}) last_entry
    where (select count(*) from full_page) <= ${limit}
  )`
}
