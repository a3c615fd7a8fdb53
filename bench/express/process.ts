import { fork } from "node:child_process"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { ended, endsWithUs } from "../../scripts/children.ts"
import type { Bench } from "../bench.ts"
import { ask, closeConnections } from "../load.ts"
import type { Viewer } from "../seed/rows.ts"
import type { Side } from "../sides.ts"
import { tokenFor } from "./authenticate.ts"

export type ExpressSide = Side & {
  /** What was sent to Postgres and to Redis since the last time. */
  counted(): Promise<{ statements: number; commands: number }>
}

/** Starts the stack in a process of its own, as its users would. */
export async function startExpress(
  bench: Bench,
  { postgres, redis, viewers }: { postgres: string; redis: string; viewers: Viewer[] },
): Promise<ExpressSide> {
  const secret = randomBytes(32).toString("base64url")
  const child = fork(join(import.meta.dirname, "server.ts"), {
    env: {
      ...process.env,
      NODE_ENV: "production",
      DATABASE_URL: postgres,
      REDIS_URL: redis,
      JWT_SECRET: secret,
      LOG_FILE: join(await bench.folder(), "combined.log"),
    },
  })
  endsWithUs(child)
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve(Number(message)))
    child.once("exit", (code) => reject(new Error(`The Express stack ended with ${code}`)))
  })
  bench.own({
    stop: async () => {
      closeConnections()
      await ended(child)
    },
  })
  const tokens = new Map(viewers.map((viewer) => [viewer.userId, tokenFor({ ...viewer, id: viewer.userId }, secret)]))
  const url = new URL(`http://127.0.0.1:${port}`)
  return {
    name: "Express, Postgres, Redis",
    url,
    headersOf: ({ userId }) => ({ authorization: `Bearer ${tokens.get(userId)}` }),
    counted: async () => JSON.parse((await ask(url, { method: "GET", path: "/counted" })).body),
  }
}
