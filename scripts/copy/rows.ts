import { and, asc, eq, getTableColumns, type SQL, sql } from "drizzle-orm"
import type { Db } from "../../src/db/db.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { Statement } from "../../src/db/sql.ts"
import { columnOf, keyOf, type Row, type TableName, tableOf, workspaceTables } from "./tables.ts"

// D1 takes no parameter beyond 2 MB, and answers best in pages of about this size too.
const pageBytes = 1_000_000
const firstPageRows = 100
const mostPageRows = 1_000

/** The rows of a table, or of one workspace in it, in the order of the primary key: a page at a time. */
export async function* pagesOf(db: Db, name: TableName, workspaceId?: string): AsyncGenerator<Row[]> {
  const table = tableOf(db, name)
  const { scope, key } = within(db, name, workspaceId)
  let limit = firstPageRows
  let last: Row | undefined
  for (;;) {
    const after = last && sql`${tuple(key.map(([, column]) => column))} > ${tuple(key.map(([field]) => last?.[field]))}`
    const order = key.map(([, column]) => asc(column))
    const page = db.sql
      .select()
      .from(table)
      .where(and(scope, after))
      .orderBy(...order)
      .limit(limit)
    const rows = await read(db, page)
    if (rows.length > 0) yield rows
    if (rows.length < limit) return
    last = rows.at(-1)
    limit = nextLimit(rows)
  }
}

export async function* rowsOf(db: Db, name: TableName): AsyncGenerator<Row> {
  for await (const page of pagesOf(db, name)) yield* page
}

/** Rows of one table are much alike, so as many as should fill a page; more only little by little. */
function nextLimit(rows: Row[]): number {
  const bytesPerRow = Buffer.byteLength(JSON.stringify(rows)) / rows.length
  return Math.max(1, Math.min(mostPageRows, rows.length * 4, Math.floor(pageBytes / bytesPerRow)))
}

/** What keeps a statement to one workspace, and the fields of the primary key that are left to tell its rows apart. */
function within(db: Db, name: TableName, workspaceId: string | undefined) {
  const fields = keyOf(name).filter((field) => workspaceId === undefined || field !== "workspaceId")
  const key = fields.map((field) => [field, columnOf(db, name, field)] as const)
  const scope = workspaceId === undefined ? undefined : eq(columnOf(db, name, "workspaceId"), workspaceId)
  return { scope, key }
}

const tuple = (values: unknown[]): SQL =>
  sql`(${sql.join(
    values.map((value) => sql`${value}`),
    sql`, `,
  )})`

/** Several questions in one trip. */
export async function readAll(db: Db, queries: Statement[]): Promise<Row[][]> {
  const [first, ...rest] = queries
  return first ? ((await db.read(first, ...rest)) as unknown as Row[][]) : []
}

const read = async (db: Db, query: Statement): Promise<Row[]> => (await readAll(db, [query])).flat()

/** Writes rows over what is there under their keys. */
export async function put(db: Db, name: TableName, rows: Row[]): Promise<void> {
  for (const some of cut(rows)) await db.write(upsert(db, name, some))
}

/** As many rows a statement as its parameter may hold. */
function* cut(rows: Row[]): Generator<Row[]> {
  let some: Row[] = []
  let bytes = 0
  for (const row of rows) {
    const size = Buffer.byteLength(JSON.stringify(row)) + 1
    if (some.length > 0 && bytes + size > pageBytes) {
      yield some
      some = []
      bytes = 0
    }
    some.push(row)
    bytes += size
  }
  if (some.length > 0) yield some
}

/** Not a plain insert: one whose answer was lost is sent again. */
function upsert(db: Db, name: TableName, rows: Row[]): Statement {
  const key = keyOf(name)
  const others = Object.entries(getTableColumns(tableOf(db, name))).filter(([field]) => !key.includes(field))
  const set = Object.fromEntries(others.map(([field, column]) => [field, sql.raw(`excluded."${column.name}"`)]))
  // SQLite would take `on conflict` for the condition of a join.
  const insert = insertRows(db, tableOf(db, name), rows, { tail: sql`where true` })
  // Of a row that is all key, one that is there is the same.
  if (others.length === 0) return insert.onConflictDoNothing()
  return insert.onConflictDoUpdate({ target: key.map((field) => columnOf(db, name, field)), set })
}

/** Removes rows by their keys. */
export async function remove(db: Db, name: TableName, rows: Row[]): Promise<void> {
  if (rows.length === 0) return
  const key = keyOf(name)
  const columns = key.map((field) => columnOf(db, name, field))
  const types = columns.map(({ dataType }, index) => [key[index], dataType === "number" ? "integer" : "text"])
  const keys = rows.map((row) => Object.fromEntries(key.map((field) => [field, row[field]])))
  const given = sql.join(
    key.map((field) => db.given(field)),
    sql`, `,
  )
  const chosen = sql`(select ${given} from ${db.givenRows(keys, Object.fromEntries(types))})`
  await db.write(db.sql.delete(tableOf(db, name)).where(sql`${tuple(columns)} in ${chosen}`))
}

const removedAtOnce = 1_000

function someKeys(db: Db, name: TableName, workspaceId?: string) {
  const fields = keyOf(name).map((field) => [field, columnOf(db, name, field)])
  const { scope } = within(db, name, workspaceId)
  return db.sql.select(Object.fromEntries(fields)).from(tableOf(db, name)).where(scope).limit(removedAtOnce)
}

/** Empties a workspace: first its head, so that nobody takes what is left for the whole, and then children first. */
export async function clearWorkspace(db: Db, workspaceId: string): Promise<void> {
  const names = workspaceTables.toReversed()
  // One trip finds out that there is nothing, as in most workspaces that are about to be copied.
  const found = await readAll(
    db,
    names.map((name) => someKeys(db, name, workspaceId)),
  )
  for (const [index, name] of names.entries()) {
    for (let rows = found[index] ?? []; rows.length > 0; rows = await read(db, someKeys(db, name, workspaceId))) {
      await remove(db, name, rows)
    }
  }
}

export async function clearTable(db: Db, name: TableName): Promise<void> {
  for (;;) {
    const rows = await read(db, someKeys(db, name))
    if (rows.length === 0) return
    await remove(db, name, rows)
  }
}
