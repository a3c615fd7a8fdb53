import pg from "pg"
import type { SeedRow } from "./rows.ts"

const perStatement = 5_000

/** Writes into a migrated database, in one transaction. Indexes are made at its end, and what the planner knows. */
export async function fillPostgres(url: string, rows: Iterable<SeedRow>): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query("begin")
    // Nothing refers to what is not there, so nobody has to look.
    await client.query("set local session_replication_role = replica")
    const { rows: indexes } = await client.query<{ name: string; sql: string }>(
      `select indexname as name, indexdef as sql from pg_indexes
       where schemaname = 'public' and not exists (select 1 from pg_constraint where conname = indexname)`,
    )
    for (const { name } of indexes) await client.query(`drop index "${name}"`)
    for (const [table, columns] of inParts(rows)) await insertInto(client, table, columns)
    for (const { sql } of indexes) await client.query(sql)
    await client.query("commit")
    await client.query("analyze")
  } finally {
    await client.end()
  }
}

type Part = [table: string, rows: SeedRow["columns"][]]

/** The rows of each table, so many at a time. */
function* inParts(rows: Iterable<SeedRow>): Generator<Part> {
  const waiting = new Map<string, SeedRow["columns"][]>()
  for (const { table, columns } of rows) {
    const part = waiting.get(table) ?? []
    part.push(columns)
    waiting.set(table, part)
    if (part.length < perStatement) continue
    yield [table, part]
    waiting.delete(table)
  }
  yield* waiting
}

async function insertInto(client: pg.Client, table: string, rows: Part[1]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).join(", ")
  await client.query(
    `insert into ${table} (${columns}) select ${columns} from json_populate_recordset(null::${table}, $1)`,
    [JSON.stringify(rows)],
  )
}
