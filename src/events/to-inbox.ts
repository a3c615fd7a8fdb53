import { newsIn } from "../domain/news.ts"
import { watchedIn } from "../domain/watching.ts"
import type { Bindings } from "../env.ts"
import { within } from "../lib/deadline.ts"
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
    const waiting = [...new Set([...newsFor.keys(), ...watched.keys()])]
    const tellNext = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const theirs = (newsFor.get(next) ?? []).map((one) => one.news)
        await within(deadline, USER_HUB.getByName(next).notify(theirs, watched.get(next) ?? []))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, tellNext))
  },
})
