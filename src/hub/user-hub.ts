import { DurableObject } from "cloudflare:workers"
import type { Departure, Kept, Listed, News } from "../domain/notifications.ts"
import type { NewSession, SessionInfo } from "../domain/sessions.ts"
import type { Watched } from "../domain/watches.ts"
import type { Bindings } from "../env.ts"
import { handOver } from "../events/outage.ts"
import { within } from "../lib/deadline.ts"
import { minute, second } from "../lib/time.ts"
import { logFailure } from "../observability/log.ts"
import { HubDatabase } from "./hub-database.ts"
import { InboxTable } from "./inbox.ts"
import { type Leaving, Leavings } from "./leavings.ts"
import { Owner } from "./owner.ts"
import { ring } from "./ringing.ts"
import { type Link, SessionTable } from "./sessions.ts"
import { WatchTable } from "./watches.ts"

/** How long sending a mail may take: after that it is asked for again. */
const sendingLasts = 10 * minute
/** How long one who sends it has it for themselves. */
const takenFor = 2 * minute
/** How many watches are looked up at once. */
const ringingAtOnce = 50
/** How long a workspace's hub may take. */
const deadline = 10 * second
/** When what could not be done is tried again. */
const retryAfter = 30 * second

/** One per user: their sessions, their inbox, and what time will tell them. It stores nothing before the user's first sign-in. */
export class UserHub extends DurableObject<Bindings> {
  readonly #sessions: SessionTable
  readonly #leavings: Leavings
  readonly #inbox: InboxTable
  readonly #watches: WatchTable
  readonly #owner: Owner
  readonly #database: HubDatabase
  #zoneChanges = 0
  #departures = 0

  constructor(state: DurableObjectState, env: Bindings) {
    super(state, env)
    this.#sessions = new SessionTable(state.storage.sql, (workspaceId, sessionId) =>
      this.#leave({ workspaceId, sessionId }),
    )
    this.#leavings = new Leavings(state.storage.sql)
    this.#inbox = new InboxTable(state.storage.sql)
    this.#watches = new WatchTable(state.storage.sql)
    this.#database = new HubDatabase(() => this.env)
    this.#owner = new Owner(state.storage.sql, state.id.name)
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

  isSessionIn(workspaceId: string, sessionId: string, now: number): boolean {
    return this.#sessions.isIn(workspaceId, sessionId, now)
  }

  endSession(sessionId: string): boolean {
    return this.#sessions.end(sessionId)
  }

  endSessions(kept: string | null, now: number): void {
    this.#sessions.endAll(kept, now)
  }

  // ---- the inbox ----

  /** Keeps what is news, and what there is to watch; what is brought again changes nothing. */
  async notify(news: News[], watched: Watched[] = []): Promise<void> {
    const now = Date.now()
    if (news.length + watched.length > 0) this.#owner.keep()
    this.#inbox.add(news)
    this.#watches.add(watched, now)
    await this.#sendDueMail(now)
  }

  /**
   * Told that the person has left a workspace, which may be long ago. What there is to watch stays: when it is time it is
   * looked up whether it concerns them, and it does if they have come back.
   */
  leaveWorkspace(workspaceId: string, departure: Departure): void {
    this.#departures += 1
    this.#inbox.leave(workspaceId, departure)
  }

  /** Told that a workspace is gone for good. */
  forgetWorkspace(workspaceId: string): void {
    this.#departures += 1
    this.#inbox.forget(workspaceId)
    this.#watches.forgetWorkspace(workspaceId)
  }

  /** Told that the person's clocks are others now. */
  async changeZone(): Promise<void> {
    this.#zoneChanges += 1
    this.#watches.recallDates()
    await this.#arm()
  }

  listNotifications(query: Listed): Kept[] {
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

  /** What is to go out by mail by now; whoever takes it sends it within two minutes, or somebody else does. */
  takeUnsentNotifications(): Kept[] {
    const now = Date.now()
    return this.#inbox.take(now, now + takenFor)
  }

  async notificationsSent(ids: string[]): Promise<void> {
    const now = Date.now()
    this.#inbox.sent(ids, now)
    await this.#sendDueMail(now)
  }

  /** Told to look: asks for what is to be mailed by now. Since when it is, null: nothing was. */
  async sendOwedMail(): Promise<number | null> {
    const now = Date.now()
    const due = this.#inbox.nextMail()
    await this.#sendDueMail(now)
    return due !== null && due <= now ? due : null
  }

  async #sendDueMail(now: number): Promise<void> {
    await this.#askForMail(now)
    await this.#arm()
  }

