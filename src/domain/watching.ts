import { and, eq, isNull, sql } from "drizzle-orm"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { memberSees } from "./assignees.ts"
import type { Settings } from "./settings.ts"
import { settingsIn } from "./settings.ts"
import { isClosed } from "./tasks.ts"
import { latest, momentOf, type Standing, type Watch, type Watched } from "./watches.ts"

// What entries of the log give people's hubs to watch, and what the hubs look up when it is time.

/** What an entry may give somebody to watch. Null `userIds`: whoever does the task, or has a reminder of it. */
type Given = { taskId: string; userIds: string[] | null; since: number }

/**
 * Null for an entry that gives nobody anything to watch. What takes something away is not looked at: whoever watches
 * looks again when it is time.
 */
export function givenBy({ type, subjectId, actorId, data: { before, after }, at: since }: LogEntry): Given | null {
  switch (type) {
    case "task.created":
      return after?.["due"] ? { taskId: subjectId, userIds: idsIn(after), since } : null
    case "task.reopened":
      return { taskId: subjectId, userIds: null, since }
    case "task.updated":
    case "task.closed":
      if (after?.["due"]) return { taskId: subjectId, userIds: null, since }
      return after?.["assigneeIds"] ? { taskId: subjectId, userIds: added(before, after), since } : null
    case "member.reminder_set":
      return { taskId: String(after?.["taskId"]), userIds: [actorId], since }
    default:
      return null
  }
}

type Fields = Record<string, unknown> | null
const idsIn = (fields: Fields): string[] => (fields?.["assigneeIds"] ?? []) as string[]
const added = (before: Fields, after: Fields) => idsIn(after).filter((id) => !idsIn(before).includes(id))

/** What entries give people to watch, as the tasks stand now: one trip, and none when it is nothing. */
export async function watchedIn(
  { read, sql: builder, tables: { reminders, taskAssignees, tasks }, oneOf }: Db,
  workspaceId: string,
  entries: readonly LogEntry[],
): Promise<Map<string, Watched[]>> {
  const given = entries.flatMap((entry) => givenBy(entry) ?? []).filter(({ userIds }) => userIds?.length !== 0)
  if (given.length === 0) return new Map()
  const taskIds = [...new Set(given.map(({ taskId }) => taskId))]
  const [found, assigned, reminding] = await read(
    builder
      .select({ id: tasks.id, status: tasks.status, dueAt: tasks.dueAt, dueDate: tasks.dueDate })
      .from(tasks)
      .where(and(eq(tasks.workspaceId, workspaceId), oneOf(tasks.id, taskIds), isNull(tasks.deletedAt))),
    builder
      .select({ taskId: taskAssignees.taskId, userId: taskAssignees.userId })
      .from(taskAssignees)
      .where(and(eq(taskAssignees.workspaceId, workspaceId), oneOf(taskAssignees.taskId, taskIds))),
    builder
      .select()
      .from(reminders)
      .where(and(eq(reminders.workspaceId, workspaceId), oneOf(reminders.taskId, taskIds))),
  )
  const watched = new Map<string, Watched[]>()
  for (const task of found.filter((each) => !isClosed(each))) {
    const due = assigned.flatMap(({ taskId, userId }) => (taskId === task.id ? [{ userId, reminderId: null }] : []))
    const own = reminding.filter(({ taskId }) => taskId === task.id)
    for (const [userId, theirs] of Map.groupBy([...due, ...own.map(asWanted)], (each) => each.userId)) {
      const since = sinceFor(userId, task.id, given)
      const watches = theirs.flatMap((wanted) => watchOf(task, wanted) ?? [])
      if (since === null || !watches.some((watch) => latest(watch) >= since)) continue
      watched.set(userId, [...(watched.get(userId) ?? []), { workspaceId, taskId: task.id, since, watches }])
    }
  }
  return watched
}

type Wanted = { userId: string; reminderId: string | null; at?: number | null; beforeMs?: number | null }

const asWanted = ({ id, userId, at, beforeMs }: { id: string; userId: string } & Pick<Wanted, "at" | "beforeMs">) => ({
  userId,
  reminderId: id,
  at: at ?? null,
  beforeMs: beforeMs ?? null,
})

function watchOf(task: Parameters<typeof momentOf>[0], { reminderId, at, beforeMs }: Wanted): Watch | null {
  const moment = at ? { at, date: null, beforeMs: 0 } : momentOf(task, beforeMs ?? 0)
  return moment && { reminderId, ...moment }
}

