import { and, asc, lt } from "drizzle-orm"
import { receiptLife } from "../../db/commit.ts"
import { type Job, type JobCtx, lateness } from "./job.ts"

/** How many receipts a run looks at. */
export const window = 2_000

type Place = [workspaceId: string, actorId: string, key: string]

/** Deletes the receipts that nobody can ask for any more. An index by their age would cost a billed row each. */
export const expiredReceipts: Job = {
  name: "expired-receipts",
  about: "Deletes the receipts of Idempotency-Keys after their 7 days",
  async run(ctx, cursor) {
    const { db, now } = ctx
    const { receipts } = db.tables
    const from = cursor === null ? null : (JSON.parse(cursor) as Place)
    const rows = await lookAt(ctx, from)
    const expired = rows.filter(({ createdAt }) => createdAt < now() - receiptLife)
    const last = rows.at(-1)
    const to: Place | null = last ? [last.workspaceId, last.actorId, last.key] : null
    let done = 0
    if (to && expired.length > 0) {
      // By their age again: a key that has expired may have been used anew in the meantime.
      const isExpired = lt(receipts.createdAt, now() - receiptLife)
      const [gone] = await db.writeAndTell(
        db.sql
          .delete(receipts)
          .where(and(db.inRange({ columns: keyOf(ctx), from, to }), isExpired))
          .returning({ createdAt: receipts.createdAt }),
      )
      done = gone.length
    }
    return {
      cursor: to && rows.length === window ? JSON.stringify(to) : null,
      examined: rows.length,
      done,
      lagMs: lateness(
        now(),
        expired.map(({ createdAt }) => createdAt + receiptLife),
      ),
    }
  },
}

async function lookAt(ctx: JobCtx, from: Place | null) {
  const { db } = ctx
  const { workspaceId, actorId, key, createdAt } = db.tables.receipts
  const [rows] = await db.read(
    db.sql
      .select({ workspaceId, actorId, key, createdAt })
      .from(db.tables.receipts)
      .where(db.inRange({ columns: keyOf(ctx), from, to: null }))
      .orderBy(asc(workspaceId), asc(actorId), asc(key))
      .limit(window),
  )
  return rows
}

const keyOf = ({ db }: JobCtx) => {
  const { workspaceId, actorId, key } = db.tables.receipts
  return [workspaceId, actorId, key] as const
}
