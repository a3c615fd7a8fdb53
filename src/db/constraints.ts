import { is } from "drizzle-orm"
import { getTableConfig, PgTable } from "drizzle-orm/pg-core"
import * as schema from "./postgres.ts"

// Postgres names the constraint that broke, and only in words that a server may translate the columns of it.

let columnsOf: Map<string, string[]> | undefined

function nameConstraints(): Map<string, string[]> {
  const named = new Map<string, string[]>()
  for (const table of Object.values(schema).filter((value) => is(value, PgTable))) {
    const { name, columns, primaryKeys, indexes } = getTableConfig(table)
    for (const key of primaryKeys) {
      named.set(
        key.getName(),
        key.columns.map((column) => column.name),
      )
    }
    for (const column of columns) if (column.primary) named.set(`${name}_pkey`, [column.name])
    for (const { config } of indexes.filter((index) => index.config.unique)) {
      named.set(
        config.name ?? "",
        config.columns.map((column) => ("name" in column ? (column.name ?? "") : "")),
      )
    }
  }
  return named
}

/** The columns of a unique constraint; none for one that is not of the schema. */
export function constraintNamed(table: string, constraint: string): { table: string; columns: string[] } {
  columnsOf ??= nameConstraints()
  return { table, columns: columnsOf.get(constraint) ?? [] }
}
