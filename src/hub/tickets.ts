import { minute } from "../lib/time.ts"

/** Longer than a ticket is good for, whatever the clocks of two machines say. */
const remembered = 5 * minute

/** The tickets that were used, as long as they could be used again. Owns the table `used_tickets`. */
export class Tickets {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  /** Whether it was the first time. */
  use(nonce: string, now: number): boolean {
    this.#sql.exec("create table if not exists used_tickets (nonce text primary key, expires_at integer not null)")
    this.#sql.exec("delete from used_tickets where expires_at <= ?", now)
    return (
      this.#sql
        .exec(
          "insert or ignore into used_tickets (nonce, expires_at) values (?, ?) returning nonce",
          nonce,
          now + remembered,
        )
        .toArray().length === 1
    )
  }
}
