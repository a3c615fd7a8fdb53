import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import type { Db } from "../../src/db/db.ts"
import { HubDatabase } from "../../src/hub/hub-database.ts"
import { Realtime } from "../../src/hub/realtime.ts"
import type { WorkspaceHub } from "../../src/hub/workspace-hub.ts"
import { newId } from "../../src/lib/ids.ts"
import { hour } from "../../src/lib/time.ts"
import { type Caller, eventsOf, newCaller, newTask } from "../support/caller.ts"
import { execute, rowsOf, withDb } from "../support/database.ts"
import { joined } from "../support/people.ts"
import { liveLine } from "../support/sockets.ts"

describe("an entry that always fails one reader", () => {
  it("is parked, and neither its neighbours nor the other readers wait for it", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const line = await liveLine(bob)
    const { workspaceId } = ada
    const seq = ((await eventsOf(ada)).at(-1)?.seq ?? 0) + 1
    // Whoever keeps the inboxes expects a list of assignees; sockets tell it as it stands.
    await execute(
      `insert into events (workspace_id, seq, type, subject_id, actor_role, revision, actor_id, source, project_id, commit_id, data, at)
       values (?, ?, 'task.updated', ?, 'owner', 2, ?, 'api', ?, 'cmt_1', ?, 1)`,
      workspaceId,
      seq,
      newId("task"),
      ada.userId,
      ada.inboxId,
      '{"before":{},"after":{"assigneeIds":"nobody"}}',
    )
    await execute("update heads set seq = ? where workspace_id = ?", seq, workspaceId)
    await newTask(ada, { assigneeIds: [bob.userId], title: "Behind it" })
    await line.until(() => line.events().length === 2)
    expect(line.events().map((event) => event.seq)).toEqual([seq, seq + 1])

    const hub = env.WORKSPACE_HUB.getByName(workspaceId)
    await vi.waitFor(async () => expect((await hub.status()).parked).toHaveLength(1), {
      timeout: 28_000,
      interval: 200,
    })
    const { parked, lanes } = await hub.status()
    expect(parked[0]).toMatchObject({ reader: "inbox", seq, error: expect.stringContaining("TypeError") })
    await vi.waitFor(async () => {
      const answer = (await (await bob.get("/api/v1/notifications")).json()) as { data: { kind: string }[] }
      expect(answer.data.map(({ kind }) => kind)).toEqual(["assigned"])
    })
    expect([lanes?.realtime.seq, lanes?.webhooks.seq]).toEqual([seq + 1, seq + 1])

    // It is tried again when somebody asks for it, and given up again, or not.
    const at = parked[0]?.at ?? 0
    await hub.retryParked(workspaceId)
    const [again] = (await hub.status()).parked
    expect(again).toMatchObject({ reader: "inbox", seq, error: expect.stringContaining("TypeError") })
    expect(again?.at).toBeGreaterThan(at)
    await execute(
      "update events set type = 'task.commented', data = ? where workspace_id = ? and seq = ?",
      '{"before":null,"after":null}',
      workspaceId,
      seq,
    )
    await hub.retryParked(workspaceId)
    expect((await hub.status()).parked).toEqual([])
  }, 60_000)
})

