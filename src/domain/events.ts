import { and, asc, eq, gt } from "drizzle-orm"
import type { EventView } from "../contracts/events.ts"
import { type Answer, type Change, CommitRefused, type Committed } from "../db/commit.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"
import { forbidden, type Permission, permit, rolesThatMay } from "./permissions.ts"

export type EventType =
  | "member.added"
  | "member.updated"
  | "project.created"
  | "project.updated"
  | "project.deleted"
  | "task.created"
  | "task.updated"
  | "task.closed"
  | "task.reopened"
  | "task.deleted"

export type DomainChange = Omit<Change, "type" | "previousProjectId"> & { type: EventType }

type Work = {
  /** What the actor's present role must include. */
  permission: Permission
  at: number
  rows: Statement[]
  changes: DomainChange[]
  /** What a repeat of this request with its Idempotency-Key will be told. */
  answer: { kind: Answer; body?: Record<string, unknown> }
}

/**
 * Commits a verb's rows with their events and the receipt. Throws `forbidden` for an actor who has just been demoted,
 * `conflict` for a key that has just been used, and CommitRefused for what the verb itself must explain.
 */
export async function commit(ctx: Ctx, { permission, at, rows, changes, answer }: Work): Promise<Committed> {
  const { actor, workspaceId, source, idempotency } = ctx
  try {
    return await ctx.db.commit({
      id: ctx.newId("commit"),
      workspaceId,
      at,
      actor: { id: actor.userId, source, roles: rolesThatMay(permission) },
      rows,
      changes: changes.map((change) => ({ ...change, previousProjectId: null })),
      receipt: idempotency && { ...idempotency, answer: answer.kind, body: answer.body ?? null },
    })
  } catch (error) {
    if (error instanceof CommitRefused && error.refusal.reason === "role") throw forbidden(permission)
    if (error instanceof CommitRefused && error.refusal.reason === "receipt") {
      throw new DomainError("conflict", "A request with this Idempotency-Key has just been answered", { cause: error })
    }
    throw error
  }
}

/** Nothing changed; but a request with a key is remembered all the same. */
export async function commitNothing(ctx: Ctx, permission: Permission, answer: Work["answer"]): Promise<void> {
  if (ctx.idempotency) await commit(ctx, { permission, at: ctx.now(), rows: [], changes: [], answer })
}

const races = 3

/**
 * Loads, decides and commits in `attempt`; again when another writer came in between. Loading then tells what they
 * left: a caller who insisted on a revision learns that it is stale, everybody else's change is applied to it.
 */
export async function untilUncontested<T>(attempt: () => Promise<T>): Promise<T> {
  for (let race = 1; ; race += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!wasOutrun(error)) throw error
      if (race === races)
        throw new DomainError("conflict", "Others are changing this at the same time", { cause: error })
    }
  }
}

const wasOutrun = (error: unknown) =>
  error instanceof CommitRefused && (error.refusal.reason === "row" || error.refusal.reason === "revision")

type View = Record<string, unknown>

// `revision` and the time stand on the event itself.
const untold = new Set(["revision", "updatedAt"])

/** The fields in which two views of a row differ. */
export function difference(before: View, after: View): { before: View; after: View } {
  const changed = Object.keys(after).filter(
    (name) => !untold.has(name) && JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
  const pick = (view: View) => Object.fromEntries(changed.map((name) => [name, view[name]]))
  return { before: pick(before), after: pick(after) }
}

/** The log after `after`, oldest first. `next` is the last number examined. */
export async function listEvents(
  ctx: Ctx,
  { after, limit }: { after: number; limit: number },
): Promise<{ data: EventView[]; next: number }> {
  permit(ctx, "event:read")
  const { sql: db, tables } = ctx.db
  const { events } = tables
  const [rows] = await ctx.db.read(
    db
      .select()
      .from(events)
      .where(and(eq(events.workspaceId, ctx.workspaceId), gt(events.seq, after)))
      .orderBy(asc(events.seq))
      .limit(limit),
  )
  return { data: rows.map(eventView), next: rows.at(-1)?.seq ?? after }
}

function eventView(row: Row<"events">): EventView {
  const { workspaceId: _workspace, commitId: _commit, at, ...told } = row
  return { ...told, at: rfc3339(at) }
}
