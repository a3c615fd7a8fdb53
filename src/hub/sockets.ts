import type { EventView } from "../contracts/events.ts"
import { closeCodes, eventMessage, type ServerMessageView } from "../contracts/realtime.ts"
import type { LogEntry } from "../db/commit.ts"
import { seesProject, type Viewer, viewFor } from "../domain/sight.ts"
import { rfc3339 } from "../lib/time.ts"
import type { FullSight } from "./audience.ts"
import {
  backlogAtMost,
  backlogOf,
  countReceived,
  countSent,
  isSlow,
  type NewSeat,
  Pace,
  type Seat,
  seatOf,
} from "./seat.ts"

/** How many sockets one person, and one workspace, may have. The platform's own bound is 32,768. */
export const socketsPerPerson = 20
export const socketsAtMost = 30_000

/** The sockets of a workspace: who sits behind each, and what they are told. The runtime keeps them through hibernation. */
export class Sockets {
  readonly #state: DurableObjectState
  readonly #seats = new Map<WebSocket, Seat>()
  readonly #paces = new Map<WebSocket, Pace>()
  #backlog = 0

  constructor(state: DurableObjectState) {
    this.#state = state
    for (const socket of state.getWebSockets()) {
      const seat = socket.deserializeAttachment() as Seat | null
      if (!seat) continue
      if (seat.from === null) {
        // What it missed was being told when the object ended; nobody goes on with that.
        socket.close(1011, "try again")
        continue
      }
      this.#seats.set(socket, seat)
      this.#backlog += backlogOf(seat)
    }
    // Answered without waking the object, so that clients can tell a dead connection from a quiet one.
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"))
  }

  get size(): number {
    return this.#seats.size
  }

