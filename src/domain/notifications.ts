import { and, asc, eq, isNull, sql } from "drizzle-orm"
import type { NotificationKind } from "../contracts/me.ts"
import type { NotificationQueryInput, NotificationView } from "../contracts/notifications.ts"
import { idPattern } from "../lib/ids.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import { andVisible } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { permit } from "./permissions.ts"

/** Of what somebody is told. */
export type News = {
  workspaceId: string
  kind: NotificationKind
  /**
   * The entry of the log, or for what time tells, when it was due: with the task it makes the news one of its kind, and
   * whoever brings the same news again brings nothing.
   */
  seq: number
  projectId: string
  taskId: string
  taskKey: string
  title: string
  /** Who did it; null for what time did. */
  actorId: string | null
  actorName: string | null
  /** A comment's beginning, a due date: what there is to say beside the title. */
  text: string
  /** Epoch milliseconds. */
  at: number
  /** Whether it stands in the inbox, and when it goes out by mail: what the person has chosen. Null: not at all. */
  inbox: boolean
  mailAt: number | null
}

/** A notification as it is kept; times in epoch milliseconds. */
export type Kept = Omit<News, "inbox" | "mailAt"> & { id: string; readAt: number | null }

/** How the text begins of what somebody wanted to be reminded of; else it is when the task is due. */
export const reminder = "Reminder"
export const isReminder = ({ kind, text }: Kept): boolean => kind === "due" && text.startsWith(reminder)

/** That somebody is no member any more: the entry of the log that says so, and its time. */
export type Departure = { seq: number; at: number }

export type Listed = { workspaceId: string; unread: boolean; before: string | null; limit: number }

/** The inboxes of all people, each kept with its person and not in the database. */
export type Inboxes = {
  /** Newest first, older than `before`. */
  list(userId: string, query: Listed): Promise<Kept[]>
  /** By workspace, where there is any. */
  unread(userId: string): Promise<Record<string, number>>
  /** Whether there is such a notification. */
  mark(userId: string, workspaceId: string, id: string, readAt: number | null): Promise<boolean>
  markUpTo(userId: string, workspaceId: string, id: string | null, readAt: number): Promise<void>
  /** Sends what should be mailed by now; since when, in epoch milliseconds, null: nothing was. */
  sendOwedMail(userId: string): Promise<number | null>
  /** Takes away everything of a workspace that is gone for good. */
  forget(userId: string, workspaceId: string): Promise<void>
  /** Told when somebody's time zone has changed. */
  changeZone(userId: string): Promise<void>
}

/** What the actor has been told in the active workspace, newest first; of what they see no more, without what it says. */
export async function listNotifications(
  ctx: Ctx,
  inboxes: Inboxes,
  { unread, limit, cursor }: NotificationQueryInput,
): Promise<{ data: NotificationView[]; next: string | null }> {
  permit(ctx, "event:read")
  const { workspaceId, actor } = ctx
  const list = `${workspaceId} notifications ${actor.userId} ${unread}`
  const place = parseCursor(list, "string", cursor)
  const rows = await inboxes.list(actor.userId, { workspaceId, unread, before: place?.id ?? null, limit: limit + 1 })
  const page = cutRows(rows, limit, list, ({ id }) => placeOfId(id))
  const seen = await findSeen(ctx, [...new Set(page.rows.map(({ taskId }) => taskId))])
  const data = page.rows.map((row) => notificationView(seen.has(row.taskId) ? row : { ...row, title: "", text: "" }))
  return { data, next: page.next }
}

/** Which of these tasks the actor sees, where they are now: one trip, and none for no tasks. */
export async function findSeen(
  viewer: Pick<Ctx, "db" | "workspaceId" | "actor">,
  taskIds: readonly string[],
): Promise<Set<string>> {
  if (taskIds.length === 0) return new Set()
  const { db, workspaceId } = viewer
  const { projects, tasks } = db.tables
  const project = sql`select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = ${tasks.projectId} and p.deleted_at is null ${andVisible(viewer)}`
  const [rows] = await db.read(
    db.sql
      .select({ id: tasks.id })
      .from(tasks)
      .where(
        and(
          eq(tasks.workspaceId, workspaceId),
          db.oneOf(tasks.id, taskIds),
          isNull(tasks.deletedAt),
          sql`(${project}) is not null`,
        ),
      ),
  )
  return new Set(rows.map(({ id }) => id))
}

/**
 * How much is unread, of a person everywhere, and through a key in its workspace. Not where they are no member any more,
 * nor in what is deleted: nobody could read it there.
 */
export async function countUnread(
  ctx: Ctx,
  inboxes: Inboxes,
): Promise<{ unread: number; workspaces: Record<string, number> }> {
  permit(ctx, "event:read")
  const { workspaceId, actor } = ctx
  const counts = await inboxes.unread(actor.userId)
  const unread = counts[workspaceId] ?? 0
  const own = unread > 0 ? { [workspaceId]: unread } : {}
  const others = Object.keys(counts).filter((id) => id !== workspaceId)
  if (actor.apiKey || others.length === 0) return { unread, workspaces: own }
  const open = await findOpen(ctx, others)
  return { unread, workspaces: { ...own, ...Object.fromEntries(open.map((id) => [id, counts[id] ?? 0])) } }
}

/** In which of these workspaces the actor can read. */
async function findOpen({ db, actor }: Ctx, ids: string[]): Promise<string[]> {
  const { memberships, workspaces } = db.tables
  const [rows] = await db.read(
    db.sql
      .select({ id: workspaces.id })
      .from(memberships)
      .innerJoin(workspaces, eq(workspaces.id, memberships.workspaceId))
      .where(
        and(eq(memberships.userId, actor.userId), db.oneOf(memberships.workspaceId, ids), isNull(workspaces.deletedAt)),
      )
      .orderBy(asc(workspaces.id)),
  )
  return rows.map(({ id }) => id)
}

/** Marks a notification as read, or as unread again. */
export async function markNotification(ctx: Ctx, inboxes: Inboxes, id: string, isRead: boolean): Promise<void> {
  permit(ctx, "profile:write")
  if (!idPattern("notification").test(id)) throw notFound("notification")
  const { workspaceId, actor, now } = ctx
  const isThere = await inboxes.mark(actor.userId, workspaceId, id, isRead ? now() : null)
  if (!isThere) throw notFound("notification")
}

/** Marks as read what is not newer than a notification, or everything. */
export async function readNotifications(ctx: Ctx, inboxes: Inboxes, upTo: string | undefined): Promise<void> {
  permit(ctx, "profile:write")
  await inboxes.markUpTo(ctx.actor.userId, ctx.workspaceId, upTo ?? null, ctx.now())
}

function notificationView({ id, kind, seq, projectId, taskId, taskKey, title, ...rest }: Kept): NotificationView {
  const { actorId, actorName, text, at, readAt } = rest
  return {
    id,
    kind,
    seq,
    task: { id: taskId, key: taskKey, title },
    projectId,
    actor: actorId === null ? null : { id: actorId, name: actorName },
    text,
    at: rfc3339(at),
    readAt: rfc3339OrNull(readAt),
  }
}
