/**
 * Whose hub it is. An object is told by what name it was addressed, but not when its alarm rings after a restart, so the
 * name is kept once there is something to tell. Owns the table `owner`.
 */
export class Owner {
  readonly #sql: SqlStorage
  readonly #name: string | undefined
  #isKept = false

  constructor(sql: SqlStorage, name: string | undefined) {
    this.#sql = sql
    this.#name = name
  }

  keep(): void {
    if (this.#isKept || this.#name === undefined) return
    this.#sql.exec("create table if not exists owner (id integer primary key, user_id text not null)")
    this.#sql.exec("insert or ignore into owner (id, user_id) values (1, ?)", this.#name)
    this.#isKept = true
  }

  /** Undefined for a hub that has never been told anything. */
  get userId(): string | undefined {
    if (this.#name !== undefined) return this.#name
    const isKnown = this.#sql.exec("select 1 from sqlite_master where name = 'owner'").toArray().length > 0
    return isKnown ? this.#sql.exec<{ user_id: string }>("select user_id from owner").one().user_id : undefined
  }
}
