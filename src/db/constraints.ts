import { is } from "drizzle-orm"
import { getTableConfig, PgTable } from "drizzle-orm/pg-core"
import * as schema from "./postgres.ts"

// Postgres names the constraint that broke; its columns it tells only in words, which a server may translate.

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

/** The columns of a key by its name; none for one that is not of the schema. */
export function columnsOfKey(name: string | undefined): string[] {
  columnsOf ??= nameConstraints()
  return columnsOf.get(name ?? "") ?? []
}
