// The process of the Express stack. Its parent says where Postgres and Redis are, and is told the port.
import type { AddressInfo } from "node:net"
import { Redis } from "ioredis"
import pg from "pg"
import { createApp } from "./app.ts"
import { countCommands, countStatements } from "./counts.ts"
import { openLog } from "./log.ts"

function setting(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

const log = openLog(setting("LOG_FILE"))
const pool = countStatements(new pg.Pool({ connectionString: setting("DATABASE_URL"), max: 10 }))
const redis = countCommands(new Redis(setting("REDIS_URL")))
// A connection that ends while nobody uses it concerns no request.
for (const each of [pool, redis]) each.on("error", (error: Error) => log.error(error))
const app = createApp({ pool, redis, secret: setting("JWT_SECRET"), log })
const server = app.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port))
