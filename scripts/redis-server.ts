// A real Redis on this machine, where redis-server is installed: for tests and the bench. It keeps nothing.
import { spawn } from "node:child_process"
import { connect } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { ended, endsWithUs } from "./children.ts"
import { freePort } from "./free-port.ts"

export type RedisServer = { port: number; url: string; stop(): Promise<void> }

/** Throws what is missing, where it cannot be had. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort()
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  const server = spawn("redis-server", options, { stdio: "ignore" })
  endsWithUs(server)
  const failed = new Promise<never>((_resolve, reject) => {
    server.once("error", () => reject(new Error("redis-server, which is not installed here")))
    server.once("exit", (code) => reject(new Error(`redis-server, which ended with ${code}`)))
  })
  failed.catch(() => undefined)
  await Promise.race([untilItAnswers(port), failed])
  return { port, url: `redis://127.0.0.1:${port}`, stop: () => ended(server) }
}

async function untilItAnswers(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await answers(port)) return
    await wait(50)
  }
  throw new Error("redis-server, which does not answer")
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
