import { keptLife } from "./rev.ts"
import { inTime, type Store } from "./store.ts"

/** An answer as it goes out: its ETag, where the next page is, and the JSON. */
export type Shown = { etag: string; link: string | null; body: string }

export const tiers = ["isolate", "colo"] as const
export type Tier = (typeof tiers)[number]

/** What was answered to a GET, by who looked, what they asked for and how far the log was. */
export type Responses = {
  find(key: string): Promise<{ shown: Shown; tier: Tier } | null>
  keep(key: string, shown: Shown): Promise<void>
}

/** Looks in the isolate first, then in the colo; what is found there is kept here too. */
export function responsesIn(stores: Record<Tier, Store>): Responses {
  return {
    async find(key) {
      for (const tier of tiers) {
        const asked = stores[tier].get(key)
        const text = await (tier === "colo" ? inTime(asked, null) : asked)
        if (text === null) continue
        if (tier === "colo") await stores.isolate.put(key, text, keptLife)
        return { shown: parse(text), tier }
      }
      return null
    },
    async keep(key, shown) {
      const text = format(shown)
      await inTime(Promise.all(tiers.map((tier) => stores[tier].put(key, text, keptLife))), [])
    },
  }
}

// The JSON is not put into JSON again: it would be escaped on the way in and out.
const format = ({ body, ...head }: Shown) => `${JSON.stringify(head)}\n${body}`

function parse(text: string): Shown {
  const end = text.indexOf("\n")
  return { ...(JSON.parse(text.slice(0, end)) as Omit<Shown, "body">), body: text.slice(end + 1) }
}
