import { getTableColumns, is } from "drizzle-orm"
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core"
import { sqliteDialect } from "../../src/db/d1.ts"
import type { Db } from "../../src/db/db.ts"
import type { Tables } from "../../src/db/tables.ts"

export type TableName = keyof Tables
export type Row = Record<string, unknown>

/**
 * Tables that no head of a log speaks for: the directory, receipts, which are also kept for writes that changed nothing,
 * API keys, which remember when they were last used, webhooks with what they are owed, and jobs. They are compared row by row, and what differs is written.
 */
export const comparedTables = [
  "users",
  "identities",
  "workspaces",
  "memberships",
  "userEvents",
  "invitees",
  "receipts",
  "apiKeys",
  "webhooks",
  "webhookDeliveries",
  "webhookAttempts",
  "jobs",
] as const satisfies TableName[]

/** What a workspace's log tells of, parents before children; the head, which says how far it is told, comes last. */
export const workspaceTables = [
  "profiles",
  "projects",
  "projectMembers",
  "favourites",
  "labels",
  "tasks",
  "taskAssignees",
  "taskLabels",
  "taskRelations",
  "taskAliases",
  "taskFollowers",
  "projectFollowers",
  "mutes",
  "reminders",
  "comments",
  "reactions",
  "members",
  "invitations",
  "events",
  "heads",
] as const satisfies TableName[]

export const allTables: TableName[] = [...comparedTables, ...workspaceTables]

/** Throws for a table that has no place above: it would be left behind without a word. */
export function mustPlaceEvery(schema: object): void {
  const names = Object.entries(schema).flatMap(([name, value]) => (is(value, SQLiteTable) ? [name] : []))
  const forgotten = names.filter((name) => !(allTables as string[]).includes(name))
  if (forgotten.length > 0) throw new TypeError(`scripts/copy/tables.ts has no place for ${forgotten.join(", ")}`)
}

mustPlaceEvery(sqliteDialect.tables)

/** The table of this database, whose columns are by the same names on both. */
export const tableOf = ({ tables }: Db, name: TableName): SQLiteTable => tables[name]

export const columnOf = (db: Db, name: TableName, field: string) => {
  const column = getTableColumns(tableOf(db, name))[field]
  if (!column) throw new TypeError(`${name} has no ${field}`)
  return column
}

/** The fields of a table's primary key, in its order. */
export function keyOf(name: TableName): string[] {
  const table: SQLiteTable = sqliteDialect.tables[name]
  const { columns, primaryKeys } = getTableConfig(table)
  const key = primaryKeys[0]?.columns ?? columns.filter(({ primary }) => primary)
  const fields = new Map(Object.entries(getTableColumns(table)).map(([field, { name }]) => [name, field]))
  return key.map((column) => fields.get(column.name) ?? column.name)
}

/** By the primary key, as both databases order it: numbers as numbers, text by its bytes. */
export function compareKeys(name: TableName): (a: Row, b: Row) => number {
  const key = keyOf(name)
  return (a, b) => {
    for (const field of key) {
      const order = compareValues(a[field], b[field])
      if (order !== 0) return order
    }
    return 0
  }
}

function compareValues(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)))
}

/** A row or a value of one as text that is the same for what is equal: without the order of an object's keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(",")}}`
}
