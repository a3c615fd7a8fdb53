import { type ActivityView, longestText } from "../contracts/activity.ts"
import type { EventView } from "../contracts/events.ts"
import type { LogEntry } from "../db/commit.ts"
import type { Role } from "../lib/roles.ts"
import { rfc3339 } from "../lib/time.ts"
import type { EventType } from "./event-types.ts"

// How an entry of the log looks to somebody who may see it.

export type Entry = LogEntry & {
  /** Set when the viewer sees the project where the subject was before. */
  isPreviousSeen: number | boolean | null
  /** Set when the subject was related to a task that the viewer sees. */
  isOtherSeen: number | boolean | null
}

const typesOf = (...types: EventType[]): ReadonlySet<string> => new Set(types)

/** What concerns only those who manage the workspace's people: addresses, who holds keys, and where the log is sent. */
export const ofManagers = typesOf(
  "invitation.created",
  "invitation.resent",
  "invitation.accepted",
  "invitation.revoked",
  "api_key.created",
  "api_key.updated",
  "api_key.revoked",
  "webhook.created",
  "webhook.updated",
  "webhook.deleted",
  "webhook.disabled",
  "webhook.enabled",
  "webhook.pinged",
  "webhook.replayed",
)

/** What is of no project and yet everybody's, guests among them. */
export const ofEverybody = typesOf("label.created", "label.updated", "label.deleted", "label.merged")

/** What concerns only the one who did it: what they follow, and what they keep at hand. */
export const ofActor = typesOf(
  "member.followed",
  "member.unfollowed",
  "member.muted",
  "member.unmuted",
  "member.reminder_set",
  "member.reminder_removed",
  "member.favourite_added",
  "member.favourite_removed",
)

type Data = LogEntry["data"]

/** What would tell of the project that something has left. */
const ofPrevious = new Set(["projectId", "key", "parentId"])
const ofOther = new Set(["otherId"])

/** What names another task as `otherId`. */
export const relating = typesOf("task.related", "task.unrelated")

/** The other task that an entry names; null where there is none. */
export function otherIn({ type, data }: Pick<LogEntry, "type" | "data">): string | null {
  const other = relating.has(type) ? (data.after ?? data.before)?.["otherId"] : null
  return typeof other === "string" ? other : null
}

const without = (fields: ReadonlySet<string>, part: Data["before"]) =>
  part && Object.fromEntries(Object.entries(part).filter(([field]) => !fields.has(field)))

/** An entry without what the viewer does not see: the place that its subject came from, the task that it was related to. */
function concealed<Told extends Entry>(entry: Told): Told {
  const { type, previousProjectId, isPreviousSeen, isOtherSeen, data } = entry
  if (relating.has(type) && !isOtherSeen) {
    return { ...entry, data: { before: without(ofOther, data.before), after: without(ofOther, data.after) } }
  }
  if (previousProjectId === null || isPreviousSeen) return entry
  return { ...entry, previousProjectId: null, data: { ...data, before: without(ofPrevious, data.before) } }
}

type Viewer = { userId: string; role: Role }

/** An entry as the log tells it to a viewer; null for one that is not for them. */
export function eventView(entry: Entry & { isSeen: number | boolean | null }, viewer: Viewer): EventView | null {
  const told = entry.isSeen ? concealed(entry) : leftBehind(entry, viewer)
  if (!told) return null
  const { seq, type, subjectId, subjectKey, revision, actorId, actorRole, source, at, ...rest } = told
  const { projectId, previousProjectId, data } = rest
  const who = { actorId, actorRole, source }
  const changed = changeOfSight(told, viewer)
  return {
    seq,
    type,
    subjectId,
    subjectKey,
    revision,
    ...who,
    projectId,
    previousProjectId,
    data,
    ...(changed && { resync: changed }),
    at: rfc3339(at),
  }
}

const nothing: Data = { before: null, after: null }

/** What tells a viewer that they see something no more; null where they never did, as far as the entry knows. */
function leftBehind(entry: Entry, { userId, role }: Viewer): Entry | null {
  const { type, projectId, previousProjectId, isPreviousSeen, data } = entry
  if (type === "task.moved" && isPreviousSeen) {
    const key = data.before?.["key"]
    return {
      ...entry,
      type: "task.hidden",
      subjectKey: typeof key === "string" ? key : null,
      projectId: previousProjectId,
      previousProjectId: null,
      data: nothing,
    }
  }
  const isTheirs = type === "project.member_removed" && data.before?.["userId"] === userId
  // Guests have never seen what was open to the workspace.
  const isClosed = type === "project.updated" && data.after?.["visibility"] === "private" && role !== "guest"
  if (projectId === null || !(isTheirs || isClosed)) return null
  return { ...entry, type: "project.hidden", subjectKey: null, previousProjectId: null, data: nothing }
}

/** What the viewer must read again, because with this entry they see more or less than before. */
function changeOfSight({ type, subjectId, projectId, data }: Entry, { userId }: Viewer): EventView["resync"] {
  const isNamed = type === "project.member_added" && data.after?.["userId"] === userId
  const isOpened = type === "project.updated" && data.after?.["visibility"] === "workspace"
  const isEntitled = type === "member.added" || (type === "member.updated" && data.after?.["role"] !== undefined)
  if (type === "project.hidden") return { reason: "lost", projectId }
  if (isNamed || isOpened) return { reason: "gained", projectId }
  return isEntitled && subjectId === userId ? { reason: "role", projectId: null } : undefined
}

export function activityView(entry: Entry & { actorName: string | null }): ActivityView {
  const { seq, type, subjectId, subjectKey, actorId, actorName, source, at, projectId, data } = concealed(entry)
  const [kind = ""] = type.split(".")
  return {
    seq,
    type,
    at: rfc3339(at),
    actor: { id: actorId, name: actorName },
    source,
    subject: { id: subjectId, key: subjectKey, kind },
    projectId,
    changes: changesOf(type === "task.moved" ? withKey(data, subjectKey) : data),
  }
}

/** The key that a move has given stands on the entry itself. */
const withKey = ({ before, after }: Data, key: string | null): Data => ({ before, after: { ...after, key } })

/** What stands beside the changes, of something new or gone. */
const beside = new Set(["id", "key", "projectId", "revision", "createdBy", "createdAt", "updatedAt"])

function changesOf({ before, after }: Data): ActivityView["changes"] {
  const isWhole = before === null || after === null
  return Object.keys({ ...before, ...after })
    .filter((field) => !(isWhole && beside.has(field)))
    .map((field) => ({ field, from: cut(before?.[field] ?? null), to: cut(after?.[field] ?? null) }))
    .filter(({ from, to }) => from !== null || to !== null)
}

function cut(value: unknown): unknown {
  if (typeof value !== "string" || value.length <= longestText) return value
  // Not between the halves of a character.
  return `${value.slice(0, longestText).replace(/[\ud800-\udbff]$/, "")}…`
}
