import type { Db } from "../db/db.ts"
import { mailTime } from "../domain/mail-time.ts"
import { type News, reminder } from "../domain/notifications.ts"
import { judge } from "../domain/watches.ts"
import { lookUp, type WatchedTask, type Watcher } from "../domain/watching.ts"
import { rfc3339 } from "../lib/time.ts"
import type { KeptWatch } from "./watches.ts"

/** What became of a watch: it is over, with what there is to tell; or it is looked at again. */
export type Rung = { watch: KeptWatch; until: number | null; news: News | null }

/** Looks in the database what the watches of a person come to: one trip. */
export async function ring(db: Db, userId: string, watches: KeptWatch[], now: () => number): Promise<Rung[]> {
  const byWorkspace = [...Map.groupBy(watches, ({ workspaceId }) => workspaceId)]
  const asked = byWorkspace.map(([workspaceId, theirs]) => ({
    workspaceId,
    taskIds: [...new Set(theirs.map(({ taskId }) => taskId))],
    reminderIds: theirs.flatMap(({ reminderId }) => reminderId ?? []),
  }))
  const found = await lookUp(db, userId, asked)
  if (!found) return watches.map((watch) => ({ watch, until: null, news: null }))
  const { watcher, tasks } = found
  return byWorkspace.flatMap(([, theirs], index) =>
    theirs.map((watch) => rungBy(watch, tasks[index]?.get(watch.taskId), watcher, now())),
  )
}

function rungBy(watch: KeptWatch, task: WatchedTask | undefined, watcher: Watcher, now: number): Rung {
  const verdict = judge(watch, task, watcher.timeZone, now)
  if (verdict.is === "early") return { watch, until: verdict.until, news: null }
  if (verdict.is === "over" || !task) return { watch, until: null, news: null }
  return { watch, until: null, news: newsOf(watch, task, watcher, verdict.planned, now) }
}

/** Null where it is told neither in the inbox nor by mail. */
function newsOf(watch: KeptWatch, task: WatchedTask, watcher: Watcher, planned: number, at: number): News | null {
  const { settings, timeZone, isVerified } = watcher
  const { inbox, email } = settings.notifications.due
  const mailAt = email && isVerified ? mailTime(settings.mail, timeZone, at) : null
  if (!inbox && mailAt === null) return null
  const due = task.dueDate ?? (task.dueAt === null ? null : rfc3339(task.dueAt))
  return {
    workspaceId: watch.workspaceId,
    kind: "due",
    // What is told for one time is told once, be it due or a reminder.
    seq: planned,
    projectId: task.projectId,
    taskId: task.id,
    taskKey: task.key,
    title: task.title,
    actorId: null,
    actorName: null,
    text: watch.reminderId === null ? (due ?? "") : due === null ? reminder : `${reminder}: due ${due}`,
    at,
    inbox,
    mailAt,
  }
}
