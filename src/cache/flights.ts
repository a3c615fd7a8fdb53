import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { Shown } from "./responses.ts"
import type { Rev } from "./rev.ts"

/** What a query brought, for those who wanted the same. */
export type Landing = { shown: Shown; rev: Rev }

/** Ends a flight: with what it brought, or with nothing. */
export type Land = (landing: Landing | null) => void

// The request that flies may be given up by its client, and then nobody lands. Others do not wait for it long.
const patienceMs = second

/** The queries that are under way in this isolate, so that who wants the same waits for them instead of asking again. */
export class Flights {
  readonly #underway = new Map<string, Promise<Landing | null>>()

  /** What somebody else's query for the same brings; null when there is none, or it brings nothing in time. */
  async join(key: string): Promise<Landing | null> {
    const flight = this.#underway.get(key)
    return flight ? within(patienceMs, flight).catch(() => null) : null
  }

  /** Announces a query. */
  start(key: string): Land {
    const { promise, resolve } = Promise.withResolvers<Landing | null>()
    this.#underway.set(key, promise)
    return (landing) => {
      if (this.#underway.get(key) === promise) this.#underway.delete(key)
      resolve(landing)
    }
  }
}
