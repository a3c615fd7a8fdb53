import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { createClient } from "../../src/client/client.ts"
import { openRealtime, type Socket } from "../../src/client/realtime.ts"

/** A socket whose server is the test. */
class FakeSocket implements Socket {
  readonly url: string
  readonly #listeners = new Map<string, ((event: never) => void)[]>()

  constructor(url: string) {
    this.url = url
  }

  send(): void {
    // Nobody listens.
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  close(code = 1000): void {
    this.#happen("close", { code })
  }

  say(message: object): void {
    this.#happen("message", { data: JSON.stringify(message) })
  }

  #happen(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never)
  }
}

const client = createClient({
  url: "https://edgewise.test",
  token: () => "token",
  fetch: async () => Response.json({ ticket: "ewt_x", expiresIn: 30 }, { status: 201 }),
})

const at = "2026-01-31T09:00:00.000Z"
const ready = (seq: number) => ({ type: "ready", seq, at })
const behind = (seq: number) => ({
  type: "resync",
  seq,
  subject: { id: null, kind: "workspace" },
  data: { reason: "behind" },
  at,
})
const event = (seq: number) => ({ type: "task.created", seq, subject: { id: "tsk", kind: "task" }, at })

/** Lets what waits for nothing happen. */
const soon = () => vi.advanceTimersByTimeAsync(0)

describe("a client that the server ends as soon as it is live", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("comes back later each time, and soon when it was not for that", async () => {
    const sockets: FakeSocket[] = []
    const realtime = openRealtime(client, {
      since: () => undefined,
      onEvent: () => undefined,
      connect: (url) => sockets[sockets.push(new FakeSocket(url)) - 1] as FakeSocket,
      random: () => 1,
    })
    await soon()
    const pauses: number[] = []
    const pause = async (): Promise<void> => {
      const [count, start] = [sockets.length, Date.now()]
      while (sockets.length === count) await vi.advanceTimersByTimeAsync(100)
      pauses.push(Date.now() - start)
    }
    for (let n = 0; n < 5; n += 1) {
      sockets.at(-1)?.say(ready(4))
      await soon()
      sockets.at(-1)?.close(4401)
      await pause()
    }
    // A connection that is lost is nobody's doing, and so is one that ends after long.
    sockets.at(-1)?.say(ready(4))
    await soon()
    sockets.at(-1)?.close(1006)
    await pause()
    sockets.at(-1)?.say(ready(4))
    await vi.advanceTimersByTimeAsync(11_000)
    sockets.at(-1)?.close(4401)
    await pause()
    realtime.close()
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 500, 500])
  })
})

describe("a log that ends earlier than what is known, as after a restore", () => {
  it("is followed from there", async () => {
    vi.useFakeTimers()
    const sockets: FakeSocket[] = []
    const told: string[] = []
    let known = 10
    const realtime = openRealtime(client, {
      since: () => known,
      onEvent: ({ seq }) => {
        told.push(`event ${seq}`)
        known = seq
      },
      onResync: ({ seq }) => {
        told.push(`resync ${seq}`)
        known = seq
      },
      connect: (url) => sockets[sockets.push(new FakeSocket(url)) - 1] as FakeSocket,
      random: () => 1,
    })
    await soon()
    for (const message of [ready(10), event(11)]) sockets[0]?.say(message)
    await soon()
    sockets[0]?.close(1006)
    await vi.advanceTimersByTimeAsync(600)
    for (const message of [behind(5), ready(5), event(6), event(7)]) sockets[1]?.say(message)
    await soon()
    for (const message of [behind(6), event(7)]) sockets[1]?.say(message)
    await soon()
    sockets[1]?.close(1006)
    await vi.advanceTimersByTimeAsync(1_100)
    realtime.close()
    vi.useRealTimers()
    expect(told).toEqual(["event 11", "resync 5", "event 6", "event 7", "resync 6", "event 7"])
    expect(sockets.map(({ url }) => new URL(url).searchParams.get("since"))).toEqual(["10", "11", "7"])
  })
})
