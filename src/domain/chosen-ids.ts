import { and, eq } from "drizzle-orm"
import { CommitRefused } from "../db/commit.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"

// Whoever makes something may choose its id, to name it before it is there. It is theirs within the workspace alone.

const tablesOf = ({ db: { tables } }: Ctx) => ({
  comment: tables.comments,
  label: tables.labels,
  project: tables.projects,
  task: tables.tasks,
})

type Kind = keyof ReturnType<typeof tablesOf>
type Choice = { id?: string | undefined }

/**
 * Throws `conflict` when a commit was refused because of a chosen id that something has, or had before it was deleted.
 * `pointer` is where an input stands in the request's body; `{}` is its index.
 */
export async function explainTaken(
  ctx: Ctx,
  kind: Kind,
  error: unknown,
  inputs: readonly Choice[],
  pointer = "",
): Promise<void> {
  const chosen = inputs.flatMap(({ id }) => id ?? [])
  if (chosen.length === 0 || !(error instanceof CommitRefused) || error.refusal.reason !== "unique") return
  const { db, workspaceId } = ctx
  const table = tablesOf(ctx)[kind]
  const [rows] = await db.read(
    db.sql
      .select({ id: table.id })
      .from(table)
      .where(and(eq(table.workspaceId, workspaceId), db.oneOf(table.id, chosen))),
  )
  const taken = new Set(rows.map(({ id }) => id))
  const errors = inputs.flatMap(({ id }, index) =>
    id !== undefined && taken.has(id)
      ? [{ pointer: `${pointer.replace("{}", String(index))}/id`, detail: `is the id of another ${kind}` }]
      : [],
  )
  if (errors.length > 0)
    throw new DomainError("conflict", "What you would make is there already", { errors, cause: error })
}
