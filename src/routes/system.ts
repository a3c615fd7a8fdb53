import { sql } from "drizzle-orm"
import { Hono } from "hono"
import { Health, Jwks, Liveness } from "../contracts/health.ts"
import type { AppEnv } from "../http/context.ts"
import { operation } from "../http/contract.ts"
import { checkHealth } from "../observability/health.ts"

export const systemRoutes = new Hono<AppEnv>()

const open = { isPublic: true }

systemRoutes.get("/health", operation("Whether everything that is needed works", Health, 200, open), async (c) => {
  const { instance, db } = c.var
  const { connections } = instance.database
  const checks = {
    // Of a real table, so that a database without its migrations is found out.
    database: () =>
      db.read(
        db.sql
          .select({ one: sql<number>`1`.as("one") })
          .from(db.tables.heads)
          .limit(1),
      ),
    ...(connections && { pool: () => db.ready() }),
    objects: () => c.env.RATE_LIMITER.getByName("health").ping(),
  }
  const { settings, startedAt, now } = instance
  const health = await checkHealth(checks, { version: settings.VERSION, startedAt, now })
  const { pool } = health.checks
  if (pool && connections) pool.connections = connections()
  c.header("cache-control", "no-store")
  return c.json(health, health.status === "unhealthy" ? 503 : 200)
})

systemRoutes.get("/health/live", operation("Whether the Worker answers at all", Liveness, 200, open), (c) => {
  c.header("cache-control", "no-store")
  return c.json({ status: "alive" })
})

systemRoutes.get("/.well-known/jwks.json", operation("The public keys of access tokens", Jwks, 200, open), (c) => {
  c.header("cache-control", "public, max-age=300, stale-while-revalidate=3600")
  return c.json(c.var.instance.tokens.jwks)
})
