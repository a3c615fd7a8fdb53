import { runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { readLog } from "../../src/domain/log.ts"
import { Realtime } from "../../src/hub/realtime.ts"
import { newId } from "../../src/lib/ids.ts"
import { hour } from "../../src/lib/time.ts"
import { eventsOf, newCaller, newTask } from "../support/caller.ts"
import { withDb } from "../support/database.ts"

describe("a socket that goes live between the telling of an entry and the hub's note of it", () => {
  it("is told the entry", async () => {
    const ada = await newCaller()
    const { workspaceId, userId } = ada
    await newTask(ada)
    const end = (await eventsOf(ada)).at(-1)?.seq ?? 0
    const hub = env.WORKSPACE_HUB.getByName(newId("workspace"))
    const told = await runInDurableObject(hub, async (_hub, state) => {
      const seat = { userId, sessionId: "", keyId: null, until: Date.now() + hour }
      // The hub notes how far a reader came once it has returned, which is later than its last word.
      const realtime = new Realtime({ state, withDb, workspaceId: () => workspaceId, cursor: () => end - 1 })
      await withDb(async (db) => {
        const entries = await readLog(db, workspaceId, { after: end - 1, limit: 1 })
        await realtime.read({ db, workspaceId, now: Date.now, newId }, entries)
      })
      const { 0: client, 1: server } = new WebSocketPair()
      const messages: { type: string; seq: number }[] = []
      realtime.sockets.accept(server, seat)
      client.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))))
      client.accept()
      await realtime.welcome(server, seat, end - 1)
      await new Promise((resolve) => setTimeout(resolve, 50))
      return messages.map(({ type, seq }) => `${seq} ${type}`)
    })
    expect(told).toEqual([`${end} task.created`, `${end} ready`])
  })
})