  /** Asks for what is due to be mailed; if that gets lost, the alarm asks again. */
  async #askForMail(now: number): Promise<void> {
    const next = this.#inbox.nextMail()
    const { userId } = this.#owner
    if (next === null || next > now || userId === undefined) return
    const { asked, given } = this.#inbox.ask(now, sendingLasts)
    if (given > 0) logFailure(userId, "mail", new Error(`${given} notifications could not be sent and are given up`))
    if (asked === 0) return
    // What was told is kept, whatever becomes of its mail: that is asked for again.
    await handOver(this.env.LETTERS.send({ userId })).catch((error: unknown) =>
      logFailure(userId, "ask for mail", error),
    )
  }

  // A failed alarm is tried six times and then never again, so it never fails: it rings later. And what fails of it keeps
  // nothing else.
  override async alarm(): Promise<void> {
    let retryAt = 0
    const tasks = [
      () => this.#sessions.forgetExpired(Date.now()),
      () => this.#ring(),
      () => this.#askForMail(Date.now()),
      () => this.#endLeft(),
    ]
    for (const task of tasks) {
      try {
        await task()
      } catch (error) {
        logFailure(this.#owner.userId ?? "", "alarm", error)
        retryAt = Date.now() + retryAfter
      }
    }
    await this.#arm(retryAt)
  }

  /** Tells what it is time for, as far as it still holds. It is told first and forgotten then: a crash repeats it. */
  async #ring(): Promise<void> {
    const { userId } = this.#owner
    // Nobody who could be told has anything to be told.
    if (userId === undefined) return
    for (;;) {
      const watches = this.#watches.ringing(Date.now(), ringingAtOnce)
      if (watches.length === 0) return
      const { zoneChanges, departures } = { zoneChanges: this.#zoneChanges, departures: this.#departures }
      const rung = await this.#database.run((db) => ring(db, userId, watches, Date.now))
      // What was found out may be of a workspace that they have left meanwhile.
      if (departures !== this.#departures) continue
      this.#inbox.add(rung.flatMap(({ news }) => news ?? []))
      for (const { watch, until } of rung) {
        if (until === null) this.#watches.forget(watch)
        // What was put off by clocks that have changed meanwhile is looked at once more.
        else if (zoneChanges === this.#zoneChanges) this.#watches.postpone(watch.id, until)
      }
    }
  }

  /** What was opened with a session ends with it; where that cannot be told, the alarm tries again. */
  async #endSockets(leaving: Leaving): Promise<void> {
    const { userId } = this.#owner
    const { workspaceId, sessionId } = leaving
    if (userId === undefined) return
    try {
      await within(deadline, this.env.WORKSPACE_HUB.getByName(workspaceId).endSession(userId, sessionId))
      this.#leavings.remove(leaving)
    } catch (error) {
      logFailure(userId, "end sockets", error)
      this.#leavings.putOff(leaving, Date.now() + retryAfter)
      await this.#arm()
    }
  }

  /** Whoever comes with a session that has left is not let in any more; who is in already must be told. */
  #leave(leaving: Leaving): void {
    this.#owner.keep()
    this.#leavings.add(leaving, Date.now())
    this.ctx.waitUntil(this.#endSockets(leaving))
  }

  /** Those whose sockets could not be told so far. */
  async #endLeft(): Promise<void> {
    for (const leaving of this.#leavings.take(Date.now())) await this.#endSockets(leaving)
  }

  /** The one owner of the one alarm: it rings when something next expires. Billed as a row, so set only when it moves. */
  async #arm(notBefore = 0): Promise<void> {
    const times = [
      this.#sessions.nextExpiry(),
      this.#inbox.nextMail(),
      this.#watches.next(),
      this.#leavings.next(),
    ].filter((at) => at !== null)
    const due = times.length > 0 ? Math.max(Math.min(...times), notBefore) : null
    const set = await this.ctx.storage.getAlarm()
    if (due === null) return
    // Ringing early is harmless and moving it at every refresh is not free: only an earlier time moves it.
    if (set === null || due < set) await this.ctx.storage.setAlarm(due)
  }
}
