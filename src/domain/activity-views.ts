import { type ActivityView, longestText } from "../contracts/activity.ts"
import type { EventView } from "../contracts/events.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339 } from "../lib/time.ts"
import type { EventType } from "./events.ts"

// How an entry of the log looks to somebody who may see it.

export type Entry = Omit<Row<"events">, "workspaceId" | "commitId"> & {
  /** Set when the viewer sees the project where the subject was before. */
  isPreviousSeen: number | null
  /** Set when the subject was related to a task that the viewer sees. */
  isOtherSeen: number | null
}

type Data = Row<"events">["data"]

/** What would tell of the project that something has left. */
const ofPrevious = new Set(["projectId", "key", "parentId"])
const ofOther = new Set(["otherId"])

/** What names another task as `otherId`. */
export const relating: EventType[] = ["task.related", "task.unrelated"]

const without = (fields: ReadonlySet<string>, part: Data["before"]) =>
  part && Object.fromEntries(Object.entries(part).filter(([field]) => !fields.has(field)))

/** An entry without what the viewer does not see: the place that its subject came from, the task that it was related to. */
function concealed<Told extends Entry>(entry: Told): Told {
  const { type, previousProjectId, isPreviousSeen, isOtherSeen, data } = entry
  if (relating.some((name) => name === type) && !isOtherSeen) {
    return { ...entry, data: { before: without(ofOther, data.before), after: without(ofOther, data.after) } }
  }
  if (previousProjectId === null || isPreviousSeen) return entry
  return { ...entry, previousProjectId: null, data: { ...data, before: without(ofPrevious, data.before) } }
}

export function eventView(entry: Entry): EventView {
  const { seq, type, subjectId, subjectKey, revision, actorId, actorRole, source, at, ...rest } = concealed(entry)
  const { projectId, previousProjectId, data } = rest
  const who = { actorId, actorRole, source }
  return { seq, type, subjectId, subjectKey, revision, ...who, projectId, previousProjectId, data, at: rfc3339(at) }
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
