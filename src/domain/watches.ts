import { zonedTime, zonedTimes } from "../lib/zoned-time.ts"

// What time will tell somebody: that a task they do is due, and what they want to be reminded of.

/** When it is to be told. One of `at` and `date` is set; a date is meant in the person's zone, whichever that is by then. */
export type Moment = {
  at: number | null
  date: string | null
  /** How long before that. */
  beforeMs: number
}

/** `reminderId` null: that the task is due. */
export type Watch = Moment & { reminderId: string | null }

/** Everything that somebody's hub has to watch of a task. What is over by `since` is not told any more. */
export type Watched = { workspaceId: string; taskId: string; since: number; watches: Watch[] }

/** When a task that is due on a day is due. */
const dueTime = "09:00"

/** When it is time, in epoch milliseconds. */
export const plannedFor = ({ at, date, beforeMs }: Moment, zone: string): number =>
  (at ?? zonedTime(date ?? "", dueTime, zone)) - beforeMs

/** Before this it is time in no zone, and after `latest` in none any more. */
export const earliest = ({ at, date, beforeMs }: Moment): number =>
  (at ?? zonedTimes(date ?? "", dueTime).first) - beforeMs

export const latest = ({ at, date, beforeMs }: Moment): number =>
  (at ?? zonedTimes(date ?? "", dueTime).last) - beforeMs

/** A due date, so long before it; null for a task that has none. */
export const momentOf = (due: Due, beforeMs = 0): Moment | null =>
  due.dueAt === null && due.dueDate === null ? null : { at: due.dueAt, date: due.dueDate, beforeMs }

export type Due = { dueAt: number | null; dueDate: string | null }

/** How a task stands with the person who watches it. */
export type Standing = Due & {
  isOpen: boolean
  isAssigned: boolean
  isMuted: boolean
  /** Of the person's reminders, those that are still there. */
  reminders: ReadonlyMap<string, { at: number | null; beforeMs: number | null }>
}

/** What a watch is about, as the database has it now; null when nothing is left to be told. */
export function momentNow({ reminderId }: Watch, standing: Standing | undefined): Moment | null {
  if (!standing?.isOpen) return null
  if (reminderId === null) return standing.isAssigned && !standing.isMuted ? momentOf(standing) : null
  const reminder = standing.reminders.get(reminderId)
  if (!reminder) return null
  if (reminder.at !== null) return { at: reminder.at, date: null, beforeMs: 0 }
  return momentOf(standing, reminder.beforeMs ?? 0)
}

export type Verdict = { is: "over" } | { is: "early"; until: number } | { is: "time"; planned: number }

/**
 * What becomes of a watch. One whose task has another due date by now is over: whoever changed it has had, or will
 * have, the new one watched.
 */
export function judge(
  watch: Watch & { since: number },
  standing: Standing | undefined,
  zone: string,
  now: number,
): Verdict {
  const moment = momentNow(watch, standing)
  if (!moment || !isSame(moment, watch)) return { is: "over" }
  const planned = plannedFor(moment, zone)
  if (planned < watch.since) return { is: "over" }
  return planned <= now ? { is: "time", planned } : { is: "early", until: planned }
}

const isSame = (a: Moment, b: Moment): boolean => a.at === b.at && a.date === b.date && a.beforeMs === b.beforeMs
