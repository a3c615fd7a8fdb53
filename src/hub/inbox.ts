import type { NotificationKind } from "../contracts/me.ts"
import type { Departure, Kept, Listed, News } from "../domain/notifications.ts"
import { newId } from "../lib/ids.ts"

type Row = {
  id: string
  workspace_id: string
  kind: NotificationKind
  seq: number
  project_id: string
  task_id: string
  task_key: string
  title: string
  actor_id: string | null
  actor_name: string | null
  text: string
  at: number
  read_at: number | null
}

/** How many a person keeps: the newest. */
export const keptAtMost = 1_000
/** How many stand in one mail: the oldest; the rest goes out with the next. */
const lettersAtMost = 100
/** How often a mail is asked for before it is given up: each time is twice as far from the last, so that is some days. */
const asksAtMost = 10

/** A person's notifications, in their Durable Object. Owns the table `notifications`, which is made with the first one. */
export class InboxTable {
  readonly #sql: SqlStorage
  #isMade: boolean

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.#isMade = sql.exec("select 1 from sqlite_master where name = 'notifications'").toArray().length > 0
  }

  /** Adds what is not there yet; returns the ids of what is new. */
  add(news: readonly News[]): string[] {
    if (!this.#isMade && news.length > 0) this.#make()
    const added = news.flatMap((one) => this.#insert(one))
    if (added.length > 0) this.#forgetOldest()
    return added
  }

  /** Newest first, beyond `before` when it is given. What goes out by mail only is not among them. */
  list({ workspaceId, unread, before, limit }: Listed): Kept[] {
    if (!this.#isMade) return []
    return this.#sql
      .exec<Row>(
        `select * from notifications where workspace_id = ? and in_inbox = 1 and id < ? ${unread ? "and read_at is null" : ""}
         order by id desc limit ?`,
        workspaceId,
        before ?? "z",
        limit,
      )
      .toArray()
      .map(notificationOf)
  }

  /** How many are unread, by workspace. */
  unread(): Record<string, number> {
    if (!this.#isMade) return {}
    const counts: Record<string, number> = {}
    const rows = this.#sql.exec<{ workspace_id: string }>(
      "select workspace_id from notifications where in_inbox = 1 and read_at is null",
    )
    for (const { workspace_id: id } of rows) counts[id] = (counts[id] ?? 0) + 1
    return counts
  }

  /** Marks one as read or unread. False: there is none. */
  mark(workspaceId: string, id: string, readAt: number | null): boolean {
    if (!this.#isMade) return false
    return (
      this.#sql
        .exec(
          "update notifications set read_at = case when ?3 is null then null else coalesce(read_at, ?3) end where workspace_id = ?1 and id = ?2 and in_inbox = 1 returning id",
          workspaceId,
          id,
          readAt,
        )
        .toArray().length > 0
    )
  }

  /** Marks as read whatever is not newer than one; everything for null. */
  markUpTo(workspaceId: string, id: string | null, readAt: number): void {
    if (!this.#isMade) return
    this.#sql.exec(
      "update notifications set read_at = ? where workspace_id = ? and id <= ? and in_inbox = 1 and read_at is null",
      readAt,
      workspaceId,
      id ?? "z",
    )
  }

  /** Forgets what a workspace told somebody before they left it. What they are told once they are back stays. */
  leave(workspaceId: string, { seq, at }: Departure): void {
    if (!this.#isMade) return
    // What time tells has no entry, and a time for its number.
    this.#sql.exec(
      "delete from notifications where workspace_id = ? and case when kind = 'due' then at <= ? else seq < ? end",
      workspaceId,
      at,
      seq,
    )
  }

  forget(workspaceId: string): void {
    if (this.#isMade) this.#sql.exec("delete from notifications where workspace_id = ?", workspaceId)
  }

  // ---- mail ----

  /**
   * What was asked to be sent and has not been, oldest first; of what was read meanwhile nothing. Until `until` nobody
   * else gets it, who was asked to send it too.
   */
  take(now: number, until: number): Kept[] {
    if (!this.#isMade) return []
    return this.#sql
      .exec<Row>(
        `update notifications set taken_until = ? where id in (
           select id from notifications
           where is_asked = 1 and mail_at is not null and taken_until <= ? and read_at is null order by id limit ?)
         returning *`,
        until,
        now,
        lettersAtMost,
      )
      .toArray()
      .map(notificationOf)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** What is left of what was asked for is due at once: it did not fit into that letter. */
  sent(ids: readonly string[], now: number): void {
    for (const id of ids) this.#sql.exec("update notifications set mail_at = null where id = ?", id)
    this.#sql.exec("update notifications set mail_at = ?, asks = 0 where is_asked = 1 and mail_at is not null", now)
  }

  /**
   * Asks for what is due: whoever is to send it has that long, and the next time twice as long. Returns how much is asked
   * for, and how much is given up by now.
   */
  ask(now: number, lasts: number): { asked: number; given: number } {
    if (!this.#isMade) return { asked: 0, given: 0 }
    const given = this.#sql
      .exec("update notifications set mail_at = null where mail_at <= ? and asks >= ? returning id", now, asksAtMost)
      .toArray()
    const asked = this.#sql
      .exec(
        "update notifications set is_asked = 1, asks = asks + 1, mail_at = ? + ? * (1 << asks) where mail_at <= ? returning id",
        now,
        lasts,
        now,
      )
      .toArray()
    return { asked: asked.length, given: given.length }
  }

  /** When the next one is to go out; null when there is none. */
  nextMail(): number | null {
    if (!this.#isMade) return null
    return this.#sql
      .exec<{ at: number | null }>("select min(mail_at) as at from notifications where read_at is null")
      .one().at
  }

  #insert(one: News): string[] {
    const id = newId("notification")
    const { workspaceId, kind, seq, projectId, taskId, taskKey, title, actorId, actorName, text, at } = one
    return this.#sql
      .exec<{ id: string }>(
        `insert into notifications (id, workspace_id, kind, seq, project_id, task_id, task_key, title, actor_id, actor_name, text, at, read_at, in_inbox, mail_at, is_asked, taken_until, asks)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, ?, ?, 0, 0, 0)
         on conflict (workspace_id, task_id, seq) do nothing returning id`,
        id,
        workspaceId,
        kind,
        seq,
        projectId,
        taskId,
        taskKey,
        title,
        actorId,
        actorName,
        text,
        at,
        Number(one.inbox),
        one.mailAt,
      )
      .toArray()
      .map((row) => row.id)
  }

  #forgetOldest(): void {
    this.#sql.exec(
      "delete from notifications where id <= (select id from notifications order by id desc limit 1 offset ?)",
      keptAtMost,
    )
  }

  #make(): void {
    this.#sql.exec(`create table notifications (
      id text primary key, workspace_id text not null, kind text not null, seq integer not null,
      project_id text not null, task_id text not null, task_key text not null, title text not null,
      actor_id text, actor_name text, text text not null, at integer not null, read_at integer,
      in_inbox integer not null, mail_at integer, is_asked integer not null, taken_until integer not null,
      asks integer not null, unique (workspace_id, task_id, seq)
    )`)
    this.#isMade = true
  }
}

const notificationOf = (row: Row): Kept => ({
  id: row.id,
  workspaceId: row.workspace_id,
  kind: row.kind,
  seq: row.seq,
  projectId: row.project_id,
  taskId: row.task_id,
  taskKey: row.task_key,
  title: row.title,
  actorId: row.actor_id,
  actorName: row.actor_name,
  text: row.text,
  at: row.at,
  readAt: row.read_at,
})
