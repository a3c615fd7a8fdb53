// What Edgewise is compared with: the same tasks on a server, of the parts that such servers are made of. Compression is
// off, as it is on Workers; there is no Docker, nginx or cluster around it.
import express, { type ErrorRequestHandler, type Express } from "express"
import { rateLimit } from "express-rate-limit"
import helmet from "helmet"
import type { Redis } from "ioredis"
import type pg from "pg"
import { RedisStore } from "rate-limit-redis"
import type { Logger } from "winston"
import { authenticate } from "./authenticate.ts"
import { counts } from "./counts.ts"
import { logRequests } from "./log.ts"
import { metricsText, observe } from "./metrics.ts"
import { taskRoutes } from "./tasks.ts"

type Parts = { pool: pg.Pool; redis: Redis; secret: string; log: Logger }

const windowMs = 15 * 60 * 1_000
// Of the right kind and far from what is sent here: a refused request would be a cheap one.
const max = 100_000_000

export function createApp({ pool, redis, secret, log }: Parts): Express {
  const app = express()
  app.use(helmet())
  app.use(observe)
  app.use(logRequests(log))

  app.get("/health", async (_request, response) => {
    await Promise.all([pool.query("select 1"), redis.ping()])
    response.json({ status: "healthy" })
  })
  app.get("/metrics", async (_request, response) => {
    response.type("text/plain").send(await metricsText())
  })
  // Of the bench, and asked for only after everything else was.
  app.get("/counted", (_request, response) => {
    response.json(counts.take())
  })

  const store = new RedisStore({
    sendCommand: (command: string, ...values: string[]) => redis.call(command, ...values) as Promise<number>,
  })
  app.use("/api", rateLimit({ store, windowMs, limit: max, standardHeaders: true, legacyHeaders: false }))
  app.use("/api", authenticate(secret))
  app.use("/api/v1", express.json({ limit: "1mb" }), taskRoutes(pool, redis))
  app.use(((error, _request, response, _next) => {
    log.error(error)
    response.status(500).json({ error: "Internal error" })
  }) satisfies ErrorRequestHandler)
  return app
}
