import type { LaneState } from "../events/lane.ts"
import { type ReaderName, readerNames } from "../events/reader.ts"
import { describeError } from "../observability/log.ts"

export type LaneStates = Record<ReaderName, LaneState>

/** What a reader has given up: the entry's number, and why. `at` in epoch milliseconds. */
export type Parked = { reader: ReaderName; seq: number; error: string; at: number }

/** How many parked entries are kept: the newest. */
const parkedAtMost = 1_000

/** What a workspace's hub must not forget: whose it is, how far its readers have come, and what they have given up. */
export class HubState {
  readonly #sql: SqlStorage
  #saved = ""

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  // Only once there is something to store: a hub that was never told of anything, or was told to forget, leaves nothing.
  #make(): void {
    const sql = this.#sql
    sql.exec("create table if not exists hub (id integer primary key, workspace_id text not null, lanes text not null)")
    sql.exec(`create table if not exists parked (
      reader text not null, seq integer not null, error text not null, at integer not null, primary key (reader, seq)
    )`)
  }

  #isThere(): boolean {
    return this.#sql.exec("select 1 from sqlite_master where name = 'hub'").toArray().length > 0
  }

  /** Everything has been deleted. */
  forgotten(): void {
    this.#saved = ""
  }

  /** Null for a hub that has never been told of anything. */
  load(): { workspaceId: string; lanes: LaneStates } | null {
    if (!this.#isThere()) return null
    const [row] = this.#sql
      .exec<{ workspace_id: string; lanes: string }>("select workspace_id, lanes from hub")
      .toArray()
    if (!row) return null
    this.#saved = row.lanes
    return { workspaceId: row.workspace_id, lanes: JSON.parse(row.lanes) as LaneStates }
  }

  /** A row is billed, so only what has changed is written. */
  save(workspaceId: string, lanes: LaneStates): void {
    const text = JSON.stringify(lanes)
    if (text === this.#saved) return
    this.#make()
    this.#sql.exec("insert or replace into hub (id, workspace_id, lanes) values (1, ?, ?)", workspaceId, text)
    this.#saved = text
  }

  park(reader: ReaderName, seq: number, error: unknown, at: number): void {
    const { error: text } = describeError(error)
    this.#make()
    this.#sql.exec("insert or replace into parked (reader, seq, error, at) values (?, ?, ?, ?)", reader, seq, text, at)
    this.#sql.exec(
      "delete from parked where rowid in (select rowid from parked order by at desc, seq desc limit -1 offset ?)",
      parkedAtMost,
    )
  }

  unpark(reader: ReaderName, seq: number): void {
    this.#sql.exec("delete from parked where reader = ? and seq = ?", reader, seq)
  }

  /** Newest first. */
  parked(): Parked[] {
    if (!this.#isThere()) return []
    return this.#sql.exec<Parked>("select reader, seq, error, at from parked order by at desc, seq desc").toArray()
  }
}

/** Where readers go on of which it is known that they have read up to `seq`; `kept`: where some of them were later. */
export const lanesFrom = (seq: number, kept: LaneStates | null): LaneStates =>
  Object.fromEntries(
    readerNames.map((name) => [name, kept && kept[name].seq >= seq ? kept[name] : { seq, failing: null }]),
  ) as LaneStates

/** Whether all readers are at the same place, and none has trouble: then there is one number to remember. */
export const isEven = (lanes: LaneStates): boolean =>
  readerNames.every((name) => lanes[name].seq === lanes.realtime.seq && lanes[name].failing === null)
