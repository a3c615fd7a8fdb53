import { createMiddleware } from "hono/factory"
import type { AppEnv } from "../http/context.ts"
import { logFailure } from "../observability/log.ts"

/** After the answer, those who read the logs are told what the request has written to them. */
export const tellHubs = () =>
  createMiddleware<AppEnv>(async function tellHubs(c, next) {
    await next()
    const { db, instance, later, requestId } = c.var
    const landed = db.landed.filter(({ entries }) => entries?.length !== 0)
    if (landed.length === 0) return
    later(() => instance.hubs.tell(landed).catch((error: unknown) => logFailure(requestId, "tell hubs", error)))
  })
