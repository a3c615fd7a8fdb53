import { createHash } from "node:crypto"
import { getTableName } from "drizzle-orm"
import type { Db } from "../../src/db/db.ts"
import { pagesOf } from "./rows.ts"
import { allTables, canonical, type TableName, tableOf } from "./tables.ts"

/** How many rows a table has, and a SHA-256 over all of them in the order of the primary key. */
export type Content = { rows: number; hash: string }

export type Comparison = { table: string; source: Content; target: Content; isSame: boolean }

/** Reads every table of both once. `advance` is told of the rows of the source. */
export async function compareAll(
  source: Db,
  target: Db,
  advance: (rows: number, label: string) => void,
): Promise<Comparison[]> {
  const comparisons: Comparison[] = []
  for (const name of allTables) {
    const [ours, theirs] = await Promise.all([
      contentOf(source, name, (rows) => advance(rows, name)),
      contentOf(target, name),
    ])
    const isSame = ours.rows === theirs.rows && ours.hash === theirs.hash
    comparisons.push({ table: getTableName(tableOf(source, name)), source: ours, target: theirs, isSame })
  }
  return comparisons
}

async function contentOf(db: Db, name: TableName, onRows?: (rows: number) => void): Promise<Content> {
  const hash = createHash("sha256")
  let rows = 0
  for await (const page of pagesOf(db, name)) {
    for (const row of page) hash.update(`${canonical(row)}\n`)
    rows += page.length
    onRows?.(page.length)
  }
  return { rows, hash: hash.digest("hex") }
}
