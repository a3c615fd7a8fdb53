import { beforeAll, describe, expect, it } from "vitest"
import type { LogEntry } from "../../src/db/commit.ts"
import { openDb } from "../../src/db/db.ts"
import { readLog } from "../../src/domain/log.ts"
import { underWayAtMost, underWayWhileFailing } from "../../src/domain/webhook-queue.ts"
import { isOutage, QueueFailed } from "../../src/events/outage.ts"
import type { DeliveryMessage, LetterMessage } from "../../src/events/reader.ts"
import { sweepDeliveries, toWebhooks } from "../../src/events/to-webhooks.ts"
import { newId } from "../../src/lib/ids.ts"
import { type Caller, newCaller, newTask } from "../support/caller.ts"
import { execute } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { joined } from "../support/people.ts"
import { deliveriesOf, mockNetwork, newReceiver, newWebhook } from "../support/receivers.ts"

beforeAll(mockNetwork)

/** The reader by hand, over a queue that keeps what it is given, and a database that counts. */
function open({ workspaceId }: Caller) {
  const queued: DeliveryMessage[] = []
  const state = { isQueueDown: false, trips: 0 }
  const queue = {
    sendBatch: (messages: Iterable<{ body: DeliveryMessage }>) => {
      const list = [...messages]
      expect(list.length).toBeLessThanOrEqual(100)
      if (state.isQueueDown) return Promise.reject(new Error("queue is down"))
      queued.push(...list.map(({ body }) => body))
      return Promise.resolve()
    },
  } as unknown as Queue<DeliveryMessage>
  const counting = between((batch) => {
    state.trips += 1
    return batch.run()
  })
  let now = Date.now()
  const db = openDb(counting.connect())
  const ctx = { db, workspaceId, now: () => now, newId }
  const letters: LetterMessage[] = []
  const post = {
    send: (body: LetterMessage) => {
      if (state.isQueueDown) return Promise.reject(new Error("queue is down"))
      letters.push(body)
      return Promise.resolve()
    },
  } as unknown as Queue<LetterMessage>
  const reader = toWebhooks(queue, post)
  return {
    queued,
    letters,
    state,
    read: (entries: LogEntry[]) => reader.read(ctx, entries),
    sweep: () => sweepDeliveries(ctx, queue),
    log: (after = 0) => readLog(db, workspaceId, { after, limit: 100 }),
    pass: (ms: number) => {
      now += ms
    },
  }
}

