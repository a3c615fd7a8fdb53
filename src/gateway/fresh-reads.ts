import type { Context, Next } from "hono"
import { createMiddleware } from "hono/factory"
import { matchedRoutes } from "hono/route"
import type { Landing } from "../cache/flights.ts"
import { type Lesson, learn, type Rev } from "../cache/rev.ts"
import type { Viewer } from "../cache/revs.ts"
import { isRead } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { operationOf } from "../http/contract.ts"
import { refusalOf } from "../http/problem.ts"
import { asksPrimary } from "./keep-bookmark.ts"
import { answerKnown, answerStale, keyOf, type Question, questionOf, tell } from "./known-answers.ts"

/**
 * Gives again what the same viewer was told here, as long as their colo knows that nothing has happened since; else asks
 * the database, near by as far as this viewer has seen it already, and keeps what it says. Where there is no cache,
 * every read asks the primary. `cache/rev.ts` is the argument.
 */
export const freshReads = () =>
  createMiddleware<AppEnv>(async function freshReads(c, next) {
    if (!isRead(c)) return next()
    if (!isCached(c)) {
      tell(c, { how: "BYPASS" })
      return next()
    }
    c.var.db.watch(c.var.ctx.workspaceId)
    if (asksPrimary(c)) return askPrimary(c, next)
    const question = await questionOf(c)
    const known = await answerKnown(c, question)
    if (known) return known
    await askDatabase(c, question, next)
    if (isDown(c)) answerStale(c, question)
  })

const isCached = (c: Context<AppEnv>) => matchedRoutes(c).some(({ handler }) => operationOf(handler)?.isCached)

const isDown = (c: Context<AppEnv>) => c.error !== undefined && refusalOf(c.error)?.code === "unavailable"

async function askDatabase(c: Context<AppEnv>, question: Question, next: Next): Promise<void> {
  const { instance, db } = c.var
  const { viewer, asked, known, rev: reached, at } = question
  tell(c, { how: "MISS" })
  // Not what the caller brings: whoever makes a bookmark up must not be believed by others.
  db.reach(reached?.bookmark ?? null)
  const land = instance.flights.start(asked, at)
  let landing: Landing | null = null
  try {
    await next()
    const rev = whatWasSeen(c, at)
    if (!rev) return
    // Before anybody is shown it, those who wait for the same among them. Who is told that it is gone has seen that.
    await writeDown(c, viewer, learn(known, rev, instance.now()))
    const { shown } = c.var
    if (c.error || !shown) return
    landing = { shown, rev }
    instance.responses.keep(keyOf(rev, question), shown)
  } finally {
    land(landing)
  }
}

/** What the cache knows decides nothing, but it must not tell anything older from now on. */
async function askPrimary(c: Context<AppEnv>, next: Next): Promise<void> {
  const { instance, db, ctx } = c.var
  const viewer = { workspaceId: ctx.workspaceId, userId: ctx.actor.userId }
  tell(c, { how: "BYPASS" })
  db.reach(null)
  const at = instance.now()
  const looking = instance.revs.look(viewer)
  await next()
  const rev = whatWasSeen(c, at)
  if (rev) await writeDown(c, viewer, learn(await looking, rev, instance.now()))
}

function whatWasSeen(c: Context<AppEnv>, at: number): Rev | null {
  const seen = c.var.db.seen()
  return seen && { ...seen, at }
}

async function writeDown(c: Context<AppEnv>, viewer: Viewer, lesson: Lesson | null): Promise<void> {
  const { instance, later } = c.var
  if (!lesson) return
  if ("mark" in lesson) await instance.revs.mark(viewer, lesson.mark, later)
  else later(() => instance.revs.renew(viewer, lesson.rev))
}
