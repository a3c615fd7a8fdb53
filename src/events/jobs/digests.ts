import { asc, gt } from "drizzle-orm"
import { forEachAtOnce } from "../../lib/parallel.ts"
import { type Job, type JobCtx, lateness } from "./job.ts"

/** How many people a run looks at. */
export const window = 1_000
/** How many of their objects it asks. Each is a billed call, and nearly always in vain: an alarm was there before. */
export const askedAtMost = 20
const atOnce = 10

/**
 * Asks the objects of those whose mail is gathered whether any of it should be out by now. Each sends its digests by an
 * alarm of its own; this one finds whom an alarm has failed.
 */
export const digests: Job = {
  name: "digests",
  about: "Sends the digests that should have been sent",
  async run(ctx, cursor) {
    const people = await lookAt(ctx, cursor)
    const gathering = people.filter(({ settings, verifiedAt }) => isGathered(settings) && verifiedAt !== null)
    const asked = gathering.slice(0, askedAtMost)
    const now = ctx.now()
    const due: number[] = []
    const errors = await forEachAtOnce(asked, atOnce, async ({ id }) => {
      const at = await ctx.inboxes.sendOwedMail(id)
      if (at !== null) due.push(at)
    })
    const isCut = asked.length < gathering.length
    const last = isCut ? asked.at(-1) : people.length === window ? people.at(-1) : undefined
    return {
      cursor: last?.id ?? null,
      examined: people.length,
      done: due.length,
      lagMs: lateness(now, due),
      ...(errors.length > 0 && { error: errors[0] }),
    }
  },
}

const isGathered = ({ mail }: Record<string, unknown>) => mail === "hourly" || mail === "daily"

async function lookAt({ db }: JobCtx, cursor: string | null) {
  const { users } = db.tables
  const [rows] = await db.read(
    db.sql
      .select({ id: users.id, settings: users.settings, verifiedAt: users.emailVerifiedAt })
      .from(users)
      .where(cursor === null ? undefined : gt(users.id, cursor))
      .orderBy(asc(users.id))
      .limit(window),
  )
  return rows
}