describe("what a write costs behind it", () => {
  /** What the hubs ask of the database while something is done. */
  async function costOf(work: () => Promise<unknown>) {
    const meters: Db["meter"][] = []
    const original = HubDatabase.prototype.run
    const spy = vi.spyOn(HubDatabase.prototype, "run").mockImplementation(async function <T>(
      this: HubDatabase,
      inner: (db: Db) => Promise<T>,
    ) {
      return original.call(this, (db) => {
        meters.push(db.meter)
        return inner(db)
      }) as Promise<T>
    })
    try {
      await work()
    } finally {
      spy.mockRestore()
    }
    const sum = (field: keyof Db["meter"]) => meters.reduce((total, meter) => total + meter[field], 0)
    return { trips: sum("trips"), rowsWritten: sum("rowsWritten") }
  }

  const hubOf = ({ workspaceId }: Caller) => env.WORKSPACE_HUB.getByName(workspaceId)
  const lastSeqOf = async (caller: Caller) => (await eventsOf(caller)).at(-1)?.seq ?? 0

  const isRead = (caller: Caller, seq: number) =>
    vi.waitFor(
      async () => {
        const lanes = Object.values((await hubOf(caller).status()).lanes ?? {})
        expect(lanes.map((lane) => lane.seq)).toEqual([seq, seq, seq])
      },
      { timeout: 5_000, interval: 20 },
    )

  /** The numbers that are stored. */
  const storedOf = (caller: Caller) =>
    runInDurableObject(hubOf(caller), (_hub: WorkspaceHub, { storage }) => {
      const { lanes } = storage.sql.exec<{ lanes: string }>("select lanes from hub").one()
      return Object.values<{ seq: number }>(JSON.parse(lanes)).map((lane) => lane.seq)
    })

  const renamed = async (caller: Caller, taskId: string, title: string) => {
    expect((await caller.patch(`/api/v1/tasks/${taskId}`, { title })).status).toBe(200)
  }

  it("is nothing at first, and three round trips and a row of the database once it has been quiet", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    const seq = await lastSeqOf(ada)
    await isRead(ada, seq)
    const stored = await storedOf(ada)
    const written = await costOf(async () => {
      await renamed(ada, task.id, "Renamed")
      await isRead(ada, seq + 1)
    })
    expect(written).toEqual({ trips: 0, rowsWritten: 0 })
    expect(await costOf(() => runDurableObjectAlarm(hubOf(ada)))).toEqual({ trips: 3, rowsWritten: 1 })
    expect(await storedOf(ada)).toEqual(stored)
  })

  it("is two round trips for a hub that has slept, which goes on from what is settled", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    const seq = await lastSeqOf(ada)
    await isRead(ada, seq)
    await renamed(ada, task.id, "Settled")
    await runDurableObjectAlarm(hubOf(ada))
    await evictDurableObject(hubOf(ada))
    const read = await costOf(async () => {
      await renamed(ada, task.id, "Awake")
      await isRead(ada, seq + 2)
    })
    // Where the log was read to, and which webhooks there are: nothing is read again.
    expect(read).toEqual({ trips: 2, rowsWritten: 0 })
  })

  it("is not forgotten by a hub that wakes up while the database does not answer", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    const seq = await lastSeqOf(ada)
    await isRead(ada, seq)
    await runDurableObjectAlarm(hubOf(ada))
    await evictDurableObject(hubOf(ada))
    const down = vi.spyOn(HubDatabase.prototype, "run").mockRejectedValueOnce(new Error("Network connection lost"))
    await renamed(ada, task.id, "Meanwhile")
    await vi.waitFor(() => expect(down).toHaveBeenCalled())
    down.mockRestore()
    expect(await runDurableObjectAlarm(hubOf(ada))).toBe(true)
    await isRead(ada, seq + 1)
    const [head] = await rowsOf<{ pumped_seq: number }>(
      "select pumped_seq from heads where workspace_id = ?",
      ada.workspaceId,
    )
    expect(Number(head?.pumped_seq)).toBe(seq + 1)
  })

  it("is stored as long as somebody has a socket: what outlives the object is not told twice", async () => {
    const ada = await newCaller()
    const task = await newTask(ada)
    await isRead(ada, await lastSeqOf(ada))
    await renamed(ada, task.id, "Before")
    const seq = await lastSeqOf(ada)
    await isRead(ada, seq)
    expect(await storedOf(ada)).not.toEqual([seq, seq, seq])
    const line = await liveLine(ada)
    expect(await storedOf(ada)).toEqual([seq, seq, seq])
    await renamed(ada, task.id, "With a socket")
    await vi.waitFor(async () => expect(await storedOf(ada)).toEqual([seq + 1, seq + 1, seq + 1]), { timeout: 3_000 })
    await evictDurableObject(hubOf(ada))
    await renamed(ada, task.id, "After sleep")
    await line.until(() => line.events().length === 2)
    expect(line.events().map((event) => event.seq)).toEqual([seq + 1, seq + 2])
  })

  it("is stored for a reader that is behind, which then goes on there", async () => {
    const ada = await newCaller()
    await newTask(ada)
    const seq = await lastSeqOf(ada)
    await isRead(ada, seq)
    await execute(
      `insert into events (workspace_id, seq, type, subject_id, actor_role, revision, actor_id, source, project_id, commit_id, data, at)
       values (?, ?, 'task.updated', ?, 'owner', 2, ?, 'api', ?, 'cmt_2', ?, 1)`,
      ada.workspaceId,
      seq + 1,
      newId("task"),
      ada.userId,
      ada.inboxId,
      '{"before":{},"after":{"assigneeIds":"nobody"}}',
    )
    await execute("update heads set seq = ? where workspace_id = ?", seq + 1, ada.workspaceId)
    await hubOf(ada).catchUp(ada.workspaceId)
    await vi.waitFor(async () => expect((await storedOf(ada)).toSorted()).toEqual([seq, seq + 1, seq + 1]), {
      timeout: 3_000,
    })
    await evictDurableObject(hubOf(ada))
    const { lanes } = await hubOf(ada).status()
    expect([lanes?.inbox.seq, lanes?.webhooks.seq]).toEqual([seq, seq + 1])
    expect(lanes?.inbox.failing?.times).toBeGreaterThan(0)
  })
})

