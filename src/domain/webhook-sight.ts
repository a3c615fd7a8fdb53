import { and, eq, sql } from "drizzle-orm"
import type { BatchResponse } from "drizzle-orm/batch"
import type { EventView } from "../contracts/events.ts"
import type { WebhookMessageView, webhookEvents } from "../contracts/webhooks.ts"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { cutTexts } from "../lib/cut-texts.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Visibility } from "./access.ts"
import { eventView, ofActor, ofManagers, otherIn } from "./activity-views.ts"
import type { EventType } from "./event-types.ts"
import { decisiveIn, selectProjectsOfTasks, selectVisibility } from "./sight.ts"
import type { Webhook } from "./webhook-rows.ts"

// What of the log a webhook is sent: what any member may see of the projects that it is for, whoever made it.

type Filters = Pick<Webhook, "id" | "events" | "projectIds" | "labelIds">

// All that it can ask for is a type of event.
true satisfies (typeof webhookEvents)[number] extends EventType ? true : false

/** What decides what is sent of some entries: as it is now, which may be later than they are. */
export type Surroundings = {
  /** The projects that the entries name, as far as they are not deleted for good. */
  projects: ReadonlyMap<string, Visibility>
  /** In which project the other tasks are that they name. */
  taskProjects: ReadonlyMap<string, string>
  /** The labels of the tasks, by the id of the task or the comment that the entry is about. */
  labels: ReadonlyMap<string, ReadonlySet<string>>
}

const ping: EventType = "webhook.pinged"

/** Who could be sent it, before anything is known of its surroundings. */
export function mayConcern({ type, subjectId }: LogEntry, { id, events }: Filters): boolean {
  if (type === ping) return subjectId === id
  const isPrivate = ofManagers.has(type) || ofActor.has(type)
  return !isPrivate && (events.length === 0 || events.includes(type))
}

/** An entry as a webhook is sent it; null for one that it does not ask for, or does not see. */
export function sentOf(entry: LogEntry, webhook: Filters, around: Surroundings): EventView | null {
  const isAsked = mayConcern(entry, webhook) && hasLabel(entry, webhook, around)
  return isAsked ? viewFor(entry, webhook, around) : null
}

/** An entry as a webhook sees it; null for one that it does not see, whether or not it asked for it. */
export function viewFor(
  entry: LogEntry,
  { projectIds }: Pick<Filters, "projectIds">,
  around: Surroundings,
): EventView | null {
  const other = otherIn(entry)
  const sees = (id: string | null | undefined) =>
    Boolean(id) && (projectIds ? projectIds.includes(id ?? "") : around.projects.get(id ?? "") === "workspace")
  const isSeen = entry.projectId === null ? projectIds === null || entry.type === ping : sees(entry.projectId)
  const isPreviousSeen = sees(entry.previousProjectId)
  // What it never was for is not told to be hidden from it.
  if (!isSeen && projectIds && !isPreviousSeen) return null
  const isOtherSeen = other !== null && sees(around.taskProjects.get(other))
  // Nobody in particular: what tells people that they see more or less is not for it.
  return eventView({ ...entry, isSeen, isPreviousSeen, isOtherSeen }, { userId: "", role: "member" })
}

function hasLabel({ type, subjectId, data }: LogEntry, { labelIds }: Filters, { labels }: Surroundings): boolean {
  if (labelIds === null || type === ping) return true
  if (!isAboutTask(type)) return false
  const inData = [data.before?.["labelIds"], data.after?.["labelIds"]].flatMap((ids) => (Array.isArray(ids) ? ids : []))
  return labelIds.some((id) => labels.get(subjectId)?.has(id) || inData.includes(id))
}

const isAboutTask = (type: string) => /^(?:task|comment)\./.test(type)

/** Brings the surroundings of entries: one trip, and of each kind no more rows than there are entries, or their labels. */
export async function findSurroundings(
  db: Db,
  workspaceId: string,
  entries: readonly LogEntry[],
): Promise<Surroundings> {
  return surroundingsIn(await db.read(...selectSurroundings(db, workspaceId, entries)))
}

/** The same, to be read beside something else: for `surroundingsIn`. */
export function selectSurroundings(db: Db, workspaceId: string, entries: readonly LogEntry[]) {
  const { sql: builder, oneOf } = db
  const { comments, taskLabels } = db.tables
  const { projectIds, taskIds } = decisiveIn(entries)
  const subjects = (kind: string) => [
    ...new Set(entries.filter(({ type }) => type.startsWith(kind)).map(({ subjectId }) => subjectId)),
  ]
  return [
    selectVisibility(db, workspaceId, projectIds),
    selectProjectsOfTasks(db, workspaceId, taskIds),
    builder
      .select({ id: taskLabels.taskId, labelId: taskLabels.labelId })
      .from(taskLabels)
      .where(and(eq(taskLabels.workspaceId, workspaceId), oneOf(taskLabels.taskId, subjects("task.")))),
    builder
      .select({ id: comments.id, labelId: taskLabels.labelId })
      .from(comments)
      .innerJoin(
        taskLabels,
        and(eq(taskLabels.workspaceId, workspaceId), sql`${taskLabels.taskId} = ${comments.taskId}`),
      )
      .where(and(eq(comments.workspaceId, workspaceId), oneOf(comments.id, subjects("comment.")))),
  ] as const
}

type FoundRows = BatchResponse<ReturnType<typeof selectSurroundings>>

export function surroundingsIn([found, others, ofTasks, ofComments]: FoundRows): Surroundings {
  const labels = Map.groupBy([...ofTasks, ...ofComments], ({ id }) => id)
  return {
    projects: new Map(found.map(({ id, visibility }) => [id, visibility])),
    taskProjects: new Map(others.map(({ id, projectId }) => [id, projectId])),
    labels: new Map([...labels].map(([id, rows]) => [id, new Set(rows.map(({ labelId }) => labelId))])),
  }
}

/** The body is kept under this by cutting its texts. */
export const messageAtMost = 20_000
/** What stands around the fields, and the list of what was cut. */
const spared = 2_000

export function messageOf(workspaceId: string, told: EventView, at: number): WebhookMessageView {
  const { type, at: _at, data, resync: _resync, ...about } = told
  const { value, pointers } = cutTexts(data, messageAtMost - spared)
  const { before, after } = value as EventView["data"]
  const cut = pointers.map((pointer) => `/data${pointer}`)
  return { type, timestamp: rfc3339(at), data: { workspaceId, ...about, before, after, cut } }
}