describe("the reader for webhooks", () => {
  it("asks the database once in a workspace that has none, however much happens", async () => {
    const caller = await newCaller()
    for (let n = 0; n < 3; n += 1) await newTask(caller)
    const { read, log, state, queued } = open(caller)
    const entries = await log()
    state.trips = 0
    for (const entry of entries) await read([entry])
    await read(entries)
    expect([state.trips, queued]).toEqual([1, []])
  })

  it("asks again once the log says that they have changed, and costs three trips for a batch that concerns one", async () => {
    const caller = await newCaller()
    const { read, log, state, queued } = open(caller)
    await read(await log())
    const before = (await log()).length
    const { id } = await newWebhook(caller, { url: newReceiver().url, events: ["task.created"] })
    for (let n = 0; n < 3; n += 1) await newTask(caller)
    const entries = await log(before)
    state.trips = 0
    await read(entries)
    // The webhooks, the surroundings, the rows.
    expect(state.trips).toBe(3)
    const [, ...tasks] = entries
    const until = expect.any(Number)
    const { workspaceId } = caller
    expect(queued).toEqual(tasks.map(({ seq }) => ({ workspaceId, webhookId: id, seq, number: 1, until })))
    state.trips = 0
    await read(tasks.map((entry) => ({ ...entry, type: "label.created" })))
    expect(state.trips).toBe(0)
  })

  it("owes a webhook nothing from before it was made, however late that is read", async () => {
    const caller = await newCaller()
    await newTask(caller)
    await newWebhook(caller, { url: newReceiver().url })
    const after = await newTask(caller)
    // What was written by one with another clock, or had to wait: the order is the log's.
    await execute("update webhooks set created_at = ? where workspace_id = ?", Date.now() + 60_000, caller.workspaceId)
    await execute(
      "update events set at = ? where workspace_id = ? and seq < 4",
      Date.now() + 90_000,
      caller.workspaceId,
    )
    const { read, log, queued } = open(caller)
    const entries = await log()
    await read(entries)
    expect(entries.filter(({ type }) => type === "task.created")).toHaveLength(2)
    expect(queued.map(({ seq }) => seq)).toEqual([entries.find(({ subjectId }) => subjectId === after.id)?.seq])
  })

  it("owes once what it reads twice, and leaves alone what has been attempted", async () => {
    const caller = await newCaller()
    const { id } = await newWebhook(caller, { url: newReceiver().url, events: ["label.created"] })
    const { read, log } = open(caller)
    const [made] = (await log()).slice(-1)
    if (!made) throw new Error("No entry")
    const entry: LogEntry = { ...made, type: "label.created", seq: made.seq + 50 }
    await read([entry])
    await execute(
      "update webhook_deliveries set attempts = 4, status = 'failed', next_attempt_at = null where workspace_id = ?",
      caller.workspaceId,
    )
    await read([entry])
    expect(await deliveriesOf(caller, id)).toMatchObject([{ seq: entry.seq, attempts: 4, status: "failed" }])
  })

  it("keeps a batch unread while the queue is down; what was written down by then is swept up", async () => {
    const caller = await newCaller()
    await newWebhook(caller, { url: newReceiver().url, events: ["label.created"] })
    const { read, log, state, sweep, queued, pass } = open(caller)
    const [made] = (await log()).slice(-1)
    if (!made) throw new Error("No entry")
    state.isQueueDown = true
    await expect(read([{ ...made, type: "label.created", seq: made.seq + 50 }])).rejects.toThrow(QueueFailed)
    state.isQueueDown = false
    const leasedUntil = await sweep()
    expect(queued).toEqual([])
    pass((leasedUntil ?? 0) - Date.now() + 1_000)
    await sweep()
    expect(queued).toMatchObject([{ seq: made.seq + 50, number: 1 }])
    // Leased again: a second bell queues nothing.
    await sweep()
    expect(queued).toHaveLength(1)
  })
})

/** So many rows that are due, or will be in an hour. */
async function insertOwed({ workspaceId }: Caller, webhookId: string, from: number, count: number, dueAt: number) {
  const rows = Array.from(
    { length: count },
    (_, n) => `('${workspaceId}', '${webhookId}', ${from + n}, 'task.closed', 'pending', 2, ${dueAt + n}, 500, 0, 0)`,
  )
  await execute(
    `insert into webhook_deliveries (workspace_id, webhook_id, seq, type, status, attempts, next_attempt_at, last_status, created_at, updated_at) values ${rows.join(", ")}`,
  )
}

describe("a webhook that the system disabled", () => {
  it("is told to each owner and the admin who made it, again when the queue did not take it", async () => {
    const caller = await newCaller()
    const [owner, admin] = [await joined(caller, "owner", "Olga"), await joined(caller, "admin", "Adam")]
    await joined(caller, "admin", "Anna")
    const { id } = await newWebhook(admin, { url: newReceiver().url, events: ["task.closed"] })
    const { read, log, letters, state } = open(caller)
    const [made] = (await log()).slice(-1)
    if (!made) throw new Error("No entry")
    const data = { before: { status: "active" }, after: { status: "disabled", disabledReason: "failing" } }
    const entry: LogEntry = { ...made, type: "webhook.disabled", actorId: "system", seq: made.seq + 1, data }
    state.isQueueDown = true
    await expect(read([entry])).rejects.toSatisfy((error) => error instanceof QueueFailed && isOutage(error))
    state.isQueueDown = false
    await read([entry])
    const disabled = { workspaceId: caller.workspaceId, webhookId: id, reason: "failing" }
    expect(new Set(letters.map(({ userId }) => userId))).toEqual(new Set([caller.userId, owner.userId, admin.userId]))
    for (const letter of letters) expect(letter.disabled).toEqual(disabled)
    await read([{ ...entry, actorId: admin.userId, data: { ...data, after: { disabledReason: "user" } } }])
    expect(letters).toHaveLength(3)
  })
})

