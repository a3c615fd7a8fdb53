import { and, eq, isNull } from "drizzle-orm"
import { CommitRefused } from "../db/commit.ts"
import type { Row } from "../db/tables.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid } from "./errors.ts"

// A workspace has no two labels of one name.

export type Wanted = Pick<Row<"labels">, "name" | "nameKey"> & { pointer: string }

export function refuseTwice(wanted: Wanted[]): void {
  const seen = new Set<string>()
  const errors = wanted.flatMap(({ nameKey, pointer }) => {
    const isSecond = seen.has(nameKey)
    seen.add(nameKey)
    return isSecond ? [{ pointer: `${pointer}/name`, detail: "is the name of another label in this request" }] : []
  })
  if (errors.length > 0) throw invalid(...errors)
}

/** Turns the refusal of names that other labels have into `conflict`. */
export async function refusingTaken<T>(
  ctx: Ctx,
  wanted: Wanted[],
  committing: Promise<T>,
  explain: (error: unknown) => Promise<void> = async () => undefined,
): Promise<T> {
  try {
    return await committing
  } catch (error) {
    const isTaken = error instanceof CommitRefused && error.refusal.reason === "unique"
    if (!isTaken) throw error
    await explain(error)
    const taken = await takenOf(ctx, wanted)
    // Whoever had the name has given it up in the same moment.
    if (taken.length === 0) throw new CommitRefused({ reason: "row" }, error)
    const errors = taken.map(({ pointer }) => ({
      pointer: `${pointer}/name`,
      detail: "belongs to another label of this workspace",
    }))
    const names = taken.map(({ name }) => name).join(", ")
    throw new DomainError("conflict", `There is a label ${names} already`, { errors, cause: error })
  }
}

/** Which of the names other labels have. Where one was asked for, it is that one. */
async function takenOf({ db, workspaceId }: Ctx, wanted: Wanted[]): Promise<Wanted[]> {
  if (wanted.length === 1) return wanted
  const { labels } = db.tables
  const keys = wanted.map(({ nameKey }) => nameKey)
  const [rows] = await db.read(
    db.sql
      .select({ nameKey: labels.nameKey })
      .from(labels)
      .where(and(eq(labels.workspaceId, workspaceId), isNull(labels.deletedAt), db.oneOf(labels.nameKey, keys))),
  )
  const taken = new Set(rows.map(({ nameKey }) => nameKey))
  return wanted.filter(({ nameKey }) => taken.has(nameKey))
}
