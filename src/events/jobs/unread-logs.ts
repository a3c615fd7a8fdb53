import { asc, gt, sql } from "drizzle-orm"
import { forEachAtOnce } from "../../lib/parallel.ts"
import { minute } from "../../lib/time.ts"
import { type Job, type JobCtx, lateness } from "./job.ts"

/** How many workspaces a run looks at. */
export const window = 5_000
/** How many hubs a run wakes: each is a call, and a Worker has 1,000 of them. */
export const wokenAtMost = 500
const atOnce = 20

/** A hub tells every half minute how far it has read; only what it should have read long since is looked after. */
export const patience = 2 * minute

/**
 * Wakes the hubs whose workspaces have events that nobody has read: their poke was lost, and their alarm too. By the
 * primary key: an index of what is unread would cost another billed row in every commit.
 */
export const unreadLogs: Job = {
  name: "unread-logs",
  about: "Wakes the hubs of workspaces whose log was not read to its end",
  async run(ctx, cursor) {
    const rows = await lookAt(ctx, cursor)
    const now = ctx.now()
    const unread = rows.filter(({ seq, pumpedSeq, since }) => seq > pumpedSeq && (since ?? 0) <= now - patience)
    const woken = unread.slice(0, wokenAtMost)
    const errors = await forEachAtOnce(woken, atOnce, ({ workspaceId }) => ctx.hubs.catchUp(workspaceId))
    const isCut = woken.length < unread.length
    const last = isCut ? woken.at(-1) : rows.length === window ? rows.at(-1) : undefined
    return {
      cursor: last?.workspaceId ?? null,
      examined: rows.length,
      done: woken.length - errors.length,
      lagMs: lateness(
        now,
        unread.flatMap(({ since }) => since ?? []),
      ),
      ...(errors.length > 0 && { error: errors[0] }),
    }
  },
}

/** A window of workspaces, with the time of the oldest event that was not read. */
async function lookAt({ db }: JobCtx, cursor: string | null) {
  const { events, heads } = db.tables
  // Parts of their own: a column that stands in the selection itself is written without its table.
  const isUnread = sql`${heads.seq} > ${heads.pumpedSeq}`
  const isNext = sql`e.workspace_id = ${heads.workspaceId} and e.seq = ${heads.pumpedSeq} + 1`
  const since = sql<number | null>`case when ${isUnread} then (select e.at from ${events} e where ${isNext}) end`
  const [rows] = await db.read(
    db.sql
      .select({
        workspaceId: heads.workspaceId,
        seq: heads.seq,
        pumpedSeq: heads.pumpedSeq,
        since: since.mapWith(Number).as("since"),
      })
      .from(heads)
      .where(cursor === null ? undefined : gt(heads.workspaceId, cursor))
      .orderBy(asc(heads.workspaceId))
      .limit(window),
  )
  return rows
}