describe("how many are under way", () => {
  it("is bounded when they are owed: what there is no room for is due, and nobody has it", async () => {
    const caller = await newCaller()
    const { id } = await newWebhook(caller, { url: newReceiver().url, events: ["label.created"] })
    const { read, log, queued, sweep } = open(caller)
    const [made] = (await log()).slice(-1)
    if (!made) throw new Error("No entry")
    const entries = Array.from({ length: 90 }, (_, n) => ({ ...made, type: "label.created", seq: made.seq + 1 + n }))
    await read(entries)
    expect(queued).toHaveLength(90)
    await read(entries.map((entry) => ({ ...entry, seq: entry.seq + 90 })))
    expect(queued).toHaveLength(underWayAtMost)
    await sweep()
    expect(queued).toHaveLength(underWayAtMost)
    expect(await deliveriesOf(caller, id, "?limit=200")).toHaveLength(180)
    await execute("update webhooks set failing_since = 1 where workspace_id = ?", caller.workspaceId)
    await execute("update webhook_deliveries set next_attempt_at = null where workspace_id = ?", caller.workspaceId)
    await read(entries.map((entry) => ({ ...entry, seq: entry.seq + 180 })))
    expect(queued).toHaveLength(underWayAtMost + underWayWhileFailing)
  })
})

describe("the sweep", () => {
  it("takes of a webhook what there is room for, and tells when the next is due", async () => {
    const caller = await newCaller()
    const { id } = await newWebhook(caller, { url: newReceiver().url, events: ["task.closed"] })
    const now = Date.now()
    await insertOwed(caller, id, 100, 250, now - 1_000)
    await insertOwed(caller, id, 900, 1, now + 3_600_000)
    const { sweep, queued } = open(caller)
    const next = (await sweep()) ?? 0
    expect(queued).toHaveLength(underWayAtMost)
    // Nobody looks again in vain: whoever settles one of them tells.
    expect(next).toBeGreaterThan(now + 60_000)
    await sweep()
    expect(queued).toHaveLength(underWayAtMost)
    const settle = (where: string) =>
      execute(
        `update webhook_deliveries set next_attempt_at = null where workspace_id = ? and ${where}`,
        caller.workspaceId,
      )
    await settle("seq < 130")
    await sweep()
    expect(queued.map(({ seq }) => seq)).toEqual(Array.from({ length: underWayAtMost + 30 }, (_, n) => 100 + n))
    expect(queued.every(({ number }) => number === 3)).toBe(true)
    await settle(`next_attempt_at > ${Date.now()} and seq < 900`)
    await execute("update webhooks set failing_since = 1 where id = ?", id)
    await sweep()
    await sweep()
    expect(queued).toHaveLength(underWayAtMost + 30 + underWayWhileFailing)
    await settle("seq < 900")
    expect(await sweep()).toBe(now + 3_600_000)
  })

  it("shares among webhooks what it may take, and comes again at once for the rest", async () => {
    const caller = await newCaller()
    const ids: string[] = []
    for (let n = 0; n < 4; n += 1) {
      const { id } = await newWebhook(caller, { url: newReceiver().url, events: ["task.closed"] })
      ids.push(id)
      await insertOwed(caller, id, 100, n === 0 ? 300 : 70, Date.now() - 5_000 + 1_000 * n)
    }
    const { sweep, queued } = open(caller)
    const of = (id: string) => queued.filter(({ webhookId }) => webhookId === id).length
    expect(await sweep()).toBeLessThanOrEqual(Date.now())
    expect(ids.map(of)).toEqual([50, 50, 50, 50])
    await sweep()
    expect(ids.map(of)).toEqual([underWayAtMost, 70, 70, 70])
  })

  it("goes on with what is owed to one that has been deleted, so that it ends", async () => {
    const caller = await newCaller()
    const { id } = await newWebhook(caller, { url: newReceiver().url, events: ["task.closed"] })
    await insertOwed(caller, id, 100, 3, Date.now() - 5_000)
    await caller.delete(`/api/v1/webhooks/${id}`)
    const { sweep, queued } = open(caller)
    await sweep()
    expect(queued).toHaveLength(3)
  })
})
