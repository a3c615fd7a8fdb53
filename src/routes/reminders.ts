import { Hono } from "hono"
import { NewReminder, Reminder, ReminderList, ReminderPath } from "../contracts/reminders.ts"
import { TaskPath } from "../contracts/tasks.ts"
import { listReminders, removeReminder, setReminder } from "../domain/reminders.ts"
import { whole } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params } from "../http/contract.ts"

export const reminderRoutes = new Hono<AppEnv>()

reminderRoutes.get(
  "/tasks/:idOrKey/reminders",
  cachedOperation("List my reminders of a task", ReminderList),
  params(TaskPath),
  async (c) => whole(c, await listReminders(c.var.ctx, c.req.valid("param").idOrKey)),
)

reminderRoutes.post(
  "/tasks/:idOrKey/reminders",
  operation("Remind me of a task, at a time or before it is due", Reminder, 201, {
    description: "Up to 20 a task. Nobody else sees it.",
  }),
  params(TaskPath),
  body(NewReminder),
  async (c) => c.json(await setReminder(c.var.ctx, c.req.valid("param").idOrKey, c.req.valid("json")), 201),
)

reminderRoutes.delete(
  "/tasks/:idOrKey/reminders/:reminderId",
  operation("Remove a reminder of mine"),
  params(ReminderPath),
  async (c) => {
    const { idOrKey, reminderId } = c.req.valid("param")
    await removeReminder(c.var.ctx, idOrKey, reminderId)
    return c.body(null, 204)
  },
)
