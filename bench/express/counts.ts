import type { Redis } from "ioredis"
import type pg from "pg"

type Counts = { statements: number; commands: number }

let current: Counts = { statements: 0, commands: 0 }

export const counts = {
  /** What was sent since the last time. */
  take(): Counts {
    const taken = current
    current = { statements: 0, commands: 0 }
    return taken
  },
}

/** A pool whose clients count what they send, whoever holds them. */
export function countStatements(pool: pg.Pool): pg.Pool {
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...given: unknown[]) => unknown
    Object.assign(client, {
      query(...given: unknown[]) {
        current.statements += 1
        return query(...given)
      },
    })
  })
  return pool
}

export function countCommands(redis: Redis): Redis {
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (...given) => {
    current.commands += 1
    return send(...given)
  }
  return redis
}
