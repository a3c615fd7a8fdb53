import { DurableObject } from "cloudflare:workers"
import type { NewSession, SessionInfo } from "../domain/sessions.ts"
import type { Bindings } from "../env.ts"
import { minute } from "../lib/time.ts"
import { logFailure } from "../observability/log.ts"
import { InboxTable, type News, type Notification } from "./inbox.ts"
import { type Link, SessionTable } from "./sessions.ts"

/** How long sending a mail may take: after that it is asked for again. */
const sendingLasts = 10 * minute

/** One per user: their sessions and their inbox. It stores nothing before the user's first sign-in. */
export class UserHub extends DurableObject<Bindings> {
  readonly #sessions: SessionTable
  readonly #inbox: InboxTable

  constructor(state: DurableObjectState, env: Bindings) {
    super(state, env)
    this.#sessions = new SessionTable(state.storage.sql, (workspaceId, sessionId) =>
      state.waitUntil(this.#endSockets(workspaceId, sessionId)),
    )
    this.#inbox = new InboxTable(state.storage.sql)
  }

  async openSession(session: NewSession, now: number): Promise<Link | null> {
    const link = await this.#sessions.open(session, now)
    await this.#arm()
    return link
  }

  async rotateSession(sessionId: string, generation: number, secret: string, now: number): Promise<Link | null> {
    const link = await this.#sessions.rotate(sessionId, generation, secret, now)
    await this.#arm()
    return link
  }

  async moveSession(sessionId: string, workspaceId: string, now: number): Promise<Link | null> {
    const link = await this.#sessions.move(sessionId, workspaceId, now)
    await this.#arm()
    return link
  }

  listSessions(now: number): SessionInfo[] {
    return this.#sessions.list(now)
  }

  endSession(sessionId: string): boolean {
    return this.#sessions.end(sessionId)
  }

  endSessions(kept: string | null, now: number): void {
    this.#sessions.endAll(kept, now)
  }

  // ---- the inbox ----

  /** Keeps what is news; what is brought again changes nothing. */
  async notify(news: News[]): Promise<void> {
    this.#inbox.add(news)
    await this.#sendDueMail(Date.now())
  }

  listNotifications(query: Parameters<InboxTable["list"]>[0]): Notification[] {
    return this.#inbox.list(query)
  }

  unreadNotifications(): Record<string, number> {
    return this.#inbox.unread()
  }

  markNotification(workspaceId: string, id: string, readAt: number | null): boolean {
    return this.#inbox.mark(workspaceId, id, readAt)
  }

  markNotificationsUpTo(workspaceId: string, id: string | null, readAt: number): void {
    this.#inbox.markUpTo(workspaceId, id, readAt)
  }

  /** What is to go out by mail by now. */
  unsentNotifications(): Notification[] {
    return this.#inbox.unsent(Date.now() + sendingLasts)
  }

  notificationsSent(ids: string[]): void {
    this.#inbox.sent(ids)
  }

  /** Asks for what is due to be mailed; if that gets lost, the alarm asks again. */
  async #sendDueMail(now: number): Promise<void> {
    const next = this.#inbox.nextMail()
    const userId = this.ctx.id.name
    if (next !== null && next <= now && userId !== undefined) {
      this.#inbox.putOff(now, now + sendingLasts)
      await this.env.LETTERS.send({ userId, notificationId: null })
    }
    await this.#arm()
  }

  override async alarm(): Promise<void> {
    const now = Date.now()
    this.#sessions.forgetExpired(now)
    try {
      await this.#sendDueMail(now)
    } catch (error) {
      // A failed alarm is tried six times and then never again, so it never fails: it rings later.
      logFailure(this.ctx.id.name ?? "", "letters", error)
    }
    await this.#arm()
  }

  /** What was opened with a session ends with it; where that cannot be told, when its own time is over. */
  async #endSockets(workspaceId: string, sessionId: string): Promise<void> {
    const userId = this.ctx.id.name
    if (userId === undefined) return
    try {
      await this.env.WORKSPACE_HUB.getByName(workspaceId).endSession(userId, sessionId)
    } catch (error) {
      logFailure(userId, "end sockets", error)
    }
  }

  /** The one owner of the one alarm: it rings when something next expires. Billed as a row, so set only when it moves. */
  async #arm(): Promise<void> {
    const times = [this.#sessions.nextExpiry(), this.#inbox.nextMail()].filter((at) => at !== null)
    const due = times.length > 0 ? Math.min(...times) : null
    const set = await this.ctx.storage.getAlarm()
    if (due === null) return
    // Ringing early is harmless and moving it at every refresh is not free: only an earlier time moves it.
    if (set === null || due < set) await this.ctx.storage.setAlarm(due)
  }
}
