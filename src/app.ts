import { Hono } from "hono"
import { mailPages, pagePaths } from "./console/mail-pages.ts"
import { accessLog } from "./gateway/access-log.ts"
import { admitCaller } from "./gateway/admit-caller.ts"
import { admitOperator } from "./gateway/admit-operator.ts"
import { crossOrigin } from "./gateway/cross-origin.ts"
import { freshReads } from "./gateway/fresh-reads.ts"
import { guardFlood } from "./gateway/guard-flood.ts"
import { keepBookmark } from "./gateway/keep-bookmark.ts"
import { limitBody } from "./gateway/limit-body.ts"
import { markWrites } from "./gateway/mark-writes.ts"
import { openRequest } from "./gateway/open-request.ts"
import { refuseUnknown } from "./gateway/refuse-unknown.ts"
import { replay } from "./gateway/replay.ts"
import { securityHeaders } from "./gateway/security-headers.ts"
import { tellHubs } from "./gateway/tell-hubs.ts"
import type { AppEnv } from "./http/context.ts"
import { onError } from "./http/problem.ts"
import type { Instance } from "./instance.ts"
import { accountRoutes } from "./routes/account.ts"
import { activityRoutes } from "./routes/activity.ts"
import { apiKeyRoutes } from "./routes/api-keys.ts"
import { authRoutes } from "./routes/auth.ts"
import { avatarRoutes } from "./routes/avatars.ts"
import { batchRoutes } from "./routes/batch.ts"
import { commentRoutes } from "./routes/comments.ts"
import { devRoutes } from "./routes/dev.ts"
import { docsRoutes } from "./routes/docs.ts"
import { eventRoutes } from "./routes/events.ts"
import { favouriteRoutes } from "./routes/favourites.ts"
import { invitationRoutes } from "./routes/invitations.ts"
import { labelRoutes } from "./routes/labels.ts"
import { meRoutes } from "./routes/me.ts"
import { notificationRoutes } from "./routes/notifications.ts"
import { operatorRoutes } from "./routes/operator.ts"
import { projectRoutes } from "./routes/projects.ts"
import { realtimeRoutes, ticketRoutes } from "./routes/realtime.ts"
import { reminderRoutes } from "./routes/reminders.ts"
import { syncRoutes } from "./routes/sync.ts"
import { systemRoutes } from "./routes/system.ts"
import { taskRelationRoutes } from "./routes/task-relations.ts"
import { taskRoutes } from "./routes/tasks.ts"
import { webhookRoutes } from "./routes/webhooks.ts"
import { workspaceRoutes } from "./routes/workspaces.ts"

/** The table of contents: what every request passes, in order, and then what there is. */
export function createApp(instance: Instance): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.onError(onError)
  app.notFound(refuseUnknown(app))

  app.use(openRequest(instance))
  app.use(accessLog())
  app.use(securityHeaders(["/docs", ...pagePaths]))
  app.use(crossOrigin())
  app.use(guardFlood())
  app.use(keepBookmark())
  app.use(markWrites())
  app.use(tellHubs())

  app.route("/", systemRoutes)
  app.route("/", docsRoutes(app))
  app.route("/", avatarRoutes)
  app.route("/", mailPages)
  if (instance.settings.ENVIRONMENT !== "production") app.route("/", devRoutes)

  app.use("/api/v1/*", limitBody(["/api/v1/tasks/bulk", "/api/v1/batch"]))
  app.route("/api/v1", authRoutes)
  app.route("/api/v1", accountRoutes)

  app.route("/api/v1", realtimeRoutes)
  app.use("/api/v1/operator/*", admitOperator())
  if (instance.settings.OPERATOR_TOKEN) app.route("/api/v1", operatorRoutes)

  app.use("/api/v1/*", admitCaller())
  app.use("/api/v1/*", replay())
  app.use("/api/v1/*", freshReads())
  app.route("/api/v1", meRoutes)
  app.route("/api/v1", apiKeyRoutes)
  app.route("/api/v1", workspaceRoutes)
  app.route("/api/v1", invitationRoutes)
  app.route("/api/v1", projectRoutes)
  app.route("/api/v1", favouriteRoutes)
  app.route("/api/v1", taskRoutes)
  app.route("/api/v1", taskRelationRoutes)
  app.route("/api/v1", labelRoutes)
  app.route("/api/v1", commentRoutes)
  app.route(
    "/api/v1",
    batchRoutes(projectRoutes, favouriteRoutes, taskRoutes, taskRelationRoutes, labelRoutes, commentRoutes),
  )
  app.route("/api/v1", eventRoutes)
  app.route("/api/v1", activityRoutes)
  app.route("/api/v1", notificationRoutes)
  app.route("/api/v1", reminderRoutes)
  app.route("/api/v1", webhookRoutes)
  app.route("/api/v1", ticketRoutes)
  app.route("/api/v1", syncRoutes)

  return app
}
