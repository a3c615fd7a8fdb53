import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { Engine, Query, Result, Terms } from "./engine.ts"
import { classify } from "./errors.ts"
import { postgresDialect } from "./postgres-dialect.ts"
import {
  answersOf,
  begin,
  commit,
  message,
  resultsOf,
  transact,
  untilDeadline,
  type Wire,
} from "./postgres-transaction.ts"

// A bookmark is a position in the write-ahead log, which a primary and its replicas have in common: `X/Y` as 16 hex
// digits, so that later ones are greater, as text. Positions of a primary that was restored may go back; a bookmark from
// then is from the future, which no replica has reached and the primary does not mind.

const bookmarkOf = (position: string) =>
  position
    .split("/")
    .map((half) => half.toLowerCase().padStart(8, "0"))
    .join("")

const positionOf = (bookmark: string) => `${bookmark.slice(0, 8)}/${bookmark.slice(8)}`

const justAfter = (bookmark: string) => (BigInt(`0x${bookmark}`) + 1n).toString(16).padStart(16, "0")

const later = (one: string, other: string) => (one > other ? one : other)

/** `bookmark`: what whoever was shown these results must be shown at least from then on; null: nobody can tell. */
type Told = { results: Result[]; bookmark: string | null }

// Where the log ends (PostgreSQL, "Backup Control Functions"): whatever is committed is before it. The end of what has
// been written, pg_current_wal_lsn, may be before: with synchronous_commit = off a commit does not wait for that. At the
// end of a page it is one header too far, which costs those who bring it a trip until there is another record.
const end = message("select case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end")

type Row = [string | null, string | null]

const bookmarkIn = ([row]: readonly object[]) => {
  const [position] = (row ?? []) as Row | []
  return position ? bookmarkOf(position) : null
}

/** The first query of a repeatable transaction takes its snapshot, and then runs: the end is after whatever that shows. */
async function readPrimary(wire: Wire, queries: readonly Query[], terms: Terms): Promise<Told> {
  const [first, ...results] = await transact(wire, [end, ...queries], terms)
  return { results, bookmark: bookmarkIn(first?.rows ?? []) }
}

/** Asks for the end after the commit. A server that cannot tell one has committed all the same. */
async function writePrimary(wire: Wire, queries: readonly Query[], terms: Terms): Promise<Told> {
  const settled = await wire.send([begin(terms), ...queries, commit, end], terms.signal)
  const results = resultsOf(answersOf(settled.slice(0, -1)))
  const outcome = settled.at(-1)
  if (outcome?.status === "fulfilled") return { results, bookmark: bookmarkIn(outcome.value.rows) }
  // As if the answer to the commit were lost: whoever must know how far it is asks again.
  if (classify(outcome?.reason).kind === "lost") throw outcome?.reason
  return { results, bookmark: null }
}

const reached = (bookmark: string): Query => ({
  text: "select pg_is_in_recovery() and pg_last_wal_replay_lsn() >= $1::pg_lsn",
  values: [positionOf(bookmark)],
})

// Still a replica, and still in the transaction that was chained: a pooler may have taken the commit for the end of it.
const progress = message(
  `select case when pg_is_in_recovery() and current_setting('transaction_isolation') = 'repeatable read'
     then pg_last_wal_replay_lsn() end, pg_last_wal_receive_lsn()`,
)

/**
 * Asks a replica; null where it has not reached the bookmark. That is looked at in a transaction of its own: in the one of
 * the queries the snapshot would come first, and what the look finds may have been replayed since. The chained one's
 * snapshot is newer than the look, and has all of it; nor can a pooler change servers between the two.
 */
async function readReplica(wire: Wire, queries: readonly Query[], wanted: string, terms: Terms): Promise<Told | null> {
  const chain = message(`commit and chain; ${untilDeadline(terms)}`)
  const messages = [begin(terms), reached(wanted), chain, progress, ...queries, commit]
  const [, look, ...chained] = answersOf(await wire.send(messages, terms.signal))
  const [first, ...results] = resultsOf(chained)
  const [isReached] = (look?.rows[0] ?? []) as [boolean | null] | []
  const [replayed, received] = (first?.rows[0] ?? []) as Row | []
  if (!isReached || !replayed) return null
  // What was replayed is seen a moment before it is counted. So the snapshot may have one record more than is counted
  // after it, and asks for more than that; unless all that was received is counted, and none was on its way.
  const counted = bookmarkOf(replayed)
  return { results, bookmark: replayed === received ? counted : justAfter(counted) }
}

/** How much of the time for an answer a replica gets, so that the primary can still give one. */
const share = 0.4
/** For how long an isolate leaves a replica alone that did not answer: finding that out takes time. */
const restMs = 10 * second

export type Rest = { isOn(): boolean; begin(): void }

export function restFor(now: () => number): Rest {
  let until = Number.NEGATIVE_INFINITY
  return {
    isOn: () => now() < until,
    begin: () => {
      until = now() + restMs
    },
  }
}

type Servers = { primary: Wire; replica: Wire; rest: Rest }

/**
 * Reads that bring a bookmark are asked of the replica, and of the primary at once where it has not reached that or
 * anything goes wrong there. Waiting for it would hold one of the pool's connections for a transaction that may be in
 * vain, where the primary is a round trip away.
 */
export function replicatedEngine({ primary, replica, rest }: Servers, from: string | null): Engine {
  /** What a replica must have reached; null: the primary is asked. */
  let wanted = from
  /** A request that has written, or has been answered by the primary once, stays with it: replicas may lag behind. */
  let isSettled = false
  let last: string | null | undefined

  function tell({ results, bookmark }: Told): Result[] {
    last = last === null || bookmark === null ? null : later(last ?? bookmark, bookmark)
    return results
  }

  async function tryReplica(queries: readonly Query[], bookmark: string, terms: Terms): Promise<Result[] | null> {
    const late = new AbortController()
    const deadlineMs = terms.deadlineMs * share
    const signal = AbortSignal.any([terms.signal, late.signal])
    const asked = readReplica(replica, queries, bookmark, { ...terms, deadlineMs, signal })
    try {
      const told = await within(deadlineMs, asked, () => late.abort())
      if (!told) return null
      if (wanted !== null && told.bookmark !== null) wanted = later(wanted, told.bookmark)
      return tell(told)
    } catch (error) {
      terms.signal.throwIfAborted()
      if (["lost", "overloaded", "timeout"].includes(classify(error).kind)) rest.begin()
      // Or replay was in the way, or has not brought the newest column yet: whether the query is wrong the primary says.
      return null
    }
  }

  return {
    dialect: postgresDialect,
    ready: () => primary.ready(),
    async send(queries, terms) {
      if (terms.mode === "write") isSettled = true
      if (wanted !== null && !isSettled && !rest.isOn()) {
        const results = await tryReplica(queries, wanted, terms)
        if (results) return results
        terms.onTrip?.()
      }
      const askPrimary = terms.mode === "write" ? writePrimary : readPrimary
      const told = await askPrimary(primary, queries, terms)
      isSettled = true
      return tell(told)
    },
    reach(bookmark) {
      wanted = bookmark && wanted ? later(wanted, bookmark) : bookmark
    },
    bookmark: () => last ?? null,
    async close() {
      await Promise.all([primary.close(), replica.close()])
    },
  }
}
