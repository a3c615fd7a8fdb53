import type { Context } from "hono"
import { createMiddleware } from "hono/factory"
import { matchedRoutes } from "hono/route"
import type { Ctx } from "../domain/ctx.ts"
import type { AppEnv } from "../http/context.ts"
import { isOperation } from "../http/contract.ts"
import { refusalOf } from "../http/problem.ts"
import { type AccessLine, describeError, isKept } from "../observability/log.ts"

/** One line per request, and what it cost in Server-Timing. */
export const accessLog = () =>
  createMiddleware<AppEnv>(async function accessLog(c, next) {
    const { instance, db, requestId } = c.var
    const start = instance.now()
    await next()

    const { trips, rowsRead, rowsWritten, ms } = db.meter
    c.header("server-timing", `db;dur=${ms};desc="trips=${trips} read=${rowsRead} written=${rowsWritten}"`)
    const { method } = c.req
    const { status } = c.res
    if (!isKept({ method, status }, instance.settings.LOG_SAMPLE_RATE)) return
    const { ctx } = c.var as { ctx?: AppEnv["Variables"]["ctx"] }
    const line: AccessLine = {
      level: status >= 500 ? "error" : status >= 400 ? "warn" : "info",
      requestId,
      method,
      route: routePattern(c),
      status,
      durationMs: instance.now() - start,
      ...(ctx && whoIn(ctx)),
      trips,
      rowsRead,
      rowsWritten,
      dbMs: ms,
      ...(c.var.replayed && { replayed: true }),
      ...(c.error && status >= 400 && { problem: refusalOf(c.error)?.code ?? "internal" }),
      ...(c.error && status >= 500 && describeError(c.error)),
    }
    instance.log(line)
  })

const whoIn = ({ workspaceId, actor: { userId, sessionId, apiKey } }: Ctx) => ({
  userId,
  workspaceId,
  ...(apiKey ? { apiKeyId: apiKey.id } : { sessionId }),
})

const routePattern = (c: Context) => matchedRoutes(c).find(({ handler }) => isOperation(handler))?.path ?? "none"
