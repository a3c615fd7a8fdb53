import { setTimeout as wait } from "node:timers/promises"
import { settling } from "../../src/cache/rev.ts"
import type { Caller } from "./caller.ts"

export const cacheOf = ({ headers }: Response) => headers.get("x-cache")

/** Who answered, from Server-Timing. */
export const tierOf = ({ headers }: Response) => /cache;desc="(\w+)"/.exec(headers.get("server-timing") ?? "")?.[1]

export const settled = () => wait(settling + 50)

/** Reads until the cache answers, as a client does who looks again and again. */
export async function hit(caller: Caller, path: string, headers: Record<string, string> = {}): Promise<Response> {
  for (let n = 0; n < 100; n += 1) {
    const answer = await caller.get(path, headers)
    if (cacheOf(answer) === "HIT" || !answer.ok) return answer
    await answer.text()
    await wait(20)
  }
  throw new Error(`The cache never answered ${path}`)
}
