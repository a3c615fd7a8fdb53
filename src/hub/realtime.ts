import { ClientMessage, type closeCodes } from "../contracts/realtime.ts"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { readLog } from "../domain/log.ts"
import { seesProject } from "../domain/sight.ts"
import { batchSize } from "../events/lane.ts"
import { isOutage } from "../events/outage.ts"
import type { Reader, ReaderCtx } from "../events/reader.ts"
import { rfc3339 } from "../lib/time.ts"
import { Audience, type FullSight } from "./audience.ts"
import type { NewSeat } from "./seat.ts"
import { behind, Sockets } from "./sockets.ts"

/** Whom the gateway lets in. `nonce`: of the ticket that they came with, which is good for one socket. */
export type Admission = { workspaceId: string; since: number | null; nonce: string | null; seat: NewSeat }
export const admissionHeader = "edgewise-admission"

/** How much that was missed is told over a socket; beyond that the client reads it over HTTP. */
export const toldAtMost = 1_000

/** The longest message that a client has reason to send. */
const longestMessage = 1_024

type Options = {
  state: DurableObjectState
  withDb: <T>(work: (db: Db) => Promise<T>) => Promise<T>
  workspaceId: () => string
  /** How far the hub says that this reader has come. */
  cursor: () => number
}

/** The reader of the log whose readers are people: it tells the sockets of a workspace, in order. */
export class Realtime implements Reader {
  readonly name = "realtime"
  readonly sockets: Sockets
  #audience = new Audience()
  /** The newest look of each socket that is being judged. */
  readonly #looks = new WeakMap<WebSocket, object>()
  #told = 0
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
    this.sockets = new Sockets(options.state)
  }

  /** All that may fail comes first, so that no socket is told of a part and then again of the whole. */
  async read({ db, workspaceId }: ReaderCtx, entries: readonly LogEntry[]): Promise<void> {
    const sight = await this.#sightOfAll(db, workspaceId, entries)
    if (sight) this.sockets.tell(entries, sight)
    this.#told = entries.at(-1)?.seq ?? this.#told
  }

  /** What could not be told is not kept silent: everybody is asked to read the log, which has it. */
  skip(seq: number): void {
    this.#audience = new Audience()
    this.#told = Math.max(this.#told, seq)
    this.sockets.askToRead(seq)
  }

  /** The log ends earlier than it did: everybody is asked to read it, and goes on from there. */
  goBackTo(seq: number): void {
    this.#audience = new Audience()
    this.#told = seq
    this.sockets.goBackTo(seq)
  }

  /** What everybody who has a socket by then may know; null when nobody has one. */
  async #sightOfAll(db: Db, workspaceId: string, entries: readonly LogEntry[]): Promise<FullSight | null> {
    while (this.sockets.size > 0) {
      const userIds = this.sockets.userIds()
      const projectIds = this.sockets.projectsLookedAtBy(changedMembersIn(entries))
      const sight = await this.#audience.sightFor(db, workspaceId, { entries, userIds, projectIds })
      // Somebody may have come while the database was asked.
      if (this.sockets.userIds().every((id) => sight.roles.has(id))) return sight
    }
    // Entries that nobody is told of do not come by the audience, which is then out of date.
    this.#audience = new Audience()
    return null
  }

  /** How far live sockets have been told: in the same moment, and not once the hub has heard of it. */
  #cursor(): number {
    return Math.max(this.#told, this.#options.cursor())
  }

  /**
   * Tells a new socket what came after `since`, and then makes it live. What it missed is read as far as live sockets
   * have been told and no further: beyond that, who sees what is not known yet.
   */
  async welcome(socket: WebSocket, { userId }: NewSeat, since: number | null): Promise<void> {
    let told = since ?? this.#cursor()
    const askToRead = () => {
      told = this.#cursor()
      this.sockets.send(socket, behind(told))
    }
    if (told < this.#cursor() - toldAtMost || told > this.#cursor()) askToRead()
    try {
      while (told < this.#cursor() && this.sockets.seatAt(socket)) told = await this.#tellMissed(socket, userId, told)
    } catch (error) {
      if (isOutage(error)) throw error
      // What cannot be told is read there: coming again would not help.
      askToRead()
    }
    this.sockets.send(socket, { type: "ready", seq: told, at: rfc3339(Date.now()) })
    this.sockets.goLive(socket, told)
  }

  /** Tells some of what came after a number, and resolves with the last one that was told. */
  async #tellMissed(socket: WebSocket, userId: string, after: number): Promise<number> {
    const { withDb, workspaceId } = this.#options
    const limit = Math.min(batchSize, this.#cursor() - after)
    const entries = await withDb((db) => readLog(db, workspaceId(), { after, limit }))
    const sight = await withDb((db) => this.#audience.sightFor(db, workspaceId(), { entries, userIds: [userId] }))
    this.sockets.tellMissed(socket, entries, sight)
    // The log is shorter than it was: there is nothing between.
    return entries.at(-1)?.seq ?? this.#cursor()
  }

  /** Answers a message with what it asked for, or ends the socket that sent what is none. */
  async hear(socket: WebSocket, text: string | ArrayBuffer, now: number): Promise<void> {
    const refuse = (why: keyof typeof closeCodes) => this.sockets.end(socket, why)
    const message = parseMessage(text)
    if (!message) return refuse("malformed")
    if (message.type === "ack") return this.sockets.received(socket, message.received)
    if (!this.sockets.mayAsk(socket, now)) return refuse("flood")
    if (message.taskId === null) {
      this.#looks.delete(socket)
      return this.sockets.look(socket, null)
    }
    await this.#look(socket, message.taskId)
  }

  left(socket: WebSocket): void {
    const seat = this.sockets.forget(socket)
    if (!seat) return
    if (seat.looksAt) this.sockets.tellLookers(seat.looksAt.taskId)
  }

  /** Who does not see a task looks at nothing, and is told nothing. Of several looks the last one counts. */
  async #look(socket: WebSocket, taskId: string): Promise<void> {
    const { withDb, workspaceId } = this.#options
    const userId = this.sockets.seatAt(socket)?.userId
    if (userId === undefined) return
    const look = {}
    this.#looks.set(socket, look)
    await withDb(async (db) => {
      const question = { entries: [], userIds: [userId], taskIds: [taskId] }
      const { roles, taskProjects, projects } = await this.#audience.sightFor(db, workspaceId(), question)
      // In the same moment: what is told next ends the look if it hides the task.
      if (this.#looks.get(socket) !== look) return
      const role = roles.get(userId)
      const projectId = taskProjects.get(taskId)
      const isSeen = projectId && role && seesProject({ userId, role }, projects.get(projectId))
      this.sockets.look(socket, isSeen ? { taskId, projectId } : null)
    })
  }
}

const changedMembersIn = (entries: readonly LogEntry[]): string[] =>
  entries.flatMap(({ type, subjectId }) => (type === "member.updated" ? subjectId : []))

function parseMessage(text: string | ArrayBuffer) {
  if (typeof text !== "string" || text.length > longestMessage) return null
  try {
    return ClientMessage.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
