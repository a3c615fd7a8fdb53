import type { Context } from "hono"
import type { Landing } from "../cache/flights.ts"
import { isBearable, isFresh, type Known, type Rev, trusted } from "../cache/rev.ts"
import type { Viewer } from "../cache/revs.ts"
import { bookmarkForms } from "../db/engine.ts"
import { addressOf, show } from "../http/conditional.ts"
import type { AppEnv, Cached } from "../http/context.ts"
import { second } from "../lib/time.ts"
import { logFailure } from "../observability/log.ts"
import { bookmarkIn, tellBookmark } from "./keep-bookmark.ts"

/** A read, and what this colo knows of whoever asks. */
export type Question = {
  viewer: Viewer
  /** Who asks for what: everything that an answer depends on, but for how far the log is. */
  asked: string
  known: Known
  /** How far this viewer has seen the log, if it is good enough for this caller. */
  rev: Rev | null
  /** When it began: before anything was looked at. */
  at: number
}

export async function questionOf(c: Context<AppEnv>): Promise<Question> {
  const { ctx, instance } = c.var
  const { workspaceId, actor } = ctx
  const { userId, role, apiKey } = actor
  const at = instance.now()
  // What an earlier release has kept may look different.
  const asked = [instance.release, workspaceId, userId, role, apiKey?.id ?? "-", addressOf(c)].join(" ")
  const viewer = { workspaceId, userId }
  const known = await instance.revs.look(viewer)
  return { viewer, asked, known, rev: trustedFor(c, known), at }
}

/** A rev that may be trusted, and that reaches as far as the caller says to have seen. */
function trustedFor(c: Context<AppEnv>, known: Known): Rev | null {
  const rev = trusted(known)
  const wanted = bookmarkIn(c)
  // One from before the instance was moved to another database says nothing here.
  if (!rev || wanted === null || !bookmarkForms[c.var.db.name].test(wanted)) return rev
  return rev.bookmark !== null && rev.bookmark >= wanted ? rev : null
}

export const keyOf = ({ seq }: Rev, { asked }: Question) => `${seq} ${asked}`

/** What this isolate has told already, or what is just being asked for somebody else who wants the same. */
export async function answerKnown(c: Context<AppEnv>, question: Question): Promise<Response | null> {
  const { responses, flights, now } = c.var.instance
  const { rev, known, asked } = question
  if (rev && isFresh(rev, now())) {
    const shown = responses.find(keyOf(rev, question))
    if (shown) return again(c, { shown, rev }, { how: "HIT", tier: "isolate" })
  }
  if (!known.mark) return null
  const landing = await flights.join(asked, known.mark.settledAt)
  if (!landing || !trustedFor(c, { ...known, rev: landing.rev })) return null
  return again(c, landing, { how: "HIT", tier: "flight" })
}

/** Instead of a refusal: what it was a short while ago, as far as this viewer has seen. */
export function answerStale(c: Context<AppEnv>, question: Question): void {
  const { instance, requestId } = c.var
  const { rev } = question
  if (!rev || !isBearable(rev, instance.now())) return
  const shown = instance.responses.find(keyOf(rev, question))
  if (!shown) return
  logFailure(requestId, "a read, which was answered with what was kept", c.error)
  c.error = undefined
  c.header("retry-after", undefined)
  c.res = again(c, { shown, rev }, { how: "STALE", tier: "isolate" })
}

function again(c: Context<AppEnv>, { shown, rev }: Landing, cached: Cached): Response {
  tell(c, cached, c.var.instance.now() - rev.at)
  tellBookmark(c, rev.bookmark)
  return show(c, shown)
}

/** `ageMs`: since when it is known to have been right. */
export function tell(c: Context<AppEnv>, cached: Cached, ageMs = 0): void {
  c.set("cache", cached)
  c.header("x-cache", cached.how)
  c.header("age", String(Math.max(Math.floor(ageMs / second), 0)))
}
