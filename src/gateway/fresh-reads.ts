import type { Context, Next } from "hono"
import { createMiddleware } from "hono/factory"
import { matchedRoutes } from "hono/route"
import type { Landing } from "../cache/flights.ts"
import { isBearable, isFresh, type Known, type Lesson, learn, type Rev, trusted } from "../cache/rev.ts"
import type { Viewer } from "../cache/revs.ts"
import { isRead, show } from "../http/conditional.ts"
import type { AppEnv, Cached } from "../http/context.ts"
import { operationOf } from "../http/contract.ts"
import { refusalOf } from "../http/problem.ts"
import { second } from "../lib/time.ts"
import { logFailure } from "../observability/log.ts"
import { asksPrimary, bookmarkIn, tellBookmark } from "./keep-bookmark.ts"

/**
 * Gives again what this colo has told the same viewer, as long as it knows that nothing has happened since; else asks
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
    if (isDown(c)) await answerStale(c, question)
  })

const isCached = (c: Context<AppEnv>) => matchedRoutes(c).some(({ handler }) => operationOf(handler)?.isCached)

type Question = {
  viewer: Viewer
  /** Who asks for what: everything that an answer depends on, but for how far the log is. */
  asked: string
  known: Known
  /** How far this viewer has seen the log, if it is good enough for this caller. */
  rev: Rev | null
}

async function questionOf(c: Context<AppEnv>): Promise<Question> {
  const { workspaceId, actor } = c.var.ctx
  const { userId, role, apiKey } = actor
  const url = new URL(c.req.url)
  url.searchParams.sort()
  const asked = [workspaceId, userId, role, apiKey?.id ?? "-", `${url.pathname}?${url.searchParams}`].join(" ")
  const viewer = { workspaceId, userId }
  const known = await c.var.instance.revs.look(viewer)
  return { viewer, asked, known, rev: trustedFor(c, known) }
}

/** A rev that may be trusted, and that reaches as far as the caller says to have seen. */
function trustedFor(c: Context, known: Known): Rev | null {
  const rev = trusted(known)
  const wanted = bookmarkIn(c)
  if (!rev || wanted === null) return rev
  return rev.bookmark !== null && rev.bookmark >= wanted ? rev : null
}

const keyOf = ({ seq }: Rev, { asked }: Question) => `body ${seq} ${asked}`

/** What this colo has told already, or what is just being asked for somebody else who wants the same. */
async function answerKnown(c: Context<AppEnv>, question: Question): Promise<Response | null> {
  const { responses, flights, now } = c.var.instance
  const { rev, known, asked } = question
  if (rev && isFresh(rev, now())) {
    const kept = await responses.find(keyOf(rev, question))
    if (kept) return again(c, { shown: kept.shown, rev }, { how: "HIT", tier: kept.tier })
  }
  const landing = await flights.join(asked)
  if (!landing || !trustedFor(c, { ...known, rev: landing.rev })) return null
  return again(c, landing, { how: "HIT", tier: "flight" })
}

async function askDatabase(c: Context<AppEnv>, question: Question, next: Next): Promise<void> {
  const { instance, db, later } = c.var
  const { responses, flights, now } = instance
  tell(c, { how: "MISS" })
  // Whoever brings a bookmark is served no worse for it: what this colo knows of them may be newer.
  db.reach(trusted(question.known)?.bookmark ?? null)
  const land = flights.start(question.asked)
  let found: Landing | null = null
  try {
    const at = now()
    await next()
    found = whatWasFound(c, at)
    if (!found) return
    const { shown, rev } = found
    // Before anybody is shown it, those who wait for the same among them.
    await writeDown(c, question.viewer, learn(question.known, rev, now()))
    later(() => responses.keep(keyOf(rev, question), shown))
  } finally {
    land(found)
  }
}

/** What the cache knows decides nothing, but it must not tell anything older from now on. */
async function askPrimary(c: Context<AppEnv>, next: Next): Promise<void> {
  const { instance, db, ctx } = c.var
  const viewer = { workspaceId: ctx.workspaceId, userId: ctx.actor.userId }
  tell(c, { how: "BYPASS" })
  db.reach(null)
  const looking = instance.revs.look(viewer)
  const at = instance.now()
  await next()
  const found = whatWasFound(c, at)
  if (found) await writeDown(c, viewer, learn(await looking, found.rev, instance.now()))
}

async function writeDown(c: Context<AppEnv>, viewer: Viewer, lesson: Lesson | null): Promise<void> {
  const { instance, later } = c.var
  if (!lesson) return
  if ("mark" in lesson) await instance.revs.mark(viewer, lesson.mark)
  else later(() => instance.revs.renew(viewer, lesson.rev))
}

function whatWasFound(c: Context<AppEnv>, at: number): Landing | null {
  const { shown, db } = c.var
  const seq = db.seen()
  if (c.error || !shown || seq === null) return null
  return { shown, rev: { seq, at, bookmark: db.bookmark() } }
}

const isDown = (c: Context<AppEnv>) => c.error !== undefined && refusalOf(c.error)?.code === "unavailable"

/** Instead of a refusal: what it was a short while ago, as far as this viewer has seen. */
async function answerStale(c: Context<AppEnv>, question: Question): Promise<void> {
  const { instance, requestId } = c.var
  const { rev } = question
  if (!rev || !isBearable(rev, instance.now())) return
  const kept = await instance.responses.find(keyOf(rev, question))
  if (!kept) return
  logFailure(requestId, "a read, which was answered with what was kept", c.error)
  c.error = undefined
  c.header("retry-after", undefined)
  c.res = again(c, { shown: kept.shown, rev }, { how: "STALE", tier: kept.tier })
}

function again(c: Context<AppEnv>, { shown, rev }: Landing, cached: Cached): Response {
  tell(c, cached, c.var.instance.now() - rev.at)
  tellBookmark(c, rev.bookmark)
  return show(c, shown)
}

/** `ageMs`: since when it is known to have been right. */
function tell(c: Context<AppEnv>, cached: Cached, ageMs = 0): void {
  c.set("cache", cached)
  c.header("x-cache", cached.how)
  c.header("age", String(Math.max(Math.floor(ageMs / second), 0)))
}
