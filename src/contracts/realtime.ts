import * as z from "zod"
import { id } from "./common.ts"
import { Event, type EventView } from "./events.ts"

// What goes over the socket of a workspace. Every message that the server sends has a `seq`: how far its sender has
// told the log.

export const Ticket = z
  .object({
    ticket: z.string().meta({ description: "For `GET /realtime?ticket=`: once, and soon" }),
    expiresIn: z.int().meta({ description: "Seconds" }),
  })
  .meta({ id: "RealtimeTicket" })

export const RealtimeQuery = z.strictObject({
  ticket: z.string().max(2_000).optional().meta({ description: "Instead of an Authorization header" }),
  since: z.coerce
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: "The last number that you know: what came after it is told first. From now on when omitted" }),
})

const seq = z.int()
const at = Event.shape.at
const subject = z.object({ id: z.string(), kind: z.string() })

/** Something happened: an entry of the log, as `GET /events` tells it. */
export const EventMessage = z
  .object({
    seq,
    type: Event.shape.type,
    subject: subject.extend({ key: z.string().nullable(), revision: z.int() }),
    actor: z.object({ id: z.string(), role: z.string() }),
    source: z.string(),
    projectId: Event.shape.projectId,
    previousProjectId: Event.shape.previousProjectId,
    data: Event.shape.data,
    // In the same message: were it one of its own, a break between the two would lose it.
    resync: Event.shape.resync,
    at,
  })
  .meta({ id: "EventMessage" })

/** All that was missed has been told: from here on it is live. */
export const ReadyMessage = z.object({ type: z.literal("ready"), seq, at }).meta({ id: "ReadyMessage" })

/** The log has to be read: what happened is not told here. */
export const ResyncMessage = z
  .object({
    type: z.literal("resync"),
    seq,
    subject: z.object({ id: z.null(), kind: z.literal("workspace") }),
    data: z.object({ reason: z.literal("behind") }),
    at,
  })
  .meta({
    id: "ResyncMessage",
    description:
      "Too much was missed to be told here: read GET /events from the last number that you know. What an event leaves to be read again stands in its own `resync`",
  })

/** Who looks at a task. Not in the log, and told to those who look at it too. */
export const PresenceMessage = z
  .object({
    type: z.literal("presence"),
    seq,
    subject: z.object({ id: id("task"), kind: z.literal("task") }),
    data: z.object({ userIds: z.array(id("user")) }),
    at,
  })
  .meta({ id: "PresenceMessage" })

export const ServerMessage = z.union([ReadyMessage, ResyncMessage, PresenceMessage, EventMessage])
export type EventMessageView = z.output<typeof EventMessage>
export type ServerMessageView = z.output<typeof ServerMessage>

export const AckMessage = z
  .strictObject({ type: z.literal("ack"), received: z.int().min(0) })
  .meta({ id: "AckMessage", description: "How many characters of messages were received so far on this socket" })

export const LookMessage = z
  .strictObject({ type: z.literal("look"), taskId: id("task").nullable() })
  .meta({ id: "LookMessage", description: "What task is looked at now; null: none" })

export const ClientMessage = z.discriminatedUnion("type", [AckMessage, LookMessage])
export type ClientMessageInput = z.output<typeof ClientMessage>

/** Why the server ends a socket. */
export const closeCodes = {
  /** The credentials have ended: sign in again, or take a new ticket. */
  ended: 4401,
  /** No longer a member, or the workspace is gone. */
  forbidden: 4403,
  /** Too much was sent that was not acknowledged. */
  slow: 4408,
  /** A message that is none. */
  malformed: 4400,
  /** Too many messages. */
  flood: 4429,
} as const

/** What has events of its own, by how its ids begin. */
const kinds: Record<string, string> = {
  com: "comment",
  inv: "invitation",
  key: "apiKey",
  lbl: "label",
  prj: "project",
  tsk: "task",
  usr: "member",
  whk: "webhook",
  wsp: "workspace",
}

/** An event in the form of the socket. */
export function eventMessage(event: EventView): EventMessageView {
  const { seq: number, type, subjectId, subjectKey, revision, actorId, actorRole, source, ...rest } = event
  const { projectId, previousProjectId, data, resync, at: time } = rest
  const [prefix = ""] = subjectId.split("_")
  const kind = kinds[prefix] ?? "unknown"
  return {
    seq: number,
    type,
    subject: { id: subjectId, kind, key: subjectKey, revision },
    actor: { id: actorId, role: actorRole },
    source,
    projectId,
    previousProjectId,
    data,
    ...(resync && { resync }),
    at: time,
  }
}
