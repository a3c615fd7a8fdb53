import type { EventView } from "../contracts/events.ts"
import type { LabelView } from "../contracts/labels.ts"
import type { MemberView } from "../contracts/members.ts"
import type { ProjectView } from "../contracts/projects.ts"
import type { SyncPageView } from "../contracts/sync.ts"
import type { TaskView } from "../contracts/tasks.ts"
import { avatarUrl } from "../lib/avatar.ts"

/** All that somebody sees of a workspace, by id, as of `seq` or later. */
export type Copy = {
  seq: number
  projects: Map<string, ProjectView>
  labels: Map<string, LabelView>
  members: Map<string, MemberView>
  tasks: Map<string, TaskView>
}

/** What an entry of the log leaves to be read: a row that the copy does not have in that state, a project, or everything. */
export type Missing =
  | { kind: "task" | "label" | "project-row"; id: string }
  | { kind: "project"; id: string }
  | { kind: "all" }

export const emptyCopy = (): Copy => ({
  seq: 0,
  projects: new Map(),
  labels: new Map(),
  members: new Map(),
  tasks: new Map(),
})

type Row = { id: string; revision: number; updatedAt: string }

/** Puts the rows of a page into the copy: of two states of a row the higher revision is the newer. */
export function addRows(copy: Copy, page: Pick<SyncPageView, "projects" | "labels" | "members" | "tasks">): void {
  for (const row of page.projects) addRow(copy.projects, row)
  for (const row of page.labels) addRow(copy.labels, row)
  for (const row of page.tasks) addRow(copy.tasks, row)
  for (const row of page.members) copy.members.set(row.userId, row)
}

export function addRow<Known extends Row>(rows: Map<string, Known>, row: Known): void {
  const known = rows.get(row.id)
  if (!known || known.revision < row.revision) rows.set(row.id, row)
}

/** Forgets a project and its tasks. */
export function dropProject({ projects, tasks }: Copy, id: string): void {
  projects.delete(id)
  for (const task of tasks.values()) if (task.projectId === id) tasks.delete(task.id)
}

/**
 * Applies an entry of the log, as `GET /events` or the socket tells it. Null: the copy is what it says. The number is
 * the caller's to set, once what is missing has been read: until then the entry is not done, and is applied again.
 */
export function applyEvent(copy: Copy, event: EventView): Missing | null {
  const { resync } = event
  if (resync?.reason === "gained" && resync.projectId !== null) return { kind: "project", id: resync.projectId }
  if (resync?.reason === "role") return { kind: "all" }
  const [kind = ""] = event.type.split(".")
  return appliers[kind]?.(copy, event) ?? null
}

const appliers: Record<string, (copy: Copy, event: EventView) => Missing | null> = {
  project: applyToProject,
  task: applyToTask,
  label: applyToLabel,
  member: applyToMember,
}

function applyToProject(copy: Copy, event: EventView): Missing | null {
  const { type, subjectId } = event
  if (type === "project.deleted" || type === "project.hidden") {
    dropProject(copy, subjectId)
    return null
  }
  const fields = /\.member_/.test(type) ? {} : { ...event.data.after }
  return changeRow(copy.projects, event, fields) ? null : { kind: "project-row", id: subjectId }
}

function applyToTask(copy: Copy, event: EventView): Missing | null {
  const { type, subjectId, subjectKey, data } = event
  if (type === "task.deleted" || type === "task.hidden") {
    copy.tasks.delete(subjectId)
    return null
  }
  const fields = /related$/.test(type) ? {} : { ...data.after, ...(subjectKey !== null && { key: subjectKey }) }
  return changeRow(copy.tasks, event, fields) ? null : { kind: "task", id: subjectId }
}

function applyToLabel(copy: Copy, event: EventView): Missing | null {
  const { type, subjectId, data } = event
  if (type !== "label.deleted" && type !== "label.merged") {
    return changeRow(copy.labels, event, { ...data.after }) ? null : { kind: "label", id: subjectId }
  }
  copy.labels.delete(subjectId)
  const into = data.after?.["mergedInto"]
  // One entry for all its tasks, whose revisions it leaves as they are.
  for (const task of copy.tasks.values()) {
    if (!task.labelIds.includes(subjectId)) continue
    const others = task.labelIds.filter((id) => id !== subjectId)
    const labelIds = typeof into === "string" ? [...new Set([...others, into])].sort() : others
    copy.tasks.set(task.id, { ...task, labelIds })
  }
  return null
}

/** What only the member themself is told raises a revision too, so of members the higher one counts. */
function applyToMember({ members }: Copy, { type, subjectId, revision, data, at }: EventView): Missing | null {
  if (type === "member.removed") members.delete(subjectId)
  const known = members.get(subjectId)
  const after = data.after as Partial<MemberView> | null
  if (type === "member.added" && after?.name !== undefined && after.role !== undefined) {
    const { name, role } = after
    const times = { createdAt: known?.createdAt ?? at, updatedAt: at }
    members.set(subjectId, { userId: subjectId, name, role, avatarUrl: avatarUrl(subjectId, name), revision, ...times })
  }
  if (type === "member.updated" && known && known.revision < revision) {
    const name = after?.name ?? known.name
    members.set(subjectId, { ...known, ...after, name, avatarUrl: avatarUrl(subjectId, name), revision, updatedAt: at })
  }
  return null
}

/** Whether the row is in that state, or a newer one, now. False: the state before it is not there to be changed. */
function changeRow<Known extends Row>(rows: Map<string, Known>, event: EventView, fields: object): boolean {
  const { subjectId, subjectKey, revision, at, data } = event
  const known = rows.get(subjectId)
  if (known && known.revision >= revision) return true
  const isNew = data.before === null && revision === 1
  if (isNew) {
    const key = subjectKey === null ? {} : { key: subjectKey }
    rows.set(subjectId, { id: subjectId, ...key, ...fields, revision } as unknown as Known)
    return true
  }
  if (known?.revision !== revision - 1) return false
  rows.set(subjectId, { ...known, ...fields, revision, updatedAt: at })
  return true
}
