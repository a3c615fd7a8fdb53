import { createMiddleware } from "hono/factory"
import { markOf } from "../cache/rev.ts"
import type { Landed } from "../db/db.ts"
import { isRead } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"

/**
 * Lets whoever has written see it: before the answer their colo is told how far the log is now. Whoever was refused, or
 * had nothing to change, may have been shown something newer than they have read, so what they have read is forgotten.
 */
export const markWrites = () =>
  createMiddleware<AppEnv>(async function markWrites(c, next) {
    await next()
    if (isRead(c)) return
    const { instance, db, later } = c.var
    const { ctx } = c.var as { ctx?: AppEnv["Variables"]["ctx"] }
    const { revs, now } = instance
    const marks = lastOfEach(db.landed).map(({ workspaceId, actorId, seq }) =>
      revs.mark({ workspaceId, userId: actorId }, markOf(seq, now()), later),
    )
    const isUnknown = ctx && db.meter.trips > 0 && !db.landed.some((landed) => isOf(landed, ctx))
    if (isUnknown) marks.push(revs.forget({ workspaceId: ctx.workspaceId, userId: ctx.actor.userId }))
    await Promise.all(marks)
  })

const isOf = ({ workspaceId, actorId }: Landed, ctx: AppEnv["Variables"]["ctx"]) =>
  workspaceId === ctx.workspaceId && actorId === ctx.actor.userId

const viewerOf = ({ workspaceId, actorId }: Landed): string => `${workspaceId} ${actorId}`

/** Commits of one request come one after the other. */
const lastOfEach = (landed: readonly Landed[]): Landed[] => [
  ...new Map(landed.map((each) => [viewerOf(each), each])).values(),
]