  userIds(): string[] {
    return [...new Set([...this.#seats.values()].map(({ userId }) => userId))]
  }

  isFull(userId: string): boolean {
    return this.#state.getWebSockets(userId).length >= socketsPerPerson || this.size >= socketsAtMost
  }

  accept(socket: WebSocket, opened: NewSeat): void {
    this.#state.acceptWebSocket(socket, [opened.userId])
    this.#keep(socket, seatOf(opened))
  }

  seatAt(socket: WebSocket): Seat | undefined {
    return this.#seats.get(socket)
  }

  forget(socket: WebSocket): Seat | undefined {
    const seat = this.#seats.get(socket)
    if (seat) this.#backlog -= backlogOf(seat)
    this.#seats.delete(socket)
    this.#paces.delete(socket)
    return seat
  }

  /** Makes a socket live: it is told what comes after `seq`. */
  goLive(socket: WebSocket, seq: number): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    this.#keep(socket, { ...seat, from: seq })
  }

  /** Tells every live socket of the entries, as far as who is behind it may know. Waits for nothing and never throws. */
  tell(entries: readonly LogEntry[], sight: FullSight): void {
    const shared = new Map<string, string>()
    for (const [userId, seats] of Map.groupBy(this.#seats, ([, seat]) => seat.userId)) {
      const role = sight.roles.get(userId)
      const sockets = seats.map(([socket]) => socket)
      if (role) this.#tellPerson(sockets, { userId, role }, entries, sight, shared)
      else for (const socket of sockets) this.end(socket, "forbidden")
    }
    for (const entry of entries) this.#endWhatEnded(entry)
    for (const entry of entries) this.#stopHiddenLooks(entry, sight)
  }

  #tellPerson(
    sockets: WebSocket[],
    viewer: Viewer,
    entries: readonly LogEntry[],
    sight: FullSight,
    shared: Map<string, string>,
  ): void {
    for (const entry of entries) {
      const text = textFor(viewFor(viewer, entry, sight), shared)
      if (text === null) continue
      for (const socket of sockets) {
        const from = this.#seats.get(socket)?.from ?? null
        if (from !== null && entry.seq > from) this.#sendText(socket, text)
      }
    }
  }

  /** Tells one socket what it has missed. */
  tellMissed(socket: WebSocket, entries: readonly LogEntry[], sight: FullSight): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    const { userId } = seat
    const role = sight.roles.get(userId)
    if (!role) {
      this.end(socket, "forbidden")
      return
    }
    for (const entry of entries) {
      const text = textFor(viewFor({ userId, role }, entry, sight))
      if (text !== null) this.#sendText(socket, text)
    }
  }

  /** The same to everybody, of a log that ends earlier than it did; what comes next follows there. */
  goBackTo(seq: number): void {
    for (const [socket, { from }] of [...this.#seats]) {
      if (from === null) continue
      this.send(socket, behind(seq))
      this.goLive(socket, seq)
    }
  }

  /** In which projects the tasks are that these people look at. */
  projectsLookedAtBy(userIds: readonly string[]): string[] {
    return [...this.#seats.values()].flatMap(({ userId, looksAt }) =>
      looksAt && userIds.includes(userId) ? looksAt.projectId : [],
    )
  }

  /** Asks those who are live to read the log themselves. */
  askToRead(seq: number): void {
    for (const [socket, { from }] of [...this.#seats]) if (from !== null && seq > from) this.send(socket, behind(seq))
  }

  send(socket: WebSocket, message: ServerMessageView): void {
    this.#sendText(socket, JSON.stringify(message))
  }

  end(socket: WebSocket, why: keyof typeof closeCodes): void {
    const seat = this.forget(socket)
    try {
      socket.close(closeCodes[why], why)
    } catch {
      // It is closed already.
    }
    if (seat?.looksAt) this.tellLookers(seat.looksAt.taskId)
  }

  /** Nothing is told after that, in epoch milliseconds. */
  limit(socket: WebSocket, until: number): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    if (until <= Date.now()) this.end(socket, "ended")
    else if (until < seat.until) this.#keep(socket, { ...seat, until })
  }

  /** Ends what was opened with a session or an API key that has ended. */
  endOf(isMeant: (seat: Seat) => boolean): void {
    for (const [socket, seat] of [...this.#seats]) if (isMeant(seat)) this.end(socket, "ended")
  }

  received(socket: WebSocket, characters: number): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    this.#backlog -= backlogOf(seat)
    countReceived(seat, characters)
    this.#backlog += backlogOf(seat)
    this.#keep(socket, seat)
  }

  /** Whether a client may send another message now. */
  mayAsk(socket: WebSocket, now: number): boolean {
    const pace = this.#paces.get(socket) ?? new Pace()
    this.#paces.set(socket, pace)
    return pace.take(now)
  }

  // ---- presence ----

  /** Lets those who look at a task know of each other. */
  look(socket: WebSocket, looksAt: Seat["looksAt"]): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    const before = seat.looksAt
    this.#keep(socket, { ...seat, looksAt })
    if (before && before.taskId !== looksAt?.taskId) this.tellLookers(before.taskId)
    if (looksAt) this.tellLookers(looksAt.taskId)
  }

  /** Tells those who look at a task who does. */
  tellLookers(taskId: string): void {
    const lookers = [...this.#seats].filter(([, { looksAt }]) => looksAt?.taskId === taskId)
    const userIds = [...new Set(lookers.map(([, { userId }]) => userId))].toSorted()
    const at = rfc3339(Date.now())
    for (const [socket, { from }] of lookers) {
      this.send(socket, {
        type: "presence",
        seq: from ?? 0,
        subject: { id: taskId, kind: "task" },
        data: { userIds },
        at,
      })
    }
  }

  /** Whoever sees a task no more is not told who looks at it, and is not told of. */
  #stopHiddenLooks(entry: LogEntry, sight: FullSight): void {
    const { type, subjectId, projectId } = entry
    for (const socket of [...this.#seats.keys()]) {
      // Telling one that somebody has stopped looking may end another.
      const seat = this.#seats.get(socket)
      if (!seat?.looksAt) continue
      const { looksAt, userId } = seat
      const isTheirs = type === "member.updated" && subjectId === userId
      if (!isTheirs && looksAt.projectId !== projectId && looksAt.taskId !== subjectId) continue
      if (!isStillSeen(seat, entry, sight)) this.look(socket, null)
      else if (projectId && looksAt.taskId === subjectId) {
        this.#keep(socket, { ...seat, looksAt: { ...looksAt, projectId } })
      }
    }
  }

  #endWhatEnded({ type, subjectId }: LogEntry): void {
    if (type === "api_key.revoked") this.endOf(({ keyId }) => keyId === subjectId)
    if (type === "workspace.deleted") for (const socket of [...this.#seats.keys()]) this.end(socket, "forbidden")
  }

  #sendText(socket: WebSocket, text: string): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    this.#backlog -= backlogOf(seat)
    const isStoring = countSent(seat, text.length)
    this.#backlog += backlogOf(seat)
    if (seat.until <= Date.now()) this.end(socket, "ended")
    else if (isSlow(seat)) this.end(socket, "slow")
    else this.#hand(socket, text)
    if (isStoring && this.#seats.has(socket)) this.#keep(socket, seat)
    while (this.#backlog > backlogAtMost) this.#endFurthestBehind()
  }

  #endFurthestBehind(): void {
    const furthest = [...this.#seats].reduce((a, b) => (backlogOf(b[1]) > backlogOf(a[1]) ? b : a))
    this.end(furthest[0], "slow")
  }

  #hand(socket: WebSocket, text: string): void {
    try {
      socket.send(text)
    } catch {
      // The connection is gone; its close event may come later, or never.
      this.forget(socket)
    }
  }

  #keep(socket: WebSocket, seat: Seat): void {
    this.#seats.set(socket, seat)
    socket.serializeAttachment(seat)
  }
}

/** Too much has happened, or it cannot be told here: the log has it. */
export const behind = (seq: number): ServerMessageView => ({
  type: "resync",
  seq,
  subject: { id: null, kind: "workspace" },
  data: { reason: "behind" },
  at: rfc3339(Date.now()),
})

function isStillSeen({ userId, looksAt }: Seat, { type, subjectId, projectId }: LogEntry, sight: FullSight): boolean {
  const role = sight.roles.get(userId)
  const isGone = type === "project.deleted" || (type === "task.deleted" && looksAt?.taskId === subjectId)
  const project = sight.projects.get(projectId ?? looksAt?.projectId ?? "")
  return !isGone && Boolean(role && seesProject({ userId, role }, project))
}

/** The message for a view. Most people see the same, whose text is made once. */
function textFor(view: EventView | null, shared?: Map<string, string>): string | null {
  if (!view) return null
  const { seq, type, previousProjectId, subjectKey, data, resync } = view
  // What may differ from one viewer to another; the rest is the entry's.
  const other = (data.after ?? data.before)?.["otherId"]
  const key = `${seq} ${type} ${previousProjectId} ${subjectKey} ${typeof other} ${Object.keys(data.before ?? {}).length} ${resync?.reason}`
  const text = shared?.get(key) ?? JSON.stringify(eventMessage(view))
  shared?.set(key, text)
  return text
}
