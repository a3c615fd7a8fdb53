import { Hono } from "hono"
import { except } from "hono/combine"
import { accessLog } from "./gateway/access-log.ts"
import { authenticate } from "./gateway/authenticate.ts"
import { crossOrigin } from "./gateway/cross-origin.ts"
import { bulkBodyLimit, defaultBodyLimit, limitBody } from "./gateway/limit-body.ts"
import { openRequest } from "./gateway/open-request.ts"
import { refuseUnknown } from "./gateway/refuse-unknown.ts"
import { replay } from "./gateway/replay.ts"
import { securityHeaders } from "./gateway/security-headers.ts"
import type { AppEnv } from "./http/context.ts"
import { onError } from "./http/problem.ts"
import type { Instance } from "./instance.ts"
import { authRoutes } from "./routes/auth.ts"
import { docsRoutes } from "./routes/docs.ts"
import { eventRoutes } from "./routes/events.ts"
import { meRoutes } from "./routes/me.ts"
import { projectRoutes } from "./routes/projects.ts"
import { systemRoutes } from "./routes/system.ts"
import { taskRoutes } from "./routes/tasks.ts"
import { workspaceRoutes } from "./routes/workspaces.ts"

/** The table of contents: what every request passes, in order, and then what there is. */
export function createApp(instance: Instance): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.onError(onError)
  app.notFound(refuseUnknown(app))

  app.use(openRequest(instance))
  app.use(accessLog())
  app.use(except(["/docs", "/docs/*"], securityHeaders()))
  app.use(crossOrigin())

  app.route("/", systemRoutes)
  app.route("/", docsRoutes(app))

  app.use("/api/v1/tasks/bulk", limitBody(bulkBodyLimit))
  app.use("/api/v1/*", except("/api/v1/tasks/bulk", limitBody(defaultBodyLimit)))
  app.route("/api/v1", authRoutes)

  app.use("/api/v1/*", authenticate())
  app.use("/api/v1/*", replay())
  app.route("/api/v1", meRoutes)
  app.route("/api/v1", workspaceRoutes)
  app.route("/api/v1", projectRoutes)
  app.route("/api/v1", taskRoutes)
  app.route("/api/v1", eventRoutes)

  return app
}
