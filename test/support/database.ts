import { env } from "cloudflare:workers"
import { databaseOf, openDb } from "../../src/db/db.ts"
import type { Database, Query, Result } from "../../src/db/engine.ts"

/** The deployment's database: D1 or Postgres, as the suite that runs has bound it. */
export const database: Database = databaseOf(env)

export const isPostgres = database.connect().dialect.name === "postgres"

/** The words to build statements with. */
export const dialect = database.connect().dialect

/** Runs work on a connection of its own. */
export async function withDb<T>(work: (db: ReturnType<typeof openDb>) => Promise<T>): Promise<T> {
  const db = openDb(database.connect(), { readDeadlineMs: 60_000, writeDeadlineMs: 60_000 })
  try {
    return await work(db)
  } finally {
    await db.close()
  }
}

/** Runs statements as they are, as one transaction. `?` stands for a value on both databases. */
export async function send(...statements: [text: string, ...values: unknown[]][]): Promise<Result[]> {
  const engine = database.connect()
  const queries = statements.map(([text, ...values]): Query => ({ text: isPostgres ? numbered(text) : text, values }))
  try {
    return await engine.send(queries, { mode: "write", deadlineMs: 60_000, signal: new AbortController().signal })
  } finally {
    await engine.close()
  }
}

export const execute = async (text: string, ...values: unknown[]): Promise<void> => {
  await send([text, ...values])
}

/** The rows of a query by column name; JSON columns as text. */
export async function rowsOf<Row = Record<string, unknown>>(text: string, ...values: unknown[]): Promise<Row[]> {
  if (!isPostgres) return (await send([text, ...values]))[0]?.rows as Row[]
  const [result] = await send([`select row_to_json(q)::text from (${text}) q`, ...values])
  return ((result?.rows ?? []) as [string][]).map(([row]) => JSON.parse(row) as Row)
}

function numbered(text: string): string {
  let n = 0
  return text.replaceAll("?", () => {
    n += 1
    return `$${n}`
  })
}
