import { runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import type { Db } from "../../src/db/db.ts"
import { readLog } from "../../src/domain/log.ts"
import { Realtime } from "../../src/hub/realtime.ts"
import { Sockets } from "../../src/hub/sockets.ts"
import { newId } from "../../src/lib/ids.ts"
import { hour } from "../../src/lib/time.ts"
import { eventsOf, newCaller, newTask } from "../support/caller.ts"
import { execute, withDb } from "../support/database.ts"
import { joined } from "../support/people.ts"

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

describe("somebody who comes while it is found out who sees an entry", () => {
  it("is told the entry", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const { workspaceId } = ada
    await newTask(ada)
    const end = (await eventsOf(ada)).at(-1)?.seq ?? 0
    const hub = env.WORKSPACE_HUB.getByName(newId("workspace"))
    const told = await runInDurableObject(hub, async (_hub, state) => {
      const realtime = new Realtime({ state, withDb, workspaceId: () => workspaceId, cursor: () => end - 1 })
      const open = async (userId: string) => {
        const seat = { userId, sessionId: "", keyId: null, until: Date.now() + hour }
        const { 0: client, 1: server } = new WebSocketPair()
        const messages: { type: string; seq: number }[] = []
        realtime.sockets.accept(server, seat)
        client.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))))
        client.accept()
        await realtime.welcome(server, seat, end - 1)
        return messages
      }
      const ofAda = await open(ada.userId)
      let ofBob: { type: string; seq: number }[] | undefined
      await withDb(async (db) => {
        const entries = await readLog(db, workspaceId, { after: end - 1, limit: 1 })
        const reading: Db = {
          ...db,
          read: async (...queries) => {
            const answers = await db.read(...queries)
            ofBob ??= await open(bob.userId)
            return answers
          },
        }
        await realtime.read({ db: reading, workspaceId, now: Date.now, newId }, entries)
      })
      await new Promise((resolve) => setTimeout(resolve, 50))
      return [ofAda, ofBob ?? []].map((messages) => messages.map(({ type, seq }) => `${seq} ${type}`))
    })
    const expected = [`${end - 1} ready`, `${end} task.created`]
    expect(told).toEqual([expected, expected])
  })
})

describe("an entry that cannot be told", () => {
  it("is read by whoever missed it, instead of failing them each time that they come", async () => {
    const ada = await newCaller()
    const { workspaceId, userId } = ada
    const end = ((await eventsOf(ada)).at(-1)?.seq ?? 0) + 1
    await execute(
      `insert into events (workspace_id, seq, type, subject_id, actor_role, revision, actor_id, source, project_id, commit_id, data, at)
       values (?, ?, 'task.relation_added', ?, 'owner', 2, ?, 'api', ?, 'cmt_3', 'null', 1)`,
      workspaceId,
      end,
      newId("task"),
      userId,
      ada.inboxId,
    )
    const told = await runInDurableObject(env.WORKSPACE_HUB.getByName(newId("workspace")), async (_hub, state) => {
      const realtime = new Realtime({ state, withDb, workspaceId: () => workspaceId, cursor: () => end })
      const seat = { userId, sessionId: "", keyId: null, until: Date.now() + hour }
      const { 0: client, 1: server } = new WebSocketPair()
      const messages: { type: string; seq: number }[] = []
      realtime.sockets.accept(server, seat)
      client.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))))
      client.accept()
      await realtime.welcome(server, seat, end - 1)
      await new Promise((resolve) => setTimeout(resolve, 50))
      return messages.map(({ type, seq }) => `${seq} ${type}`)
    })
    expect(told).toEqual([`${end} resync`, `${end} ready`])
  })
})

describe("many sockets that take nothing in", () => {
  it("cost the furthest behind theirs, before they cost the object its memory", async () => {
    const hub = env.WORKSPACE_HUB.getByName(newId("workspace"))
    const closed = await runInDurableObject(hub, async (_hub, state) => {
      const sockets = new Sockets(state)
      const codes = new Map<number, number>()
      const opened = Array.from({ length: 40 }, (_, n) => {
        const { 0: client, 1: server } = new WebSocketPair()
        const seat = { userId: `usr_${n}`, sessionId: "", keyId: null, until: Date.now() + hour }
        sockets.accept(server, seat)
        client.addEventListener("close", ({ code }) => codes.set(n, code))
        client.accept()
        return server
      })
      const text = "x".repeat(100_000)
      // None is too slow by itself: 1,000,000 each, and the first 300,000 less.
      for (const [n, socket] of opened.entries()) {
        for (let sent = 0; sent < (n === 0 ? 7 : 10); sent += 1) sockets.send(socket, { text } as never)
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
      return codes
    })
    expect([...new Set(closed.values())]).toEqual([4408])
    expect(closed.size).toBeGreaterThan(1)
    expect(closed.size).toBeLessThan(8)
    expect(closed.has(0)).toBe(false)
  })
})
