import { env } from "cloudflare:workers"
import { databaseOf, openDb } from "../../src/db/db.ts"
import type { Database, Query, Result, Terms } from "../../src/db/engine.ts"

/** The deployment's database: D1 or Postgres, as the suite that runs has bound it. */
export const database: Database = await databaseOf(env)

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

const terms = (): Terms => ({ mode: "write", deadlineMs: 60_000, signal: new AbortController().signal })

/** Runs statements as they are, as one transaction. `?` stands for a value on both databases. */
export async function send(...statements: [text: string, ...values: unknown[]][]): Promise<Result[]> {
  const engine = database.connect()
  const queries = statements.map(([text, ...values]): Query => ({ text: isPostgres ? numbered(text) : text, values }))
  try {
    return await engine.send(queries, terms())
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

/** How Postgres runs each of the queries. */
export async function explain<Plan>(queries: readonly Query[]): Promise<Plan[]> {
  const engine = database.connect()
  const explained = queries.map(({ text, values }) => ({ text: `explain (analyze, format json) ${text}`, values }))
  try {
    const results = await engine.send(explained, terms())
    return results.map(({ rows }) => (rows as [[{ Plan: Plan }]][])[0]?.[0][0].Plan as Plan)
  } finally {
    await engine.close()
  }
}
