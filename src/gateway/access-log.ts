import type { Context } from "hono"
import { createMiddleware } from "hono/factory"
import { matchedRoutes } from "hono/route"
import type { Ctx } from "../domain/ctx.ts"
import type { AppEnv } from "../http/context.ts"
import { operationOf } from "../http/contract.ts"
import { refusalOf } from "../http/problem.ts"
import { type AccessLine, describeError, isKept } from "../observability/log.ts"

/** One line per request, and what it cost in Server-Timing. */
export const accessLog = () =>
  createMiddleware<AppEnv>(async function accessLog(c, next) {
    const { instance, requestId } = c.var
    const start = instance.now()
    await next()

    c.header("server-timing", timingOf(c))
    const { method } = c.req
    const { status } = c.res
    const isStale = c.var.cache?.how === "STALE"
    if (!isStale && !isKept({ method, status }, instance.settings.LOG_SAMPLE_RATE)) return
    const { ctx } = c.var as { ctx?: AppEnv["Variables"]["ctx"] }
    const line: AccessLine = {
      level: status >= 500 ? "error" : status >= 400 || isStale ? "warn" : "info",
      requestId,
      method,
      route: routePattern(c),
      status,
      durationMs: instance.now() - start,
      ...(ctx && whoIn(ctx)),
      ...costOf(c),
      ...(c.var.replayed && { replayed: true }),
      ...(c.error && status >= 400 && { problem: refusalOf(c.error)?.code ?? "internal" }),
      ...(c.error && status >= 500 && describeError(c.error)),
    }
    instance.log(line)
  })

/** What the database did, and who answered instead of it. */
function timingOf(c: Context<AppEnv>): string {
  const { trips, rowsRead, rowsWritten, ms } = c.var.db.meter
  const database = `db;dur=${ms};desc="trips=${trips} read=${rowsRead} written=${rowsWritten}"`
  const { cache } = c.var
  return cache ? `${database}, cache;desc="${cache.tier ?? cache.how.toLowerCase()}"` : database
}

function costOf(c: Context<AppEnv>) {
  const { trips, rowsRead, rowsWritten, ms: dbMs } = c.var.db.meter
  const { cache } = c.var
  return {
    trips,
    rowsRead,
    rowsWritten,
    dbMs,
    ...(cache && { cache: cache.how }),
    ...(cache?.tier && { tier: cache.tier }),
  }
}

const whoIn = ({ workspaceId, actor: { userId, sessionId, apiKey } }: Ctx) => ({
  userId,
  workspaceId,
  ...(apiKey ? { apiKeyId: apiKey.id } : { sessionId }),
})

const routePattern = (c: Context) => matchedRoutes(c).find(({ handler }) => operationOf(handler))?.path ?? "none"
