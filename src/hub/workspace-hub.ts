import { DurableObject } from "cloudflare:workers"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { findKeyEnd } from "../domain/api-key-access.ts"
import { markPumped, readHead, readLog } from "../domain/log.ts"
import type { Bindings } from "../env.ts"
import { Lane } from "../events/lane.ts"
import { isOutage } from "../events/outage.ts"
import { type Reader, type ReaderCtx, type ReaderName, readerNames } from "../events/reader.ts"
import { within } from "../lib/deadline.ts"
import { newId } from "../lib/ids.ts"
import { second } from "../lib/time.ts"
import { logFailure } from "../observability/log.ts"
import { HubDatabase } from "./hub-database.ts"
import { HubState, isEven, type LaneStates, lanesFrom, type Parked } from "./hub-state.ts"
import { readersOf, sweepOwed } from "./readers.ts"
import { type Admission, admissionHeader, Realtime } from "./realtime.ts"
import type { NewSeat } from "./seat.ts"
import { Tickets } from "./tickets.ts"

/** What a writer tells of a workspace's log: where it ends now, and the last entries, when it knows them. */
export type Poke = { workspaceId: string; seq: number; entries: LogEntry[] | null }

/** Where a hub is, for operators. */
export type HubStatus = { lanes: LaneStates | null; parked: Parked[] }

/** How long after something was told the hub looks whether it has missed anything, and lets the database know. */
export const settledAfter = 30 * second
/** How long cursors may be ahead of what is stored: a crash repeats what was read in that time. */
const savedWithin = second
/** How many entries that were given up are tried again at once. */
export const retriedAtOnce = 100

/** One per workspace: the one ordered reader of its log. Its readers have a cursor each, so that none waits for another. */
export class WorkspaceHub extends DurableObject<Bindings> {
  readonly #state: HubState
  readonly #tickets: Tickets
  readonly #realtime: Realtime
  readonly #database: HubDatabase
  #workspaceId = ""
  #lanes: Record<ReaderName, Lane> | null = null
  /** What is stored of them, which may be long ago. */
  #kept: LaneStates | null = null
  #beginning: Promise<{ pumpedSeq: number }> | null = null
  #savedAt = 0
  #isSaving = false

