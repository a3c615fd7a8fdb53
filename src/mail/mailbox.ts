import { DurableObject } from "cloudflare:workers"
import type { Message } from "../domain/mail.ts"

/** A message that was kept; `at` in epoch milliseconds. */
export type KeptMessage = Message & { id: number; at: number }

/** How many messages are kept: the newest. */
export const keptAtMost = 200

/** Where mail goes on a machine that sends none: the newest messages, to be looked at. */
export class Mailbox extends DurableObject {
  /** Returns the message's id, which grows from message to message. */
  keep({ to, subject, kind, text, html }: Message, now: number): number {
    this.#make()
    const { sql } = this.ctx.storage
    const { id } = sql
      .exec<{ id: number }>(
        "insert into messages (recipient, subject, kind, text, html, at) values (?, ?, ?, ?, ?, ?) returning id",
        to,
        subject,
        kind,
        text,
        html,
        now,
      )
      .one()
    sql.exec("delete from messages where id <= ?", id - keptAtMost)
    return id
  }

  /** Newest first. */
  list(): KeptMessage[] {
    this.#make()
    return this.ctx.storage.sql
      .exec<KeptMessage>(
        `select id, recipient as "to", subject, kind, text, html, at from messages order by id desc limit ?`,
        keptAtMost,
      )
      .toArray()
  }

  #make(): void {
    this.ctx.storage.sql.exec(`create table if not exists messages (
      id integer primary key autoincrement, recipient text not null, subject text not null, kind text not null,
      text text not null, html text not null, at integer not null
    )`)
  }
}
