import { type NewsFor, newsIn } from "../domain/news.ts"
import type { Bindings } from "../env.ts"
import type { Reader } from "./reader.ts"

/** How many people are told at the same time. */
const atOnce = 6

/** Tells people what concerns them. Their hubs know what they have been told, so that nobody is told twice. */
export const inboxReader = ({ USER_HUB }: Pick<Bindings, "USER_HUB">): Reader => ({
  name: "inbox",
  async read({ db, workspaceId }, entries) {
    const news = Map.groupBy(await newsIn(db, workspaceId, entries), ({ userId }) => userId)
    const waiting = [...news]
    const tellNext = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const [userId, theirs] = next
        await USER_HUB.getByName(userId).notify(theirs.map((one) => newsOf(workspaceId, one)))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, tellNext))
  },
})

const newsOf = (workspaceId: string, { userId: _theirs, ...news }: NewsFor) => ({ ...news, workspaceId })
