import { and, eq } from "drizzle-orm"
import type { Db } from "../../src/db/db.ts"
import { type Pair, pairsOf } from "./pairs.ts"
import { clearTable, clearWorkspace, rowsOf } from "./rows.ts"
import { compareKeys, type Row, type TableName } from "./tables.ts"

/** How far a user or a workspace has come on each side, by the number that every change raises; null: not there. */
type Versions = { kind: "user" | "workspace"; id: string; source: number | null; target: number | null }

/** What would be lost of it in the target. `alone`: the source does not have it. `ahead`: the source's is older. */
function lossOf({ source, target }: Versions): "alone" | "ahead" | null {
  if (target === null) return null
  if (source === null) return "alone"
  return target > source ? "ahead" : null
}

/** Whether a workspace that has come less far in the target went another way there: its last commit tells. */
async function hasDiverged(source: Db, target: Db, { kind, id, source: ours, target: theirs }: Versions) {
  if (kind !== "workspace" || !ours || !theirs || theirs >= ours) return false
  const commitAt = async (db: Db) => {
    const { events } = db.tables
    const isThere = and(eq(events.workspaceId, id), eq(events.seq, theirs))
    const [[event]] = await db.read(db.sql.select({ commitId: events.commitId }).from(events).where(isThere))
    return event?.commitId
  }
  return (await commitAt(source)) !== (await commitAt(target))
}

const rowPairs = (source: Db, target: Db, name: TableName) =>
  pairsOf(rowsOf(source, name), rowsOf(target, name), compareKeys(name))

async function* versionsOf(source: Db, target: Db): AsyncGenerator<Versions> {
  for await (const { left, right } of rowPairs(source, target, "users")) {
    const revision = (row: Row | null) => (row ? Number(row["revision"]) : null)
    yield { kind: "user", id: idOf({ left, right }, "id"), source: revision(left), target: revision(right) }
  }
  const rows = rowPairs(source, target, "workspaces")
  const heads = rowPairs(source, target, "heads")
  // By its row in the directory, its head, or both: a copy that was stopped may have left only the first.
  for await (const { left: row, right: head } of pairsOf(rows, heads, byWorkspace)) {
    const seq = (side: "left" | "right") => (row?.[side] || head?.[side] ? Number(head?.[side]?.["seq"] ?? 0) : null)
    const id = row ? idOf(row, "id") : idOf(head, "workspaceId")
    yield { kind: "workspace", id, source: seq("left"), target: seq("right") }
  }
}

type RowPair = Pair<Row, Row>

const idOf = (pair: RowPair | null, field: string) => String((pair?.left ?? pair?.right)?.[field])

const byWorkspace = (row: RowPair, head: RowPair) =>
  compareKeys("workspaces")({ id: idOf(row, "id") }, { id: idOf(head, "workspaceId") })

/** In words what the target would lose; null when that is nothing. */
export async function whatWouldBeLost(source: Db, target: Db): Promise<string | null> {
  const counts = { alone: { workspace: 0, user: 0 }, ahead: { workspace: 0, user: 0 } }
  for await (const versions of versionsOf(source, target)) {
    const loss = lossOf(versions) ?? ((await hasDiverged(source, target, versions)) ? "ahead" : null)
    if (loss) counts[loss][versions.kind] += 1
  }
  const lost = [
    ...told(counts.alone, "that the source does not have"),
    ...told(counts.ahead, "with newer changes than in the source"),
  ]
  return lost.length === 0 ? null : lost.join(", and ")
}

function told(counts: Record<Versions["kind"], number>, what: string): string[] {
  const parts = (["workspace", "user"] as const)
    .filter((kind) => counts[kind] > 0)
    .map((kind) => `${counts[kind].toLocaleString("en")} ${kind}${counts[kind] === 1 ? "" : "s"}`)
  return parts.length === 0 ? [] : [`${parts.join(" and ")} ${what}`]
}

/**
 * Takes from the target the workspaces that the source does not have, and from all others the mark that they are
 * complete. From here on it is a copy like any other, which can be stopped and continued.
 */
export async function makeWay(source: Db, target: Db): Promise<void> {
  for await (const versions of versionsOf(source, target)) {
    if (versions.kind === "workspace" && lossOf(versions) === "alone") await clearWorkspace(target, versions.id)
  }
  await clearTable(target, "heads")
}
