import { type ChildProcess, spawn } from "node:child_process"
import { type AddressInfo, connect, createServer } from "node:net"
import { type Bridge, startBridge } from "./upstash-bridge.ts"

type Running = { redis: ChildProcess; bridge: Bridge }

// A configuration may be read more than once in a run, and whoever reads it must get the same server.
const shared = globalThis as { edgewiseRedis?: Promise<Running> }

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

async function start(): Promise<Running> {
  const port = await freePort()
  const redis = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    {
      stdio: "ignore",
    },
  )
  const failed = new Promise<never>((_resolve, reject) => {
    redis.once("error", () => reject(new Error("redis-server, which is not installed here")))
    redis.once("exit", (code) => reject(new Error(`redis-server, which ended with ${code}`)))
  })
  failed.catch(() => undefined)
  const ready = (async () => {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await answers(port)) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error("redis-server, which does not answer")
  })()
  await Promise.race([ready, failed])
  return { redis, bridge: await startBridge(port) }
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
    running?.redis.kill()
  }
}
