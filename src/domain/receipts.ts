import { and, asc, between, eq, gte } from "drizzle-orm"
import type { Answer } from "../db/commit.ts"
import { receiptLife } from "../db/commit.ts"
import type { Ctx, Idempotency } from "./ctx.ts"
import { DomainError, invalid } from "./errors.ts"

/** The answer that a request with this key was given, ready to be given again. */
export type Replay = { kind: Exclude<Answer, "secret" | "moved" | "commented">; body: Record<string, unknown> | null }

/**
 * Null when the key has not been used. Throws `invalid_input` when it was used for another request, and `already_done`
 * when what it answered held a secret, which nobody keeps.
 */
export async function findReplay(ctx: Ctx, { key, fingerprint }: Idempotency): Promise<Replay | null> {
  const { sql: db, tables } = ctx.db
  const { receipts, events } = tables
  const [[receipt]] = await ctx.db.read(
    db
      .select()
      .from(receipts)
      .where(
        and(
          eq(receipts.workspaceId, ctx.workspaceId),
          eq(receipts.actorId, ctx.actor.userId),
          eq(receipts.key, key),
          gte(receipts.createdAt, ctx.now() - receiptLife),
        ),
      ),
  )
  if (!receipt) return null
  if (receipt.fingerprint !== fingerprint) {
    throw invalid({ pointer: "Idempotency-Key", detail: "was used for another request" })
  }
  const kind = receipt.answer
  if (kind === "secret") throw alreadyDone(String(receipt.body?.["id"]))
  if (kind === "made" || kind === "changed" || kind === "empty") return { kind, body: receipt.body }

  if (kind === "commented") {
    const { comments } = tables
    const isThis = and(eq(comments.workspaceId, ctx.workspaceId), eq(comments.id, String(receipt.body?.["id"])))
    const [[comment]] = await ctx.db.read(db.select({ body: comments.body }).from(comments).where(isThis))
    // With the text as it stands: what somebody took back is told nobody again.
    return { kind: "changed", body: { ...receipt.body, body: comment?.body ?? "" } }
  }

  // What was created is told by its events: the log has it anyway, so the receipt does not keep it a second time.
  const [created] = await ctx.db.read(
    db
      .select({ key: events.subjectKey, data: events.data })
      .from(events)
      .where(and(eq(events.workspaceId, ctx.workspaceId), between(events.seq, receipt.firstSeq, receipt.lastSeq)))
      .orderBy(asc(events.seq)),
  )
  // What was moved got its key in the commit, as what was created did.
  if (kind === "moved") return { kind: "changed", body: { ...receipt.body, key: created[0]?.key } }
  const views = created.map(({ key: subjectKey, data }) => {
    const { id, ...rest } = data.after ?? {}
    return { id, ...(subjectKey !== null && { key: subjectKey }), ...rest }
  })
  return { kind, body: kind === "created" ? (views[0] ?? null) : { data: views } }
}

const alreadyDone = (id: string) =>
  new DomainError("already_done", `This has been done: it made ${id}. The answer held a secret, which is shown once`, {
    errors: [{ pointer: "Idempotency-Key", detail: `was used to make ${id}` }],
  })
