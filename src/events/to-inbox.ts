import { newsIn } from "../domain/news.ts"
import { watchedIn } from "../domain/watching.ts"
import type { Bindings } from "../env.ts"
import { within } from "../lib/deadline.ts"
import { forEachAtOnce } from "../lib/parallel.ts"
import { second } from "../lib/time.ts"
import type { Reader } from "./reader.ts"

/** How many people are told at the same time. */
const atOnce = 6
/** A hub that takes longer is out of order, which is not the entry's fault. */
const deadline = 10 * second

/**
 * Tells people what concerns them, and gives their hubs to watch what time will tell. The hubs know what they have, so
 * that nobody is told twice.
 */
export const inboxReader = ({ USER_HUB }: Pick<Bindings, "USER_HUB">): Reader => ({
  name: "inbox",
  async read({ db, workspaceId }, entries) {
    const [news, watched] = await Promise.all([newsIn(db, workspaceId, entries), watchedIn(db, workspaceId, entries)])
    const newsFor = Map.groupBy(news, ({ userId }) => userId)
    const people = [...new Set([...newsFor.keys(), ...watched.keys()])]
    const [error] = await forEachAtOnce(people, atOnce, (userId) => {
      const theirs = (newsFor.get(userId) ?? []).map((one) => one.news)
      return within(deadline, USER_HUB.getByName(userId).notify(theirs, watched.get(userId) ?? []))
    })
    if (error !== undefined) throw error
  },
})
