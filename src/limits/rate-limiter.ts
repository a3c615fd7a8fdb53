import { DurableObject } from "cloudflare:workers"
import { hour } from "../lib/time.ts"
import type { Grant } from "./leasing.ts"

type Window = { taken: number; ends_at: number }

/**
 * How long it is remembered that there was a window. Who comes back within it costs one billed row, and not the four of
 * beginning from nothing: the table, the alarm and the row.
 */
export const linger = hour

/** Counts one key of one policy: a window that begins with its first use. It leaves nothing behind. */
export class RateLimiter extends DurableObject {
  /** Takes `count`, or nothing when less than that is left. */
  async take(quota: number, windowMs: number, count = 1): Promise<Grant> {
    const now = Date.now()
    const { sql } = this.ctx.storage
    sql.exec(
      "create table if not exists window (id integer primary key, taken integer not null, ends_at integer not null)",
    )
    const [last] = sql.exec<Window>("select taken, ends_at from window").toArray()
    const current = last && last.ends_at > now ? last : undefined
    const taken = current?.taken ?? 0
    const endsAt = current?.ends_at ?? now + windowMs
    // Two windows never end at the same moment, so their ends tell them apart.
    const told = { resetMs: endsAt - now, window: endsAt }
    if (taken + count > quota) return { isAllowed: false, remaining: Math.max(quota - taken, 0), ...told }

    sql.exec("insert or replace into window (id, taken, ends_at) values (1, ?, ?)", taken + count, endsAt)
    // As long as there is a row there is an alarm.
    if (!last) await this.ctx.storage.setAlarm(endsAt + linger)
    return { isAllowed: true, remaining: quota - taken - count, ...told }
  }

  /** Gives back what was taken in a window and not used, if that is still the window. */
  giveBack(count: number, window: number): void {
    const [table] = this.ctx.storage.sql.exec("select 1 from sqlite_master where name = 'window'").toArray()
    const current = table && this.#current(Date.now())
    if (current?.ends_at !== window) return
    this.ctx.storage.sql.exec("update window set taken = ?", Math.max(current.taken - count, 0))
  }

  #current(now: number): Window | undefined {
    const { sql } = this.ctx.storage
    return sql.exec<Window>("select taken, ends_at from window where ends_at > ?", now).toArray()[0]
  }

  /** For the health check: answers without storing anything. */
  ping(): "pong" {
    return "pong"
  }

  override async alarm(): Promise<void> {
    const [window] = this.ctx.storage.sql.exec<Window>("select taken, ends_at from window").toArray()
    if (window && window.ends_at > Date.now() - linger) await this.ctx.storage.setAlarm(window.ends_at + linger)
    else await this.ctx.storage.deleteAll()
  }
}
