import type { LogEntry } from "../db/commit.ts"
import { minute, second } from "../lib/time.ts"

/** How often an entry may fail a reader before it is parked. */
export const triesPerEntry = 5
/** How many entries are read from the log at once. */
export const batchSize = 100
/** How many entries that were told wait in memory; beyond that they are read from the log again. */
const bufferedAtMost = 500

/** Where a reader is. `failing`: the entry after `seq` that has failed so far, and when it is tried again. */
export type LaneState = { seq: number; failing: { times: number; retryAt: number } | null }

type Options = {
  state: LaneState
  /** Hands entries to the reader. Throws what the reader throws. */
  read: (entries: readonly LogEntry[]) => Promise<void>
  /** The entries after a number, oldest first, at most `limit`. */
  fetch: (after: number, limit: number) => Promise<LogEntry[]>
  /** Told of an entry that was given up. */
  park: (seq: number, error: unknown) => void
  /** Whether it is not the entry that is at fault, but what the reader works with. */
  isOutage: (error: unknown) => boolean
  now: () => number
}

const backoff = (times: number) => Math.min(second * 2 ** (times - 1), minute)

/**
 * One reader's way through a workspace's log: in order, each entry at least once. What was told out of turn is read from
 * the log; an entry that fails the reader five times is parked, and the reader goes on. An outage parks nothing.
 */
export class Lane {
  state: LaneState
  readonly #options: Options
  #head: number
  #told: LogEntry[] = []
  /** The last of the entries that are with the reader right now. */
  #handed = 0
  #running: Promise<void> | null = null

  constructor(options: Options) {
    this.#options = options
    this.state = options.state
    this.#head = options.state.seq
  }

  get isBehind(): boolean {
    return this.state.seq < this.#head
  }

  /** When to come back; null for a reader that has read everything, or is at it. */
  get retryAt(): number | null {
    return this.isBehind && !this.#running ? (this.state.failing?.retryAt ?? this.#options.now()) : null
  }

  /**
   * Tells that the log goes on to `head`; `entries`, when they are known, are in order and may have others between them.
   * What follows without a gap is taken; the rest is read from the log.
   */
  offer(head: number, entries: readonly LogEntry[] | null): void {
    this.#head = Math.max(this.#head, head)
    for (const entry of entries ?? []) {
      const last = this.#told.at(-1)?.seq ?? Math.max(this.state.seq, this.#handed)
      if (entry.seq <= last) continue
      if (entry.seq !== last + 1 || this.#told.length >= bufferedAtMost) return
      this.#told.push(entry)
    }
  }

  /** Reads on to the end of what is known of the log, or to where it fails. Never throws. */
  run(): Promise<void> {
    this.#running ??= this.#readOn().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async #readOn(): Promise<void> {
    const { now, fetch } = this.#options
    while (this.isBehind && (this.state.failing?.retryAt ?? 0) <= now()) {
      try {
        // One that cannot even be read must not take its neighbours with it.
        const limit = this.state.failing ? 1 : batchSize
        const isNext = this.#told[0]?.seq === this.state.seq + 1
        const entries = isNext ? this.#told : await fetch(this.state.seq, limit)
        this.#told = []
        // The log ends before what was told, as after a restore of the database: there is nothing to wait for.
        if (entries.length === 0) this.#head = this.state.seq
        else await this.#feed(entries)
      } catch (error) {
        this.#failed(error)
      }
    }
  }

  /** All at once; where that fails, one by one, so that only what fails is held against. */
  async #feed(entries: readonly LogEntry[]): Promise<void> {
    const { read, isOutage } = this.#options
    this.#handed = entries.at(-1)?.seq ?? 0
    try {
      await read(entries)
      this.#moveTo(entries.at(-1)?.seq ?? this.state.seq)
    } catch (error) {
      if (entries.length === 1 || isOutage(error)) throw error
      for (const entry of entries) {
        await read([entry])
        this.#moveTo(entry.seq)
      }
    } finally {
      this.#handed = 0
    }
  }

  #moveTo(seq: number): void {
    this.state = { seq, failing: null }
  }

  #failed(error: unknown): void {
    const { isOutage, now, park } = this.#options
    const times = (this.state.failing?.times ?? 0) + 1
    if (isOutage(error)) {
      // Not counted: whatever is down will be up again, and then the entry is read.
      const counted = this.state.failing?.times ?? 0
      this.state = { ...this.state, failing: { times: counted, retryAt: now() + 5 * second } }
    } else if (times < triesPerEntry) {
      this.state = { ...this.state, failing: { times, retryAt: now() + backoff(times) } }
    } else {
      park(this.state.seq + 1, error)
      this.#moveTo(this.state.seq + 1)
    }
  }
}
