import { earliest, type Watch, type Watched } from "../domain/watches.ts"

/** A watch as it is kept: `id` is the object's own. */
export type KeptWatch = Watch & {
  id: number
  workspaceId: string
  taskId: string
  since: number
  /** How often it was brought. */
  brought: number
}

type Row = {
  id: number
  workspace_id: string
  task_id: string
  reminder_id: string
  at: number | null
  date: string | null
  before_ms: number
  since: number
  brought: number
}

/** What time will tell a person, in their Durable Object. Owns the table `watches`, which is made with the first one. */
export class WatchTable {
  readonly #sql: SqlStorage
  #isMade: boolean

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.#isMade = sql.exec("select 1 from sqlite_master where name = 'watches'").toArray().length > 0
  }

  /**
   * Keeps what is to be watched of tasks. What is watched already stays as it is; of what the task had before, only what
   * would ring later goes: what should have rung by now is looked at all the same.
   */
  add(watched: readonly Watched[], now: number): void {
    if (!this.#isMade && watched.length > 0) this.#make()
    for (const { workspaceId, taskId, since, watches } of watched) {
      for (const watch of watches) this.#put(workspaceId, taskId, since, watch, now)
    }
  }

  /** What it is time to look at, the earliest first. */
  ringing(now: number, limit: number): KeptWatch[] {
    if (!this.#isMade) return []
    return this.#sql
      .exec<Row>("select * from watches where rings_at <= ? order by rings_at, id limit ?", now, limit)
      .toArray()
      .map(watchOf)
  }

  /** Unless it was brought again since it was read: what was found out about it may be out of date. */
  forget({ id, brought }: KeptWatch): void {
    this.#sql.exec("delete from watches where id = ? and brought = ?", id, brought)
  }

  forgetWorkspace(workspaceId: string): void {
    if (this.#isMade) this.#sql.exec("delete from watches where workspace_id = ?", workspaceId)
  }

  /** Looks again at that time. */
  postpone(id: number, until: number): void {
    this.#sql.exec("update watches set rings_at = ? where id = ?", until, id)
  }

  /** The person's clocks have changed: what is meant by them is looked at as soon as it may be time anywhere. */
  recallDates(): void {
    if (!this.#isMade) return
    this.#sql.exec("update watches set rings_at = first_at where date is not null and rings_at <> first_at")
  }

  /** When to look next; null when there is nothing to watch. */
  next(): number | null {
    if (!this.#isMade) return null
    return this.#sql.exec<{ at: number | null }>("select min(rings_at) as at from watches").one().at
  }

  #put(workspaceId: string, taskId: string, since: number, watch: Watch, now: number): void {
    const { at, date, beforeMs } = watch
    const reminderId = watch.reminderId ?? ""
    const moment = `${at ?? date} ${beforeMs}`
    this.#sql.exec(
      `delete from watches
       where workspace_id = ? and task_id = ? and reminder_id = ? and moment <> ? and rings_at > ?`,
      workspaceId,
      taskId,
      reminderId,
      moment,
      now,
    )
    this.#sql.exec(
      `insert into watches (workspace_id, task_id, reminder_id, moment, at, date, before_ms, since, first_at, rings_at, brought)
       values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 1)
       on conflict (workspace_id, task_id, reminder_id, moment) do update set brought = brought + 1`,
      workspaceId,
      taskId,
      reminderId,
      moment,
      at,
      date,
      beforeMs,
      since,
      earliest(watch),
    )
  }

  #make(): void {
    this.#sql.exec(`create table watches (
      id integer primary key autoincrement, workspace_id text not null, task_id text not null, reminder_id text not null,
      moment text not null, at integer, date text, before_ms integer not null, since integer not null,
      first_at integer not null, rings_at integer not null, brought integer not null, unique (workspace_id, task_id, reminder_id, moment)
    )`)
    this.#sql.exec("create index watches_rings on watches (rings_at, id)")
    this.#isMade = true
  }
}

const watchOf = (row: Row): KeptWatch => ({
  id: row.id,
  workspaceId: row.workspace_id,
  taskId: row.task_id,
  reminderId: row.reminder_id || null,
  at: row.at,
  date: row.date,
  beforeMs: row.before_ms,
  since: row.since,
  brought: row.brought,
})
