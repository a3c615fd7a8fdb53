import { between, count } from "drizzle-orm"
import type { Db } from "../../src/db/db.ts"
import { pairsOf } from "./pairs.ts"
import { clearWorkspace, pagesOf, put, readAll, remove, rowsOf } from "./rows.ts"
import {
  allTables,
  canonical,
  columnOf,
  comparedTables,
  compareKeys,
  type Row,
  type TableName,
  tableOf,
  workspaceTables,
} from "./tables.ts"

/** Rows by what became of them. */
export type Outcome = { copied: number; there: number; removed: number }

type Advance = (rows: number, label: string) => void

/** How many rows there are to copy, and in how many workspaces. */
export async function sizeOf(db: Db): Promise<{ rows: number; workspaces: number }> {
  const counts = await readAll(
    db,
    allTables.map((name) => db.sql.select({ rows: count() }).from(tableOf(db, name))),
  )
  const rows = counts.map(([row]) => Number(row?.["rows"]))
  return { rows: rows.reduce((sum, some) => sum + some, 0), workspaces: rows[allTables.indexOf("heads")] ?? 0 }
}

/** Brings the target to what the source holds. What is there already stays, so that it can be stopped and repeated. */
export async function transfer(source: Db, target: Db, advance: Advance): Promise<Outcome> {
  const outcome: Outcome = { copied: 0, there: 0, removed: 0 }
  for (const name of comparedTables) await level(source, target, name, outcome, advance)
  for await (const heads of pagesOf(source, "heads")) {
    const range = { from: idOf(heads.at(0)), to: idOf(heads.at(-1)) }
    const there = await headsIn(target, range)
    const sizes = await sizesIn(source, range)
    for (const head of heads) {
      const workspaceId = idOf(head)
      if (there.get(workspaceId) === canonical(head)) {
        const rows = sizes.get(workspaceId) ?? 0
        outcome.there += rows
        advance(rows, `${workspaceId} there already`)
      } else {
        outcome.copied += await copyWorkspace(source, target, head, advance)
      }
    }
  }
  return outcome
}

const rowsAtOnce = 250

/** Writes to the target what differs in a table, and removes what only the target has. */
async function level(source: Db, target: Db, name: TableName, outcome: Outcome, advance: Advance): Promise<void> {
  let changed: Row[] = []
  let gone: Row[] = []
  let same = 0
  async function settle(): Promise<void> {
    await put(target, name, changed)
    await remove(target, name, gone)
    outcome.copied += changed.length
    outcome.removed += gone.length
    outcome.there += same
    advance(changed.length + same, name)
    changed = []
    gone = []
    same = 0
  }
  for await (const { left, right } of pairsOf(rowsOf(source, name), rowsOf(target, name), compareKeys(name))) {
    if (left && right && canonical(left) === canonical(right)) same += 1
    else if (left) changed.push(left)
    else if (right) gone.push(right)
    if (changed.length + gone.length + same >= rowsAtOnce) await settle()
  }
  await settle()
}

/**
 * Copies one workspace. Its head is written last, as it was before anything else was read: it is the mark that the
 * workspace is complete, and must not tell of what came into the source meanwhile.
 */
async function copyWorkspace(source: Db, target: Db, head: Row, advance: Advance): Promise<number> {
  const workspaceId = idOf(head)
  await clearWorkspace(target, workspaceId)
  let copied = 0
  for (const name of workspaceTables.filter((table) => table !== "heads")) {
    for await (const rows of pagesOf(source, name, workspaceId)) {
      await put(target, name, rows)
      copied += rows.length
      advance(rows.length, `${workspaceId} ${name}`)
    }
  }
  await put(target, "heads", [head])
  advance(1, workspaceId)
  return copied + 1
}

// ---- a page of workspaces at once ----

type Range = { from: string; to: string }

const idOf = (head: Row | undefined) => String(head?.["workspaceId"])

const inRange = (db: Db, name: TableName, { from, to }: Range) => between(columnOf(db, name, "workspaceId"), from, to)

async function headsIn(db: Db, range: Range): Promise<Map<string, string>> {
  const [heads] = await db.read(
    db.sql
      .select()
      .from(db.tables.heads)
      .where(inRange(db, "heads", range)),
  )
  return new Map(heads.map((head) => [head.workspaceId, canonical(head)]))
}

/** How many rows each workspace has, in all its tables. */
async function sizesIn(db: Db, range: Range): Promise<Map<string, number>> {
  const counts = workspaceTables.map((name) => {
    const workspaceId = columnOf(db, name, "workspaceId")
    const query = db.sql.select({ workspaceId, rows: count() }).from(tableOf(db, name))
    return query.where(inRange(db, name, range)).groupBy(workspaceId)
  })
  const sizes = new Map<string, number>()
  for (const row of (await readAll(db, counts)).flat()) {
    sizes.set(idOf(row), (sizes.get(idOf(row)) ?? 0) + Number(row["rows"]))
  }
  return sizes
}
