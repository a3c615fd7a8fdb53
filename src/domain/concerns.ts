import type { NotificationKind } from "../contracts/me.ts"
import type { LogEntry } from "../db/commit.ts"

/** Whom an entry concerns: some by name, and those who follow. The first kind that fits somebody is theirs. */
export type Concern = {
  entry: LogEntry
  taskId: string
  named: { kind: NotificationKind; userIds: string[] }[]
  /** What those are told who follow or do the task, and those who follow its project. */
  toFollowers: NotificationKind | null
  toProjectFollowers: NotificationKind | null
  text: string
}

const textLength = 200

const idsIn = (part: Record<string, unknown> | null, field: string): string[] => {
  const ids = part?.[field]
  return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : []
}

/** Who is there after an entry and was not before. */
const added = ({ data }: LogEntry, field: string): string[] => {
  const before = idsIn(data.before, field)
  return idsIn(data.after, field).filter((id) => !before.includes(id))
}

/** Null for an entry that concerns nobody: most do, and then nothing is asked. */
export function concernOf(entry: LogEntry): Concern | null {
  const { type, subjectId, data } = entry
  const nobody: Concern = { entry, taskId: subjectId, named: [], toFollowers: null, toProjectFollowers: null, text: "" }
  const assigned = { kind: "assigned" as const, userIds: added(entry, "assigneeIds") }
  switch (type) {
    case "task.created":
      return { ...nobody, named: [assigned], toProjectFollowers: "created" }
    case "task.closed":
      return { ...nobody, named: [assigned], toFollowers: "closed" }
    case "task.updated":
    case "task.reopened":
      return assigned.userIds.length > 0 ? { ...nobody, named: [assigned] } : null
    case "comment.created":
    case "comment.updated": {
      const { taskId, body } = { taskId: data.after?.["taskId"] ?? "", body: data.after?.["body"] ?? "" }
      const mentioned = { kind: "mentioned" as const, userIds: added(entry, "mentionIds") }
      const isNew = type === "comment.created"
      if (!isNew && mentioned.userIds.length === 0) return null
      return {
        ...nobody,
        taskId: String(taskId),
        named: [mentioned],
        toFollowers: isNew ? "commented" : null,
        toProjectFollowers: isNew ? "commented" : null,
        text: String(body).slice(0, textLength),
      }
    }
    default:
      return null
  }
}

/** As what somebody is told of an entry, if at all: never of what they did themselves. */
export function kindFor(
  userId: string,
  { entry, named, toFollowers, toProjectFollowers }: Concern,
  follows: { task: boolean; project: boolean },
): NotificationKind | null {
  if (userId === entry.actorId) return null
  const byName = named.find(({ userIds }) => userIds.includes(userId))?.kind
  return byName ?? (follows.task ? toFollowers : null) ?? (follows.project ? toProjectFollowers : null)
}
