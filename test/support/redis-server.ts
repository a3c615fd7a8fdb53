import { type RedisServer, startRedis } from "../../scripts/redis-server.ts"
import { type Bridge, startBridge } from "./upstash-bridge.ts"

type Running = { redis: RedisServer; bridge: Bridge }

// A configuration may be read more than once in a run, and whoever reads it must get the same server.
const shared = globalThis as { edgewiseRedis?: Promise<Running> }

async function start(): Promise<Running> {
  const redis = await startRedis()
  return { redis, bridge: await startBridge(redis.port) }
}

/** A real Redis behind Upstash's protocol, or what this machine lacks for it. */
export async function redisForTests(): Promise<{ url: string; token: string } | { missing: string }> {
  shared.edgewiseRedis ??= start()
  try {
    const { bridge } = await shared.edgewiseRedis
    return { url: bridge.url, token: bridge.token }
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) }
  }
}

/** Vitest's global set-up: what was started for the configuration ends with the run. */
export default function stopAtTheEnd(): () => Promise<void> {
  return async () => {
    const running = await shared.edgewiseRedis?.catch(() => null)
    await running?.bridge.stop()
    await running?.redis.stop()
  }
}