describe("a deployment that is read-only", () => {
  it("has nothing written behind the writes either, and what waits is done afterwards", async () => {
    const ada = await newCaller()
    await newTask(ada)
    const { workspaceId } = ada
    const hub = env.WORKSPACE_HUB.getByName(workspaceId)
    const read = async () => {
      const [head] = await rowsOf<{ seq: number; pumped_seq: number }>(
        "select seq, pumped_seq from heads where workspace_id = ?",
        workspaceId,
      )
      return [Number(head?.seq), Number(head?.pumped_seq)]
    }
    const ring = async (settings: object) => {
      await evictDurableObject(hub)
      await runInDurableObject(hub, async (object: WorkspaceHub) => {
        const inside = object as unknown as { env: object }
        inside.env = { ...inside.env, ...settings }
        await object.alarm()
      })
    }
    await ring({ READ_ONLY: "true" })
    const [seq, pumped] = await read()
    expect(pumped).toBe(0)
    await ring({})
    expect(await read()).toEqual([seq, seq])
  })
})

describe("a database that was restored to an earlier moment", () => {
  it("has its new entries read, though their numbers were read before", async () => {
    const ada = await newCaller()
    const { workspaceId } = ada
    const bob = await joined(ada)
    for (const title of ["1", "2", "3"]) await newTask(ada, { title })
    await newTask(ada, { title: "For Bob", assigneeIds: [bob.userId] })
    const line = await liveLine(ada)
    const inbox = async () => {
      const answer = await bob.get("/api/v1/notifications")
      return ((await answer.json()) as { data: { task: { title: string } }[] }).data.map(({ task }) => task.title)
    }
    await expect.poll(inbox).toEqual(["For Bob"])
    const { seq } = (await eventsOf(ada)).at(-1) ?? { seq: 0 }
    await execute("delete from events where workspace_id = ? and seq > ?", workspaceId, seq - 2)
    await execute("update heads set seq = ?, pumped_seq = ? where workspace_id = ?", seq - 2, seq - 2, workspaceId)
    await env.WORKSPACE_HUB.getByName(workspaceId).catchUp(workspaceId)
    await newTask(ada, { title: "Anew", assigneeIds: [bob.userId] })
    await line.until(() => line.events().length === 1)
    expect(line.messages.slice(1)).toMatchObject([
      { type: "resync", seq: seq - 2, data: { reason: "behind" } },
      { type: "task.created", seq: seq - 1 },
    ])
    await vi.waitFor(async () => {
      const { lanes } = await env.WORKSPACE_HUB.getByName(workspaceId).status()
      expect([lanes?.inbox.seq, lanes?.webhooks.seq]).toEqual([seq - 1, seq - 1])
    })
    await expect.poll(inbox).toEqual(["Anew", "For Bob"])
  })
})

describe("a socket", () => {
  /** One that is live behind `seq`, of an object that serves nobody else. */
  const withSocket = <T>(
    until: number,
    work: (realtime: Realtime, messages: object[], closed: () => number | null) => Promise<T>,
  ) =>
    runInDurableObject(env.WORKSPACE_HUB.getByName(newId("workspace")), async (_hub, state) => {
      const realtime = new Realtime({ state, withDb, workspaceId: () => newId("workspace"), cursor: () => 4 })
      const { 0: client, 1: server } = new WebSocketPair()
      const messages: object[] = []
      let code: number | null = null
      realtime.sockets.accept(server, { userId: newId("user"), sessionId: "", keyId: null, until })
      client.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))))
      client.addEventListener("close", (event) => {
        code = event.code
      })
      client.accept()
      realtime.sockets.goLive(server, 4)
      return work(realtime, messages, () => code)
    })

  const soon = () => new Promise((resolve) => setTimeout(resolve, 50))

  it("is asked to read the log for what could not be told", async () => {
    const told = await withSocket(Date.now() + hour, async (realtime, messages) => {
      realtime.skip(4)
      realtime.skip(5)
      await soon()
      return messages
    })
    expect(told).toMatchObject([{ type: "resync", seq: 5, data: { reason: "behind" } }])
  })

  it("is told nothing once its time is over", async () => {
    const [told, code] = await withSocket(Date.now() - 1, async (realtime, messages, closed) => {
      realtime.skip(5)
      await soon()
      return [messages, closed()] as const
    })
    expect([told, code]).toEqual([[], 4401])
  })
})
