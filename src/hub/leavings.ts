import { hour } from "../lib/time.ts"

export type Leaving = { workspaceId: string; sessionId: string }

/** No socket lives longer. */
const keptFor = 12 * hour

/**
 * Sessions that have left a workspace, or ended, whose sockets there have not been ended yet. Owns the table `leavings`,
 * which is made with the first one.
 */
export class Leavings {
  readonly #sql: SqlStorage
  #isMade: boolean

  constructor(sql: SqlStorage) {
    this.#sql = sql
    this.#isMade = sql.exec("select 1 from sqlite_master where name = 'leavings'").toArray().length > 0
    // Whoever was about to see to these has ended.
    if (this.#isMade) sql.exec("update leavings set due = 1 where due is null")
  }

  /** Kept until it is removed; it is being seen to. */
  add({ workspaceId, sessionId }: Leaving, now: number): void {
    if (!this.#isMade) this.#make()
    this.#sql.exec(
      "insert or ignore into leavings (workspace_id, session_id, due, until) values (?, ?, null, ?)",
      workspaceId,
      sessionId,
      now + keptFor,
    )
  }

  /** It could not be seen to, and is to be later. */
  putOff({ workspaceId, sessionId }: Leaving, due: number): void {
    this.#sql.exec("update leavings set due = ? where workspace_id = ? and session_id = ?", due, workspaceId, sessionId)
  }

  remove({ workspaceId, sessionId }: Leaving): void {
    this.#sql.exec("delete from leavings where workspace_id = ? and session_id = ?", workspaceId, sessionId)
  }

  /** What is due, to be seen to; what is too old is forgotten. */
  take(now: number): Leaving[] {
    if (!this.#isMade) return []
    this.#sql.exec("delete from leavings where until <= ?", now)
    return this.#sql
      .exec<{ workspace_id: string; session_id: string }>(
        "update leavings set due = null where due <= ? returning workspace_id, session_id",
        now,
      )
      .toArray()
      .map((row) => ({ workspaceId: row.workspace_id, sessionId: row.session_id }))
  }

  /** When the next one is due; null when there is none. */
  next(): number | null {
    if (!this.#isMade) return null
    return this.#sql.exec<{ at: number | null }>("select min(due) as at from leavings").one().at
  }

  #make(): void {
    this.#sql.exec(`create table leavings (
      workspace_id text not null, session_id text not null, due integer, until integer not null,
      primary key (workspace_id, session_id)
    ) without rowid`)
    this.#isMade = true
  }
}
