import { type ChildProcess, spawn } from "node:child_process"
import { type AddressInfo, createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Redis } from "ioredis"

export type RedisServer = { url: string; stop(): Promise<void> }

/** A Redis of this machine's own, which keeps nothing; null where redis-server is not installed. */
export async function startRedis(): Promise<RedisServer | null> {
  const port = await freePort()
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  const server = spawn("redis-server", options, { stdio: "ignore" })
  const isThere = await new Promise<boolean>((resolve) => {
    server.once("spawn", () => resolve(true))
    server.once("error", () => resolve(false))
  })
  if (!isThere) return null
  endsWithUs(server)
  const url = `redis://127.0.0.1:${port}`
  await untilItAnswers(url)
  return { url, stop: () => ended(server) }
}

async function untilItAnswers(url: string): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: 100 })
  client.on("error", () => undefined)
  await client.ping().finally(() => client.disconnect())
}

/** Whatever ends this process, its child ends with it. */
export const endsWithUs = (child: ChildProcess): void => {
  process.once("exit", () => child.kill())
}

export async function ended(child: ChildProcess): Promise<void> {
  child.kill()
  while (child.exitCode === null && child.signalCode === null) await sleep(10)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
