import { Hono } from "hono"
import {
  NotificationPage,
  NotificationPath,
  NotificationQuery,
  Reading,
  UnreadCount,
} from "../contracts/notifications.ts"
import { ProjectPath } from "../contracts/projects.ts"
import { TaskPath } from "../contracts/tasks.ts"
import { followProject, muteProject, muteTask } from "../domain/attention.ts"
import { countUnread, listNotifications, markNotification, readNotifications } from "../domain/notifications.ts"
import { wholeByContent } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { operation, optionalBody, params, query } from "../http/contract.ts"
import { pageByContent } from "../http/pagination.ts"

export const notificationRoutes = new Hono<AppEnv>()

notificationRoutes.get(
  "/notifications",
  operation("List what I was told", NotificationPage),
  query(NotificationQuery),
  async (c) => pageByContent(c, await listNotifications(c.var.ctx, c.var.instance.inboxes, c.req.valid("query"))),
)

notificationRoutes.get("/notifications/unread", operation("Count what I have not read", UnreadCount), async (c) =>
  wholeByContent(c, await countUnread(c.var.ctx, c.var.instance.inboxes)),
)

notificationRoutes.put("/notifications/reading", operation("Mark as read"), optionalBody(Reading), async (c) => {
  await readNotifications(c.var.ctx, c.var.instance.inboxes, c.req.valid("json").upTo)
  return c.body(null, 204)
})

const one = "/notifications/:notificationId/reading"

notificationRoutes.put(one, operation("Mark one as read"), params(NotificationPath), async (c) => {
  await markNotification(c.var.ctx, c.var.instance.inboxes, c.req.valid("param").notificationId, true)
  return c.body(null, 204)
})

notificationRoutes.delete(one, operation("Mark one as unread"), params(NotificationPath), async (c) => {
  await markNotification(c.var.ctx, c.var.instance.inboxes, c.req.valid("param").notificationId, false)
  return c.body(null, 204)
})

// ---- what I want to hear of ----

const followed = "/projects/:projectId/follower"

notificationRoutes.put(followed, operation("Follow a project"), params(ProjectPath), async (c) => {
  await followProject(c.var.ctx, c.req.valid("param").projectId, true)
  return c.body(null, 204)
})

notificationRoutes.delete(followed, operation("Follow a project no longer"), params(ProjectPath), async (c) => {
  await followProject(c.var.ctx, c.req.valid("param").projectId, false)
  return c.body(null, 204)
})

notificationRoutes.put("/projects/:projectId/mute", operation("Silence a project"), params(ProjectPath), async (c) => {
  await muteProject(c.var.ctx, c.req.valid("param").projectId, true)
  return c.body(null, 204)
})

notificationRoutes.delete(
  "/projects/:projectId/mute",
  operation("Let a project speak again"),
  params(ProjectPath),
  async (c) => {
    await muteProject(c.var.ctx, c.req.valid("param").projectId, false)
    return c.body(null, 204)
  },
)

notificationRoutes.put("/tasks/:idOrKey/mute", operation("Silence a task"), params(TaskPath), async (c) => {
  await muteTask(c.var.ctx, c.req.valid("param").idOrKey, true)
  return c.body(null, 204)
})

notificationRoutes.delete("/tasks/:idOrKey/mute", operation("Let a task speak again"), params(TaskPath), async (c) => {
  await muteTask(c.var.ctx, c.req.valid("param").idOrKey, false)
  return c.body(null, 204)
})
