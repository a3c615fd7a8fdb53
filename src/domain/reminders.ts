import { and, eq } from "drizzle-orm"
import type { NewReminderInput, ReminderView } from "../contracts/reminders.ts"
import { insertRows } from "../db/rows.ts"
import type { Row } from "../db/tables.ts"
import { formatDuration, parseDuration } from "../lib/duration.ts"
import { idPattern } from "../lib/ids.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid, noLongerMember, notFound } from "./errors.ts"
import { untilUncontested } from "./events.ts"
import { changeOfMember, commitMine, selectMyself } from "./member-rows.ts"
import { permit } from "./permissions.ts"
import { isHere, mustNameTask } from "./task-lookup.ts"

// What somebody wants to be reminded of is theirs: it is a change of the member, and nobody else is told.

/** How many somebody has on one task. */
export const remindersPerTask = 20

const reminderView = ({ id, taskId, at, beforeMs, createdAt }: Row<"reminders">): ReminderView => ({
  id,
  taskId,
  at: rfc3339OrNull(at),
  before: beforeMs === null ? null : formatDuration(beforeMs),
  createdAt: rfc3339(createdAt),
})

/** The actor's reminders of a task, in the order in which they were set. */
export async function listReminders(ctx: Ctx, idOrKey: string): Promise<{ data: ReminderView[] }> {
  permit(ctx, "task:read")
  mustNameTask(idOrKey)
  const [[task], rows] = await ctx.db.read(selectTask(ctx, idOrKey), selectReminders(ctx, idOrKey))
  if (!task) throw notFound("task")
  return { data: rows.map(reminderView) }
}

/** Reminds the actor of a task that they see, at a time or so long before it is due. */
export async function setReminder(ctx: Ctx, idOrKey: string, input: NewReminderInput): Promise<ReminderView> {
  permit(ctx, "task:read")
  permit(ctx, "profile:write")
  mustNameTask(idOrKey)
  const { db, workspaceId, actor } = ctx
  const id = ctx.newId("reminder")
  return untilUncontested(async () => {
    const [[task], rows, [me]] = await db.read(
      selectTask(ctx, idOrKey),
      selectReminders(ctx, idOrKey),
      selectMyself(ctx),
    )
    if (!task) throw notFound("task")
    if (!me) throw noLongerMember(undefined)
    if (rows.length >= remindersPerTask) {
      throw new DomainError("conflict", `You have ${remindersPerTask} reminders of this task: remove one first`)
    }
    const createdAt = ctx.now()
    const reminder = { workspaceId, id, taskId: task.id, userId: actor.userId, createdAt, ...timeOf(input, createdAt) }
    const view = reminderView(reminder)
    await commitMine(ctx, me, {
      permission: "task:read",
      about: { projectId: task.projectId, level: "view" },
      at: createdAt,
      row: insertRows(db, db.tables.reminders, [reminder]),
      change: changeOfMember(me, "member.reminder_set", { before: null, after: toldOf(view) }),
      answer: { kind: "made", body: view },
    })
    return view
  })
}

/** Removes a reminder of the actor's. */
export async function removeReminder(ctx: Ctx, idOrKey: string, id: string): Promise<void> {
  permit(ctx, "task:read")
  permit(ctx, "profile:write")
  mustNameTask(idOrKey)
  if (!idPattern("reminder").test(id)) throw notFound("reminder")
  const { db, workspaceId } = ctx
  const { reminders } = db.tables
  await untilUncontested(async () => {
    const [[task], rows, [me]] = await db.read(
      selectTask(ctx, idOrKey),
      selectReminders(ctx, idOrKey),
      selectMyself(ctx),
    )
    if (!task) throw notFound("task")
    const found = rows.find((row) => row.id === id)
    if (!found) throw notFound("reminder")
    if (!me) throw noLongerMember(undefined)
    await commitMine(ctx, me, {
      permission: "task:read",
      about: { projectId: task.projectId, level: "view" },
      at: ctx.now(),
      row: db.sql.delete(reminders).where(and(eq(reminders.workspaceId, workspaceId), eq(reminders.id, id))),
      change: changeOfMember(me, "member.reminder_removed", { before: toldOf(reminderView(found)), after: null }),
    })
  })
}

function timeOf({ at, before }: NewReminderInput, now: number): Pick<Row<"reminders">, "at" | "beforeMs"> {
  if (at === undefined) return { at: null, beforeMs: parseDuration(before ?? "") }
  const time = Date.parse(at)
  if (time <= now) throw invalid({ pointer: "/at", detail: "must be in the future" })
  return { at: time, beforeMs: null }
}

/** What the log tells of a reminder: its time stands on the event. */
const toldOf = ({ id, taskId, at, before }: ReminderView) => ({ reminderId: id, taskId, at, before })

function selectTask(ctx: Ctx, idOrKey: string) {
  const { tasks } = ctx.db.tables
  return ctx.db.sql.select({ id: tasks.id, projectId: tasks.projectId }).from(tasks).where(isHere(ctx, idOrKey))
}

function selectReminders(ctx: Ctx, idOrKey: string) {
  const { db, workspaceId, actor } = ctx
  const { reminders, tasks } = db.tables
  const task = db.sql.select({ id: tasks.id }).from(tasks).where(isHere(ctx, idOrKey))
  return db.sql
    .select()
    .from(reminders)
    .where(and(eq(reminders.workspaceId, workspaceId), eq(reminders.taskId, task), eq(reminders.userId, actor.userId)))
    .orderBy(reminders.id)
    .limit(remindersPerTask)
}