  constructor(state: DurableObjectState, env: Bindings) {
    super(state, env)
    this.#database = new HubDatabase(() => this.env)
    this.#state = new HubState(state.storage.sql)
    this.#tickets = new Tickets(state.storage.sql)
    this.#realtime = new Realtime({
      state,
      withDb: (work) => this.#database.run(work),
      workspaceId: () => this.#workspaceId,
      cursor: () => this.#lanes?.realtime.state.seq ?? 0,
    })
    const known = this.#state.load()
    if (!known) return
    this.#workspaceId = known.workspaceId
    this.#kept = known.lanes
    // With sockets, what is stored is what was; and they shall not wait for the database to say so.
    if (this.#realtime.sockets.size > 0) this.#open(known.workspaceId, known.lanes)
  }

  /** Told after a commit. Sockets are served before it resolves; the other readers go on behind it. */
  async poke({ workspaceId, seq, entries }: Poke): Promise<void> {
    const first = entries?.[0]?.seq
    // If the database does not say where it was: what was told here is not forgotten.
    if (!this.#lanes) await this.#arm(Date.now() + settledAfter)
    await this.#begin(workspaceId, first === 1 ? 0 : null)
    await this.#readOn(seq, entries)
  }

  /** Told when something may have been missed: reads where the log ends and goes on from there. */
  async catchUp(workspaceId: string): Promise<void> {
    await this.#begin(workspaceId, null)
    const { seq } = await this.#findHead()
    await this.#readOn(seq, null)
  }

  /** Told that something is owed at a time: the alarm rings no later. */
  async owe(at: number): Promise<void> {
    await this.#arm(at)
  }

  /**
   * Opens a socket for whoever the gateway has let in, as the header says that only it can set. 409 for a ticket that
   * was used, 429 for somebody who has too many sockets, 503 while the database is out of order.
   */
  override async fetch(request: Request): Promise<Response> {
    const { workspaceId, since, nonce, seat } = JSON.parse(request.headers.get(admissionHeader) ?? "") as Admission
    if (nonce && !this.#tickets.use(nonce, Date.now())) return new Response(null, { status: 409 })
    if (this.#realtime.sockets.isFull(seat.userId)) return new Response(null, { status: 429 })
    try {
      await this.catchUp(workspaceId)
    } catch (error) {
      // Not thrown: what kind of error it is does not get across.
      if (!isOutage(error)) throw error
      logFailure(workspaceId, "open a socket", error)
      return new Response(null, { status: 503 })
    }
    // Again: others may have come meanwhile.
    if (this.#realtime.sockets.isFull(seat.userId)) return new Response(null, { status: 429 })
    const { 0: client, 1: server } = new WebSocketPair()
    this.#realtime.sockets.accept(server, seat)
    this.#save()
    this.ctx.waitUntil(this.#welcome(server, seat, since))
    return new Response(null, { status: 101, webSocket: client })
  }

  override async webSocketMessage(socket: WebSocket, text: string | ArrayBuffer): Promise<void> {
    try {
      await this.#realtime.hear(socket, text, Date.now())
    } catch (error) {
      logFailure(this.#workspaceId, "socket", error)
    }
  }

  override webSocketClose(socket: WebSocket): void {
    this.#realtime.left(socket)
    // The other side waits for the answer to its goodbye.
    socket.close()
  }

  override webSocketError(socket: WebSocket): void {
    this.#realtime.left(socket)
  }

  /** Ends the sockets that were opened with a session. */
  endSession(userId: string, sessionId: string): void {
    this.#realtime.sockets.endOf((seat) => seat.userId === userId && seat.sessionId === sessionId)
  }

  /** A socket that could not be told what it missed is of no use: its client comes again. */
  async #welcome(socket: WebSocket, seat: NewSeat, since: number | null): Promise<void> {
    try {
      await Promise.all([this.#limit(socket, seat), this.#realtime.welcome(socket, seat, since)])
    } catch (error) {
      logFailure(this.#workspaceId, "welcome", error)
      this.#realtime.left(socket)
      socket.close(1011, "try again")
    }
  }

  /**
   * What somebody came with may have ended since it was last looked at, and whoever ends it by now finds the socket. A
   * key that ends by itself takes its sockets along.
   */
  async #limit(socket: WebSocket, { userId, sessionId, keyId }: NewSeat): Promise<void> {
    const until =
      keyId === null
        ? await this.#sessionEnd(userId, sessionId)
        : await this.#database.run((db) => findKeyEnd(db, this.#workspaceId, keyId))
    if (until !== null) this.#realtime.sockets.limit(socket, until ?? 0)
  }

  async #sessionEnd(userId: string, sessionId: string): Promise<number | null> {
    const hub = this.env.USER_HUB.getByName(userId)
    const isThere = await within(10 * second, hub.isSessionIn(this.#workspaceId, sessionId, Date.now()))
    return isThere ? null : 0
  }

  /**
   * Hands what was given up to its readers once more, the oldest first: what they take now is given up no longer. Sockets
   * were asked to read the log themselves.
   */
  async retryParked(workspaceId: string): Promise<void> {
    await this.#begin(workspaceId, null)
    const readers = { realtime: null, ...readersOf(this.env) }
    for (const { reader, seq } of this.#state.parked().toReversed().slice(0, retriedAtOnce)) {
      try {
        await this.#database.run(async (db) => {
          const found = await readLog(db, workspaceId, { after: seq - 1, limit: 1 })
          const entries = found.filter((entry) => entry.seq === seq)
          if (entries.length > 0) await readers[reader]?.read(this.#ctxWith(db), entries)
        })
        this.#state.unpark(reader, seq)
      } catch (error) {
        logFailure(workspaceId, `${reader} gave up ${seq} again`, error)
        if (isOutage(error)) return
        this.#state.park(reader, seq, error, Date.now())
      }
    }
  }

  async status(): Promise<HubStatus> {
    if (this.#workspaceId) await this.#begin(this.#workspaceId, null)
    return { lanes: this.#lanes && this.#laneStates(), parked: this.#state.parked() }
  }

  /** Told when its workspace is gone for good: nothing of it is left here. */
  async forget(): Promise<void> {
    this.#lanes = null
    this.#kept = null
    this.#workspaceId = ""
    // The alarm is deleted with it.
    await this.ctx.storage.deleteAll()
    this.#state.forgotten()
  }

  // Alarms run at least once, and everything here bears being done again. A failed alarm is tried six times and then
  // never again, so it never fails: it rings later.
  override async alarm(): Promise<void> {
    try {
      await this.#settle()
    } catch (error) {
      logFailure(this.#workspaceId, "hub", error)
      await this.ctx.storage.setAlarm(Date.now() + settledAfter)
    }
  }

  async #settle(): Promise<void> {
    if (!this.#workspaceId) return
    await this.#begin(this.#workspaceId, null)
    if (!this.#lanes) return
    const { seq, pumpedSeq } = await this.#findHead()
    for (const lane of Object.values(this.#lanes)) lane.offer(seq, null)
    await Promise.all(Object.values(this.#lanes).map((lane) => lane.run()))
    this.#save()
    const read = Math.min(...Object.values(this.#lanes).map((lane) => lane.state.seq))
    if (read > pumpedSeq) await this.#database.run((db) => markPumped(db, this.#workspaceId, read))
    const owedAt = await this.#database.run((db) => sweepOwed(this.#ctxWith(db), this.env))
    const next = [owedAt, ...Object.values(this.#lanes).map((lane) => lane.retryAt)].filter((at) => at !== null)
    if (next.length > 0) await this.#arm(Math.max(Math.min(...next), Date.now() + second))
  }

  /** Where the log ends. A reader that was ahead of it before has read what a restore of the database took away. */
  async #findHead(): Promise<{ seq: number; pumpedSeq: number }> {
    const before = this.#lanes && this.#laneStates()
    const head = await this.#database.run((db) => readHead(db, this.#workspaceId))
    if (before && readerNames.some((name) => before[name].seq > head.seq)) this.#goBackTo(head.seq)
    return head
  }

  #goBackTo(seq: number): void {
    const lowered = Object.entries(this.#laneStates()).map(([name, lane]) => [
      name,
      lane.seq > seq ? { seq, failing: null } : lane,
    ])
    // With new readers: what they remember is of a log that is no more.
    this.#open(this.#workspaceId, Object.fromEntries(lowered) as LaneStates)
    this.#realtime.goBackTo(seq)
  }

  /** `from`: how far the log has been read before; null when the database must tell. */
  async #begin(workspaceId: string, from: number | null): Promise<void> {
    if (this.#lanes) return
    if (from !== null) return this.#open(workspaceId, lanesFrom(from, this.#kept))
    this.#beginning ??= this.#database
      .run((db) => readHead(db, workspaceId))
      .finally(() => {
        this.#beginning = null
      })
    const { pumpedSeq } = await this.#beginning
    // Another one may have begun while the database was asked.
    if (!this.#lanes) this.#open(workspaceId, lanesFrom(pumpedSeq, this.#kept))
  }

  #open(workspaceId: string, states: LaneStates): void {
    this.#workspaceId = workspaceId
    const { inbox, webhooks } = readersOf(this.env)
    this.#lanes = Object.fromEntries(
      [this.#realtime, inbox, webhooks].map((reader) => [reader.name, this.#laneOf(reader, states[reader.name])]),
    ) as Record<ReaderName, Lane>
  }

  #laneOf(reader: Reader, state: LaneStates[ReaderName]): Lane {
    return new Lane({
      state,
      read: (entries) => this.#database.run((db) => reader.read(this.#ctxWith(db), entries)),
      fetch: (after, limit) => this.#database.run((db) => readLog(db, this.#workspaceId, { after, limit })),
      park: (seq, error) => {
        logFailure(this.#workspaceId, `${reader.name} parked ${seq}`, error)
        this.#state.park(reader.name, seq, error, Date.now())
        if (reader === this.#realtime) this.#realtime.skip(seq)
      },
      isOutage,
      now: Date.now,
    })
  }

  async #readOn(seq: number, entries: LogEntry[] | null): Promise<void> {
    if (!this.#lanes) return
    const { realtime, inbox, webhooks } = this.#lanes
    for (const lane of [realtime, inbox, webhooks]) lane.offer(seq, entries)
    // What is sent after a write waits until that is on disk, so sockets come before the alarm is set.
    const sent = realtime.run()
    await this.#arm(Date.now() + settledAfter)
    await sent
    this.ctx.waitUntil(Promise.all([inbox.run(), webhooks.run()]).then(() => this.#resume()))
  }

  /** Cursors are stored once a second at the most, and whoever has failed is tried again. */
  async #resume(): Promise<void> {
    const wait = this.#savedAt + savedWithin - Date.now()
    if (wait <= 0) this.#save()
    else if (!this.#isSaving) {
      this.#isSaving = true
      // The timer keeps the object from hibernating before the cursors are stored. That time is billed, so only a write
      // that follows another one waits.
      setTimeout(() => this.#save(), wait)
    }
    const retries = Object.values(this.#lanes ?? {}).flatMap((lane) => lane.retryAt ?? [])
    if (retries.length > 0) await this.#arm(Math.min(...retries))
  }

  /**
   * Stores the cursors where that says more than the database does once the hub has settled: sockets outlive the object,
   * and shall not be told twice; a reader in trouble is behind the others. Else a crash, or hours of sleep, repeat what
   * was not settled, and a row is billed.
   */
  #save(): void {
    this.#isSaving = false
    this.#savedAt = Date.now()
    if (!this.#lanes) return
    const lanes = this.#laneStates()
    if (this.#kept && this.#realtime.sockets.size === 0 && isEven(lanes)) return
    this.#state.save(this.#workspaceId, lanes)
    this.#kept = lanes
  }

  #laneStates(): LaneStates {
    return Object.fromEntries(readerNames.map((name) => [name, this.#lanes?.[name].state])) as LaneStates
  }

  /** The one owner of the one alarm. Only an earlier time moves it: a move is billed, and ringing early harms nothing. */
  async #arm(at: number): Promise<void> {
    const set = await this.ctx.storage.getAlarm()
    if (set === null || at < set) await this.ctx.storage.setAlarm(at)
  }

  #ctxWith(db: Db): ReaderCtx {
    return { db, workspaceId: this.#workspaceId, now: Date.now, newId }
  }
}
