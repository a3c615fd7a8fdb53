import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { Shown } from "./responses.ts"
import type { Rev } from "./rev.ts"

/** What a query brought, for those who wanted the same. */
export type Landing = { shown: Shown; rev: Rev }

type Flight = { at: number; landing: Promise<Landing | null> }

/** Ends a flight: with what it brought, or with nothing. */
export type Land = (landing: Landing | null) => void

// The request that flies may be given up by its client, and then nobody lands. Others do not wait for it long.
const patienceMs = second

/** The queries that are under way in this isolate, so that who wants the same waits for them instead of asking again. */
export class Flights {
  readonly #underway = new Map<string, Flight>()

  /**
   * What somebody else's query for the same brings, if it began at `since` or after. Null when there is none, or it
   * brings nothing in time.
   */
  async join(key: string, since: number): Promise<Landing | null> {
    const flight = this.#underway.get(key)
    if (!flight || flight.at < since) return null
    return within(patienceMs, flight.landing).catch(() => {
      this.#end(key, flight)
      return null
    })
  }

  /** Announces a query that began `at`. */
  start(key: string, at: number): Land {
    const { promise, resolve } = Promise.withResolvers<Landing | null>()
    const flight = { at, landing: promise }
    this.#underway.set(key, flight)
    return (landing) => {
      this.#end(key, flight)
      resolve(landing)
    }
  }

  #end(key: string, flight: Flight): void {
    if (this.#underway.get(key) === flight) this.#underway.delete(key)
  }
}
