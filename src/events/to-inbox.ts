import type { LogEntry } from "../db/commit.ts"
import { newsIn } from "../domain/news.ts"
import type { Departure } from "../domain/notifications.ts"
import { watchedIn } from "../domain/watching.ts"
import type { Bindings } from "../env.ts"
import { DeadlineExceeded, within } from "../lib/deadline.ts"
import { forEachAtOnce } from "../lib/parallel.ts"
import { second } from "../lib/time.ts"
import { isOutage } from "./outage.ts"
import type { Reader, ReaderCtx } from "./reader.ts"

/** How many people are told at the same time. */
const atOnce = 6
/** A hub that takes longer is out of order, which is not the entry's fault. */
const deadline = 10 * second
/** How many entries are looked at together: what is known of their tasks must fit into memory. */
const entriesTogether = 100
/** How many people one go tells: an invocation may make no more calls than the platform allows. */
const peoplePerGo = 800

/** Some were told and others are left: no entry's fault, so the lane comes again as after an outage. */
export class MoreToTell extends DeadlineExceeded {
  override name = "MoreToTell"
}

/**
 * How far people have been told, so that the next go begins with those who are left. In memory only: who is told again
 * after a restart has it already.
 */
class Progress {
  /** Everybody was told up to here. */
  #done = 0
  /** Some were told up to here. */
  #begun = 0
  readonly #told = new Map<string, number>()

  /** What is left, in slices that end where one ended before. */
  slicesOf(entries: readonly LogEntry[]): LogEntry[][] {
    const [again, fresh] = [
      entries.filter(({ seq }) => seq > this.#done && seq <= this.#begun),
      entries.filter(({ seq }) => seq > this.#done && seq > this.#begun),
    ]
    return [again, fresh].flatMap((part) =>
      Array.from({ length: Math.ceil(part.length / entriesTogether) }, (_, n) =>
        part.slice(n * entriesTogether, (n + 1) * entriesTogether),
      ),
    )
  }

  isTold(userId: string, seq: number): boolean {
    return (this.#told.get(userId) ?? 0) >= seq
  }

  tell(userId: string, seq: number): void {
    this.#begun = Math.max(this.#begun, seq)
    this.#told.set(userId, seq)
  }

  finish(seq: number): void {
    this.#done = seq
    if (seq >= this.#begun) this.#told.clear()
  }
}

/** Who has left the workspace, by choice or not, and when the last time. */
const departuresIn = (entries: readonly LogEntry[]): Map<string, Departure> =>
  new Map(
    entries.flatMap(({ type, subjectId, seq, at }) =>
      type === "member.removed" ? [[subjectId, { seq, at }] as const] : [],
    ),
  )

/**
 * Tells people what concerns them, and gives their hubs to watch what time will tell. The hubs know what they have, so
 * that nobody is told twice; and of a workspace that somebody has left they forget what they were told.
 */
export function inboxReader(
  { USER_HUB }: Pick<Bindings, "USER_HUB">,
  { perGo = peoplePerGo }: { perGo?: number } = {},
): Reader {
  const progress = new Progress()

  /** Tells as many as `room` allows of these entries; returns how many that were. */
  async function tell({ db, workspaceId }: ReaderCtx, entries: readonly LogEntry[], room: number): Promise<number> {
    const last = entries.at(-1)?.seq ?? 0
    const [news, watched] = await Promise.all([newsIn(db, workspaceId, entries), watchedIn(db, workspaceId, entries)])
    const departures = departuresIn(entries)
    const concerned = new Set([...departures.keys(), ...news.userIds, ...watched.keys()])
    const left = [...concerned].filter((userId) => !progress.isTold(userId, last))
    const people = left.slice(0, room)
    const newsFor = people.length > 0 ? await news.lookUp(people) : () => []
    let count = 0
    const errors = await forEachAtOnce(people, atOnce, async (userId) => {
      const hub = USER_HUB.getByName(userId)
      const departure = departures.get(userId)
      if (departure) await within(deadline, hub.leaveWorkspace(workspaceId, departure))
      // Of somebody who has come back, what was before is no news any more.
      const theirs = newsFor(userId).filter(({ seq }) => seq > (departure?.seq ?? 0))
      const watches = watched.get(userId) ?? []
      if (theirs.length + watches.length > 0) await within(deadline, hub.notify(theirs, watches))
      progress.tell(userId, last)
      count += 1
    })
    // One who is out of order keeps another's entry from being given up.
    const error = errors.find(isOutage) ?? errors[0]
    if (error !== undefined) throw count > 0 ? new MoreToTell("Not everybody could be told", { cause: error }) : error
    if (people.length < left.length) throw new MoreToTell(`${left.length - people.length} are left to be told`)
    progress.finish(last)
    return count
  }

  return {
    name: "inbox",
    async read(ctx, entries) {
      let room = perGo
      for (const slice of progress.slicesOf(entries)) room -= await tell(ctx, slice, room)
    },
  }
}
