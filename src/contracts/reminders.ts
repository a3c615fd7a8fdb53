import * as z from "zod"
import { parseDuration } from "../lib/duration.ts"
import { day } from "../lib/time.ts"
import { id, instant, Time } from "./common.ts"
import { TaskPath } from "./tasks.ts"

const longestBefore = 365 * day

const duration = z
  .string()
  .max(40)
  .refine((text) => parseDuration(text) !== null, {
    error: "must be a duration of weeks, days, hours and minutes in ISO 8601, such as PT30M or P1DT12H",
    abort: true,
  })
  .refine((text) => (parseDuration(text) ?? 0) <= longestBefore, { error: "must be 365 days at most" })

const before = "How long before the task is due: ISO 8601, in days of 24 hours, such as PT30M. It follows the due date"

export const NewReminder = z
  .strictObject({
    at: instant().optional().meta({ description: "When, in the future" }),
    before: duration.optional().meta({ description: before }),
  })
  .refine(({ at, before }) => (at === undefined) !== (before === undefined), {
    error: "takes either at or before",
    path: ["at"],
  })

export type NewReminderInput = z.output<typeof NewReminder>

export const Reminder = z
  .object({
    id: id("reminder"),
    taskId: id("task"),
    at: Time.nullable(),
    before: z.string().nullable().meta({ description: before }),
    createdAt: Time,
  })
  .meta({ id: "Reminder" })

export type ReminderView = z.output<typeof Reminder>

export const ReminderList = z.object({ data: z.array(Reminder) })

export const ReminderPath = TaskPath.extend({ reminderId: z.string().meta({ description: "Id of a reminder" }) })
