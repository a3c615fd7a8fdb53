import { DurableObject } from "cloudflare:workers"

type Window = { taken: number; ends_at: number }

/** Counts one key of one policy: a window that begins with its first use. It forgets everything when the window ends. */
export class RateLimiter extends DurableObject {
  async take(quota: number, windowMs: number): Promise<{ isAllowed: boolean; remaining: number; resetMs: number }> {
    const now = Date.now()
    const { sql } = this.ctx.storage
    sql.exec(
      "create table if not exists window (id integer primary key, taken integer not null, ends_at integer not null)",
    )
    const [current] = sql.exec<Window>("select taken, ends_at from window where ends_at > ?", now).toArray()
    const taken = current?.taken ?? 0
    const endsAt = current?.ends_at ?? now + windowMs
    const resetMs = endsAt - now
    if (taken >= quota) return { isAllowed: false, remaining: 0, resetMs }

    sql.exec("insert or replace into window (id, taken, ends_at) values (1, ?, ?)", taken + 1, endsAt)
    if (!current) await this.ctx.storage.setAlarm(endsAt)
    return { isAllowed: true, remaining: quota - taken - 1, resetMs }
  }

  /** For the health check: answers without storing anything. */
  ping(): "pong" {
    return "pong"
  }

  override async alarm(): Promise<void> {
    const [window] = this.ctx.storage.sql.exec<Window>("select taken, ends_at from window").toArray()
    // A window that began while the alarm was on its way keeps its count.
    if (window && window.ends_at > Date.now()) await this.ctx.storage.setAlarm(window.ends_at)
    else await this.ctx.storage.deleteAll()
  }
}
