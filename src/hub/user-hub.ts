import { DurableObject } from "cloudflare:workers"
import type { NewSession, SessionInfo } from "../domain/sessions.ts"
import type { Bindings } from "../env.ts"
import { logFailure } from "../observability/log.ts"
import { type Link, SessionTable } from "./sessions.ts"

/** One per user: their sessions. It stores nothing before the user's first sign-in. */
export class UserHub extends DurableObject<Bindings> {
  readonly #sessions: SessionTable

  constructor(state: DurableObjectState, env: Bindings) {
    super(state, env)
    this.#sessions = new SessionTable(state.storage.sql, (workspaceId, sessionId) =>
      state.waitUntil(this.#endSockets(workspaceId, sessionId)),
    )
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

  override async alarm(): Promise<void> {
    this.#sessions.forgetExpired(Date.now())
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
    const due = this.#sessions.nextExpiry()
    const set = await this.ctx.storage.getAlarm()
    if (due === null) return
    // Ringing early is harmless and moving it at every refresh is not free: only an earlier time moves it.
    if (set === null || due < set) await this.ctx.storage.setAlarm(due)
  }
}