/** The first of the entries decides, so that nothing that came true since is lost; null when none is about them. */
function sinceFor(userId: string, taskId: string, given: Given[]): number | null {
  const theirs = given.filter((one) => one.taskId === taskId && (one.userIds?.includes(userId) ?? true))
  return theirs.length > 0 ? Math.min(...theirs.map(({ since }) => since)) : null
}

// ---- when it is time ----

export type WatchedTask = Standing & { id: string; key: string; title: string; projectId: string }
export type Watcher = { email: string; timeZone: string; settings: Settings; isVerified: boolean }

type Asked = { workspaceId: string; taskIds: string[]; reminderIds: string[] }

/** A person and the tasks of theirs that they see, by workspace: one trip. Null for somebody who is not there. */
export async function lookUp(
  db: Db,
  userId: string,
  asked: Asked[],
): Promise<{ watcher: Watcher; tasks: Map<string, WatchedTask>[] } | null> {
  const { users } = db.tables
  const person = db.sql
    .select({
      email: users.email,
      timeZone: users.timeZone,
      settings: users.settings,
      verifiedAt: users.emailVerifiedAt,
    })
    .from(users)
    .where(eq(users.id, userId))
  const [[user], ...found] = await db.read(person, ...asked.flatMap((one) => selectWatched(db, userId, one)))
  if (!user) return null
  const { email, timeZone, settings, verifiedAt } = user
  const tasks = asked.map((_, index) => {
    const [rows = [], reminders = []] = found.slice(index * 2) as unknown as [Seen[]?, Reminding[]?]
    return new Map(rows.map((row) => [row.id, standingOf(row, reminders)]))
  })
  return { watcher: { email, timeZone, settings: settingsIn("", settings), isVerified: verifiedAt !== null }, tasks }
}

type Seen = Omit<WatchedTask, "isOpen" | "reminders" | "isAssigned" | "isMuted"> & {
  status: Parameters<typeof isClosed>[0]["status"]
  isAssigned: number | boolean
  isMuted: number | boolean
}
type Reminding = { id: string; taskId: string; at: number | null; beforeMs: number | null }

const standingOf = ({ status, ...row }: Seen, reminders: Reminding[]): WatchedTask => ({
  ...row,
  isOpen: !isClosed({ status }),
  isAssigned: Boolean(row.isAssigned),
  isMuted: Boolean(row.isMuted),
  reminders: new Map(reminders.filter(({ taskId }) => taskId === row.id).map((each) => [each.id, each])),
})

function selectWatched(db: Db, userId: string, { workspaceId, taskIds, reminderIds }: Asked) {
  const { members, mutes, profiles, projects, reminders, taskAssignees, tasks } = db.tables
  // Conditions are parts of their own: a column that stands in the selection itself is written without its table.
  const ofTask = sql`a.workspace_id = ${workspaceId} and a.task_id = ${tasks.id}`
  const ofSubject = sql`s.workspace_id = ${workspaceId} and s.user_id = ${userId} and s.subject_id in (${tasks.id}, ${tasks.projectId})`
  const isDeleted = sql`(select w.deleted_at from ${profiles} w where w.workspace_id = ${workspaceId}) is not null`
  const isThere = sql`select 1 from ${projects} p join ${members} m on m.workspace_id = ${workspaceId} and m.user_id = ${userId} and m.removed_at is null where p.workspace_id = ${workspaceId} and p.id = ${tasks.projectId} and p.deleted_at is null and ${memberSees({ db, workspaceId })}`
  const isAssigned = sql<number>`((select 1 from ${taskAssignees} a where ${ofTask} and a.user_id = ${userId}) is not null)`
  const isMuted = sql<number>`((select 1 from ${mutes} s where ${ofSubject} limit 1) is not null)`
  return [
    db.sql
      .select({
        id: tasks.id,
        key: tasks.key,
        title: tasks.title,
        projectId: tasks.projectId,
        status: tasks.status,
        dueAt: tasks.dueAt,
        dueDate: tasks.dueDate,
        isAssigned: isAssigned.as("is_assigned"),
        isMuted: isMuted.as("is_muted"),
      })
      .from(tasks)
      .where(
        and(
          eq(tasks.workspaceId, workspaceId),
          db.oneOf(tasks.id, taskIds),
          isNull(tasks.deletedAt),
          sql`(${isThere}) is not null and not ${isDeleted}`,
        ),
      ),
    db.sql
      .select({ id: reminders.id, taskId: reminders.taskId, at: reminders.at, beforeMs: reminders.beforeMs })
      .from(reminders)
      .where(
        and(eq(reminders.workspaceId, workspaceId), db.oneOf(reminders.id, reminderIds), eq(reminders.userId, userId)),
      ),
  ] as const
}
