import { createExecutionContext, createMessageBatch, evictDurableObject, getQueueResult } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { beforeAll, describe, expect, it } from "vitest"
import { openDb } from "../../src/db/db.ts"
import type { Mail } from "../../src/domain/mail.ts"
import { lease, leaseDue } from "../../src/domain/webhook-queue.ts"
import { deliverBatch } from "../../src/events/deliver.ts"
import type { DeliveryMessage, LetterMessage } from "../../src/events/reader.ts"
import { sendLetters } from "../../src/events/send-letters.ts"
import { keptMessages } from "../../src/mail/embedded-mail.ts"
import { openApp } from "../support/app.ts"
import { type Caller, costOf, eventsOf, newCaller, newProject, newTask, problemIn } from "../support/caller.ts"
import { execute, rowsOf } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { joined } from "../support/people.ts"
import {
  answering,
  deliveriesOf,
  deliveryOf,
  eventually,
  getWebhook,
  hurry,
  mockNetwork,
  names,
  newReceiver,
  newWebhook,
  type Receiver,
  ring,
  secretsOf,
  strays,
  verify,
} from "../support/receivers.ts"

let ada: Caller

beforeAll(async () => {
  mockNetwork()
  ada = await newCaller()
})

describe("what happens in a workspace", () => {
  it("is sent, signed as Standard Webhooks says, and logged", async () => {
    const receiver = newReceiver(answering(200, { "content-type": "text/plain" }, "thanks"))
    const webhook = await newWebhook(ada, { url: receiver.url })
    const task = await newTask(ada, { title: "Tell everybody" })
    await eventually(() => expect(receiver.types()).toEqual(["task.created"]))
    const [received] = receiver.received
    if (!received) throw new Error("Nothing came")
    const [secret = ""] = await secretsOf(ada, webhook.id)
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(verify(secret, received)).toMatchObject({
      type: "task.created",
      timestamp: task.createdAt,
      data: { workspaceId: ada.workspaceId, subjectId: task.id, before: null, after: { title: "Tell everybody" } },
    })
    expect(() => verify(secret, { ...received, body: received.body.replace("Tell", "Told") })).toThrow()
    await eventually(async () =>
      expect(await deliveriesOf(ada, webhook.id)).toMatchObject([
        { status: "delivered", attempts: 1, lastStatus: 200 },
      ]),
    )
    const { seq } = received.message.data
    const { log, messageId } = await deliveryOf(ada, webhook.id, seq)
    expect(received.headers.get("webhook-id")).toBe(messageId)
    expect(log).toMatchObject([
      {
        attempt: 1,
        replay: 0,
        status: 200,
        error: null,
        request: { url: receiver.url, bytes: received.body.length, body: received.body.slice(0, 1024) },
        response: { headers: { "content-type": "text/plain" }, body: "thanks" },
      },
    ])
    expect((await eventsOf(ada)).find((event) => event.seq === seq)?.subjectId).toBe(task.id)
  })

  it("is tried again with the same id and a fresh timestamp", async () => {
    const receiver = newReceiver(answering(500), answering(503))
    const webhook = await newWebhook(ada, { url: receiver.url, events: ["task.created"] })
    await newTask(ada)
    for (const attempts of [1, 2, 3]) {
      await eventually(async () => {
        expect(receiver.received).toHaveLength(attempts)
        expect(await deliveriesOf(ada, webhook.id)).toMatchObject([
          { attempts, status: attempts === 3 ? "delivered" : "pending" },
        ])
      })
      if (attempts < 3) expect((await getWebhook(ada, webhook.id)).failingSince).not.toBeNull()
      await hurry(ada)
    }
    expect(new Set(receiver.received.map(({ headers }) => headers.get("webhook-id"))).size).toBe(1)
    expect((await getWebhook(ada, webhook.id)).failingSince).toBeNull()
    expect(strays).toEqual([])
  })
})

const api = "/api/v1"

/** A workspace of its own with a webhook, whose maker's first event it has not been sent. */
async function opened(input: Record<string, unknown> = {}, ...answers: Parameters<typeof newReceiver>) {
  const receiver = newReceiver(...answers)
  const caller = await newCaller()
  const webhook = await newWebhook(caller, { url: receiver.url, ...input })
  return { caller, receiver, webhook }
}

const verified = ({ userId }: Caller) => execute("update users set email_verified_at = 1 where id = ?", userId)

/** Whatever was to come has come: what is asked for last is there. */
async function flushed(caller: Caller, receiver: Receiver, id: string): Promise<string[]> {
  const before = receiver.types().filter((type) => type === "webhook.pinged").length
  await caller.post(`${api}/webhooks/${id}/pings`)
  await eventually(() => {
    expect(receiver.types().filter((type) => type === "webhook.pinged")).toHaveLength(before + 1)
  })
  await eventually(async () => expect(await deliveriesOf(caller, id, "?status=pending")).toEqual([]))
  return receiver.types().filter((type) => type !== "webhook.pinged")
}

const newLabel = async (caller: Caller) =>
  ((await (await caller.post(`${api}/labels`, { name: crypto.randomUUID() })).json()) as { id: string }).id

describe("a webhook is sent", () => {
  it("only what it asks for, and a ping whatever it asks for", async () => {
    const { caller, receiver, webhook } = await opened({ events: ["task.closed"] })
    const task = await newTask(caller)
    await caller.put(`${api}/tasks/${task.id}/closure`)
    expect(await flushed(caller, receiver, webhook.id)).toEqual(["task.closed"])
    const ping = receiver.received.find(({ message }) => message.type === "webhook.pinged")
    expect(ping?.message.data).toMatchObject({ subjectId: webhook.id, before: null, after: {} })
  })

  it("nothing that only some may see: neither people's own things nor keys, invitations and webhooks", async () => {
    const { caller, receiver, webhook } = await opened()
    const task = await newTask(caller)
    await caller.put(`${api}/tasks/${task.id}/follower`)
    await caller.put(`${api}/projects/${caller.inboxId}/favourite`)
    await caller.post(`${api}/api-keys`, { name: "Deploy", scopes: ["task:read"] })
    await caller.post(`${api}/invitations`, { email: "eve@example.com", role: "member" })
    await newWebhook(caller, { url: newReceiver().url, events: ["task.closed"] })
    await caller.post(`${api}/webhooks/${webhook.id}/secrets`)
    await newLabel(caller)
    expect(await flushed(caller, receiver, webhook.id)).toEqual(["task.created", "label.created"])
  })

  it("what is in private projects only where it names them, and of a project that it is for all", async () => {
    const caller = await newCaller()
    const hidden = await newProject(caller, { visibility: "private" })
    const open = await newProject(caller)
    const all = newReceiver()
    const one = newReceiver()
    const ofAll = await newWebhook(caller, { url: all.url, events: ["task.created", "label.created"] })
    const ofOne = await newWebhook(caller, { url: one.url, projectIds: [hidden.id] })
    await newTask(caller, { projectId: hidden.id, title: "Secret" })
    await newTask(caller, { projectId: open.id, title: "Open" })
    await newLabel(caller)
    expect(await flushed(caller, all, ofAll.id)).toEqual(["task.created", "label.created"])
    expect(all.received[0]?.message.data.after).toMatchObject({ title: "Open" })
    expect(await flushed(caller, one, ofOne.id)).toEqual(["task.created"])
    expect(one.received[0]?.message.data.after).toMatchObject({ title: "Secret" })
  })

  it("that something is out of its sight, and not where it went", async () => {
    const caller = await newCaller()
    const [from, to] = [await newProject(caller), await newProject(caller, { visibility: "private" })]
    const receiver = newReceiver()
    const webhook = await newWebhook(caller, { url: receiver.url, events: ["task.moved", "project.updated"] })
    const task = await newTask(caller, { projectId: from.id })
    await caller.put(`${api}/tasks/${task.id}/project`, { projectId: to.id })
    await eventually(() => expect(receiver.types()).toEqual(["task.hidden"]))
    expect(receiver.received[0]?.body).not.toContain(to.id)
    await caller.patch(`${api}/projects/${from.id}`, { visibility: "private" })
    expect(await flushed(caller, receiver, webhook.id)).toEqual(["task.hidden", "project.hidden"])
  })

  it("what is about tasks with one of its labels: that have it, get it or lose it, and their comments", async () => {
    const caller = await newCaller()
    const [bug, other] = [await newLabel(caller), await newLabel(caller)]
    const receiver = newReceiver()
    const webhook = await newWebhook(caller, { url: receiver.url, labelIds: [bug] })
    const plain = await newTask(caller, { labelIds: [other] })
    await caller.post(`${api}/tasks/${plain.id}/comments`, { body: "Not this" })
    const task = await newTask(caller, { labelIds: [bug] })
    const steps: [string, () => Promise<unknown>][] = [
      ["comment.created", () => caller.post(`${api}/tasks/${task.id}/comments`, { body: "This" })],
      ["task.closed", () => caller.put(`${api}/tasks/${task.id}/closure`)],
      ["task.updated", () => caller.patch(`${api}/tasks/${task.id}`, { labelIds: [other] })],
    ]
    const expected = ["task.created"]
    for (const [type, act] of steps) {
      // What a task has is looked up when the log is read, a moment after it was written.
      await eventually(() => expect(receiver.types()).toEqual(expected))
      await act()
      expected.push(type)
    }
    await caller.patch(`${api}/tasks/${task.id}`, { priority: 3 })
    await newLabel(caller)
    expect(await flushed(caller, receiver, webhook.id)).toEqual(expected)
  })

  it("long texts cut, and told which", async () => {
    const { caller, receiver } = await opened({ events: ["task.created", "task.updated"] })
    const task = await newTask(caller, { description: "é".repeat(20_000) })
    await eventually(() => expect(receiver.received).toHaveLength(1))
    const [received] = receiver.received
    expect(new TextEncoder().encode(received?.body).byteLength).toBeLessThan(20_000)
    expect(received?.message.data.cut).toEqual(["/data/after/description"])
    await caller.patch(`${api}/tasks/${task.id}`, { description: "short" })
    await eventually(() => expect(receiver.received).toHaveLength(2))
    expect(receiver.received[1]?.message.data).toMatchObject({
      before: { description: expect.stringMatching(/^é+…$/) },
      after: { description: "short" },
      cut: ["/data/before/description"],
    })
  })

  it("what happens whatever becomes of who made it", async () => {
    const owner = await newCaller()
    const admin = await joined(owner, "admin", "Adam")
    const receiver = newReceiver()
    const webhook = await newWebhook(admin, { url: receiver.url, events: ["task.created"] })
    await owner.delete(`${api}/members/${admin.userId}`)
    await newTask(owner)
    expect(await flushed(owner, receiver, webhook.id)).toEqual(["task.created"])
  })

  it("nothing from before it was made, and nothing while it is disabled", async () => {
    const caller = await newCaller()
    await newTask(caller, { title: "Before" })
    const receiver = newReceiver()
    const webhook = await newWebhook(caller, { url: receiver.url })
    await newTask(caller, { title: "First" })
    await flushed(caller, receiver, webhook.id)
    await caller.delete(`${api}/webhooks/${webhook.id}/activation`)
    await newTask(caller, { title: "Disabled" })
    await caller.put(`${api}/webhooks/${webhook.id}/activation`)
    await newTask(caller, { title: "Again" })
    await flushed(caller, receiver, webhook.id)
    const titles = receiver.received.flatMap(({ message }) => message.data.after?.["title"] ?? [])
    expect(titles).toEqual(["First", "Again"])
  })

  it("with both secrets for a day after a rotation", async () => {
    const { caller, receiver, webhook } = await opened()
    const [first = ""] = await secretsOf(caller, webhook.id)
    await caller.post(`${api}/webhooks/${webhook.id}/secrets`)
    const [second = ""] = await secretsOf(caller, webhook.id)
    expect(second).not.toBe(first)
    await newTask(caller)
    await eventually(() => expect(receiver.received).toHaveLength(1))
    for (const received of receiver.received) {
      for (const secret of [first, second]) expect(verify(secret, received)).toMatchObject({ type: "task.created" })
    }
    await execute("update webhooks set previous_until = 1 where workspace_id = ?", caller.workspaceId)
    await newTask(caller)
    await eventually(() => expect(receiver.received).toHaveLength(2))
    const [, last] = receiver.received
    if (!last) throw new Error("Nothing came")
    expect(verify(second, last)).toBeTruthy()
    expect(() => verify(first, last)).toThrow()
  })
})

describe("a receiver that does not take it", () => {
  const failures: [string, Parameters<typeof newReceiver>[0], number | null, RegExp | null][] = [
    ["answers 500", answering(500, {}, "broken"), 500, null],
    ["redirects", answering(302, { location: "https://169.254.169.254/" }), 302, null],
    ["is not there", () => Promise.reject(new TypeError("connection refused")), null, /^No connection: connection/],
  ]
  for (const [name, answer, status, error] of failures) {
    it(`${name}: it is tried again, and the log says why`, async () => {
      const { caller, receiver, webhook } = await opened({}, answer)
      await newTask(caller)
      await eventually(async () =>
        expect(await deliveriesOf(caller, webhook.id)).toMatchObject([
          { status: "pending", attempts: 1, lastStatus: status, nextAttemptAt: expect.any(String) },
        ]),
      )
      const [received] = receiver.received
      const { log } = await deliveryOf(caller, webhook.id, received?.message.data.seq ?? 0)
      expect(log).toMatchObject([{ status, error: error ? expect.stringMatching(error) : null }])
      expect(strays).toEqual([])
    })
  }

  it("asks for time with 429 and Retry-After: it gets it", async () => {
    const { caller, webhook } = await opened({}, answering(429, { "retry-after": "3600" }))
    await newTask(caller)
    const start = Date.now()
    await eventually(async () => {
      const [delivery] = await deliveriesOf(caller, webhook.id)
      expect(delivery).toMatchObject({ attempts: 1, lastStatus: 429 })
      expect(Date.parse(delivery?.nextAttemptAt ?? "")).toBeGreaterThanOrEqual(start + 3_600_000)
    })
    // Neither the bell nor a message that comes twice makes it earlier.
    await ring(caller.workspaceId)
    expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ attempts: 1 }])
  })

  it("answers with more than anybody reads: 1 KB is kept, and the rest not even read", async () => {
    let pulled = 0
    let isCancelled = false
    const endless = () =>
      new ReadableStream({
        pull(controller) {
          pulled += 16_384
          controller.enqueue(new Uint8Array(16_384).fill(0x61))
        },
        cancel() {
          isCancelled = true
        },
      })
    const { caller, receiver, webhook } = await opened({}, () => new Response(endless()))
    await newTask(caller)
    await eventually(async () =>
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ status: "delivered" }]),
    )
    const { log } = await deliveryOf(caller, webhook.id, receiver.received[0]?.message.data.seq ?? 0)
    expect(log[0]?.response?.body).toBe("a".repeat(1_024))
    expect(pulled).toBeLessThanOrEqual(6 * 16_384)
    expect(isCancelled).toBe(true)
  })

  it("says 410: nothing is sent to it any more, and its owner is told", async () => {
    const { caller, receiver, webhook } = await opened({}, answering(410))
    await verified(caller)
    await newTask(caller)
    await eventually(async () =>
      expect(await getWebhook(caller, webhook.id)).toMatchObject({ status: "disabled", disabledReason: "gone" }),
    )
    expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ status: "failed", lastStatus: 410 }])
    const told = (await eventsOf(caller)).find(({ type }) => type === "webhook.disabled")
    expect(told).toMatchObject({ actorId: "system", actorRole: "system", data: { after: { disabledReason: "gone" } } })
    await eventually(async () => {
      const mails = (await keptMessages(env.MAILBOX)).filter(({ to }) => to === caller.email)
      expect(mails.map(({ kind }) => kind)).toContain("webhook_disabled")
    })
    await newTask(caller)
    await ring(caller.workspaceId)
    expect(receiver.received).toHaveLength(1)
  })

  it("fails for three days: it is disabled once, and what was owed is given up, kept and replayed", async () => {
    const down = answering(500)
    const { caller, receiver, webhook } = await opened({}, down, down, down, down, down)
    const threeDays = Date.now() - 3 * 24 * 60 * 60 * 1_000 - 1_000
    await newTask(caller)
    await newTask(caller)
    await eventually(async () =>
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ attempts: 1 }, { attempts: 1 }]),
    )
    await execute("update webhooks set failing_since = ? where workspace_id = ?", threeDays, caller.workspaceId)
    await hurry(caller)
    await eventually(async () => {
      expect(await getWebhook(caller, webhook.id)).toMatchObject({ status: "disabled", disabledReason: "failing" })
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ status: "failed" }, { status: "failed" }])
    })
    const disabled = (await eventsOf(caller)).filter(({ type }) => type === "webhook.disabled")
    expect(disabled).toHaveLength(1)
    await problemIn(await caller.post(`${api}/webhooks/${webhook.id}/replays`, { fromSeq: 1, toSeq: 99 }), 409)

    const tried = receiver.received.length
    receiver.answers.length = 0
    await caller.put(`${api}/webhooks/${webhook.id}/activation`)
    const range = { fromSeq: 1, toSeq: 99, status: "failed" }
    const answer = await caller.post(`${api}/webhooks/${webhook.id}/replays`, range)
    expect(await answer.json()).toEqual({ replayed: 2, nextSeq: null })
    await eventually(async () =>
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([
        { status: "delivered", attempts: 1, replays: 1 },
        { status: "delivered", attempts: 1, replays: 1 },
      ]),
    )
    expect(receiver.received).toHaveLength(tried + 2)
    expect(new Set(receiver.received.map(({ headers }) => headers.get("webhook-id"))).size).toBe(2)
    expect(await getWebhook(caller, webhook.id)).toMatchObject({ status: "active", failingSince: null })
    expect((await deliveriesOf(caller, webhook.id, "?status=failed")).length).toBe(0)
  })

  it("is looked up before each attempt: a name that has come to mean a private address is not sent to", async () => {
    const { caller, receiver, webhook } = await opened({}, answering(500))
    await newTask(caller)
    await eventually(() => expect(receiver.received).toHaveLength(1))
    await eventually(async () => expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ lastStatus: 500 }]))
    const name = new URL(receiver.url).host
    names.set(name, { a: ["93.184.215.14"], aaaa: ["fd00:ec2::254"] })
    await hurry(caller)
    await eventually(async () => expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ attempts: 2 }]))
    const { log } = await deliveryOf(caller, webhook.id, receiver.received[0]?.message.data.seq ?? 0)
    expect(log[0]).toMatchObject({
      status: null,
      request: null,
      error: expect.stringMatching(/address that is not public/),
    })
    expect(receiver.received).toHaveLength(1)
    names.delete(name)
  })

  it("is sent what it asked for then, whatever it asks for by now", async () => {
    const caller = await newCaller()
    const label = await newLabel(caller)
    const receiver = newReceiver(answering(500))
    const input = { url: receiver.url, events: ["task.closed"], labelIds: [label] }
    const webhook = await newWebhook(caller, input)
    const task = await newTask(caller, { labelIds: [label] })
    await caller.put(`${api}/tasks/${task.id}/closure`)
    await eventually(async () => expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ lastStatus: 500 }]))
    await caller.patch(`${api}/tasks/${task.id}`, { labelIds: [] })
    await caller.patch(`${api}/webhooks/${webhook.id}`, { events: ["task.deleted"] })
    await hurry(caller)
    await eventually(() => expect(receiver.types()).toEqual(["task.closed", "task.closed"]))
  })

  it("is not sent what has gone out of sight since", async () => {
    const caller = await newCaller()
    const project = await newProject(caller)
    const receiver = newReceiver(answering(500))
    const webhook = await newWebhook(caller, { url: receiver.url, events: ["task.created"] })
    await newTask(caller, { projectId: project.id })
    await eventually(async () =>
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ attempts: 1, lastStatus: 500 }]),
    )
    await caller.patch(`${api}/projects/${project.id}`, { visibility: "private" })
    await hurry(caller)
    await eventually(async () => expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ status: "failed" }]))
    expect(receiver.received).toHaveLength(1)
  })
})

describe("a replay", () => {
  it("sends one event again, with the same id, and is told in the log", async () => {
    const { caller, receiver, webhook } = await opened({ events: ["task.created"] })
    await newTask(caller)
    await eventually(async () =>
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ status: "delivered" }]),
    )
    const seq = receiver.received[0]?.message.data.seq ?? 0
    const path = `${api}/webhooks/${webhook.id}/deliveries/${seq}/replays`
    const once = { "idempotency-key": crypto.randomUUID() }
    const first = await caller.post(path, undefined, once)
    expect(await first.json()).toMatchObject({ status: "pending", attempts: 0, replays: 1 })
    await eventually(() => expect(receiver.received).toHaveLength(2))
    expect((await caller.post(path, undefined, once)).headers.get("idempotency-replayed")).toBe("true")
    await eventually(async () =>
      expect((await deliveryOf(caller, webhook.id, seq)).log).toMatchObject([
        { attempt: 1, replay: 1, status: 204 },
        { attempt: 1, replay: 0, status: 204 },
      ]),
    )
    const [one, two] = receiver.received.map(({ headers }) => headers.get("webhook-id"))
    expect(one).toBe(two)
    expect((await eventsOf(caller)).map(({ type }) => type).filter((type) => type === "webhook.replayed")).toHaveLength(
      1,
    )
  })

  it("sends what was missed while it was disabled, as the webhook chooses, and once it is there it is no longer missed", async () => {
    const caller = await newCaller()
    await newTask(caller, { title: "Before it was made" })
    const hidden = await newProject(caller, { visibility: "private" })
    const receiver = newReceiver()
    const webhook = await newWebhook(caller, { url: receiver.url, events: ["task.created", "task.closed"] })
    const path = `${api}/webhooks/${webhook.id}`
    await newTask(caller, { title: "Sent" })
    await eventually(async () =>
      expect(await deliveriesOf(caller, webhook.id)).toMatchObject([{ status: "delivered" }]),
    )
    await caller.delete(`${path}/activation`)
    const missed = await newTask(caller, { title: "Missed" })
    await caller.patch(`${api}/tasks/${missed.id}`, { priority: 1 })
    await caller.put(`${api}/tasks/${missed.id}/closure`)
    await newTask(caller, { title: "Hidden", projectId: hidden.id })
    await caller.put(`${path}/activation`)
    const range = { fromSeq: 1, toSeq: 10_000 }
    const none = await caller.post(`${path}/replays`, { ...range, status: "delivered" })
    expect(await none.json()).toEqual({ replayed: 1, nextSeq: null })
    const first = await caller.post(`${path}/replays`, { ...range, status: "failed" })
    expect(await first.json()).toEqual({ replayed: 2, nextSeq: null })
    expect(costOf(first).trips).toBe(3)
    await eventually(async () =>
      expect((await deliveriesOf(caller, webhook.id)).map(({ status }) => status)).toEqual(Array(3).fill("delivered")),
    )
    const missing = receiver.received.filter(({ message }) => message.data.subjectId === missed.id)
    expect(missing.map(({ message }) => message.type).toSorted()).toEqual(["task.closed", "task.created"])
    const [{ seq, messageId } = { seq: 0, messageId: "" }] = await deliveriesOf(caller, webhook.id)
    expect(missing.find(({ message }) => message.data.seq === seq)?.headers.get("webhook-id")).toBe(messageId)
    const again = await caller.post(`${path}/replays`, { ...range, status: "failed" })
    expect(await again.json()).toEqual({ replayed: 0, nextSeq: null })
    const all = await caller.post(`${path}/replays`, range)
    expect(await all.json()).toEqual({ replayed: 3, nextSeq: null })
    expect(JSON.stringify(receiver.received)).not.toMatch(/Before it was made|Hidden/)
  })

  it("goes through a long range that was missed in parts, each of which is sent", async () => {
    const { caller, receiver, webhook } = await opened({ events: ["task.created"] })
    const path = `${api}/webhooks/${webhook.id}`
    await caller.delete(`${path}/activation`)
    const tasks = Array.from({ length: 100 }, (_, n) => ({ projectId: caller.inboxId, title: `${n}` }))
    for (let n = 0; n < 3; n += 1) expect((await caller.post(`${api}/tasks/bulk`, { tasks })).status).toBe(201)
    await caller.put(`${path}/activation`)
    let replayed = 0
    let requests = 0
    for (let fromSeq: number | null = 1; fromSeq !== null; requests += 1) {
      const answer = await caller.post(`${path}/replays`, { fromSeq, toSeq: 1_000_000, status: "failed" })
      const part = (await answer.json()) as { replayed: number; nextSeq: number | null }
      replayed += part.replayed
      fromSeq = part.nextSeq
    }
    expect([replayed, requests]).toEqual([300, 2])
    await eventually(() => expect(new Set(receiver.received.map(({ message }) => message.data.seq)).size).toBe(300))
  })

  it("takes a range in parts, and tells where to go on", async () => {
    const { caller, webhook } = await opened({ events: ["task.closed"] })
    // The log goes on as far.
    await execute("update heads set seq = 300 where workspace_id = ?", caller.workspaceId)
    const rows = Array.from(
      { length: 201 },
      (_, n) => `('${caller.workspaceId}', '${webhook.id}', ${n + 10}, 'task.closed', 'failed', 10, null, 500, 0, 0)`,
    )
    await execute(
      `insert into webhook_deliveries (workspace_id, webhook_id, seq, type, status, attempts, next_attempt_at, last_status, created_at, updated_at) values ${rows.join(", ")}`,
    )
    const path = `${api}/webhooks/${webhook.id}/replays`
    const answer = await caller.post(path, { fromSeq: 10, toSeq: 210 })
    expect(await answer.json()).toEqual({ replayed: 200, nextSeq: 210 })
    const rest = await caller.post(path, { fromSeq: 210, toSeq: 210, status: "delivered" })
    expect(await rest.json()).toEqual({ replayed: 0, nextSeq: null })
  })
})

// ---- what carries deliveries may fail ----

type Row = { webhook_id: string; seq: number; attempts: number; status: string; next_attempt_at: number | null }
const rowsOfDeliveries = ({ workspaceId }: Caller) =>
  rowsOf<Row>(
    "select webhook_id, seq, attempts, status, next_attempt_at from webhook_deliveries where workspace_id = ? order by seq",
    workspaceId,
  )

/** Hands messages to a consumer, as the queue would. */
async function consume(bodies: DeliveryMessage[], over: Partial<Parameters<typeof deliverBatch>[1]> = {}) {
  const { instance } = await openApp()
  const messages = bodies.map((body) => ({ id: crypto.randomUUID(), timestamp: new Date(), attempts: 1, body }))
  const batch = createMessageBatch<DeliveryMessage>("edgewise-deliveries", messages)
  await deliverBatch(batch, { ...instance, agent: "test", timeoutMs: 500, waits: [60_000], isReadOnly: false, ...over })
  return getQueueResult(batch, createExecutionContext())
}

/** A delivery that is due and that nobody has been told of. */
async function unqueued(receiver: Receiver, count = 1) {
  const caller = await newCaller()
  const webhook = await newWebhook(caller, { url: receiver.url, events: ["task.closed"] })
  const tasks = await Promise.all(Array.from({ length: count }, () => newTask(caller)))
  const seqs = (await eventsOf(caller)).filter(({ type }) => type === "task.created").map(({ seq }) => seq)
  expect(seqs).toHaveLength(tasks.length)
  const until = Date.now() + lease
  for (const seq of seqs) {
    await execute(
      "insert into webhook_deliveries (workspace_id, webhook_id, seq, type, status, attempts, next_attempt_at, last_status, created_at, updated_at) values (?, ?, ?, 'task.created', 'pending', 0, ?, null, 0, 0)",
      caller.workspaceId,
      webhook.id,
      seq,
      until,
    )
  }
  await execute("update webhooks set events = '[]' where workspace_id = ?", caller.workspaceId)
  const { workspaceId } = caller
  const message = (seq: number, number = 1) => ({ workspaceId, webhookId: webhook.id, seq, number, until })
  return { caller, webhook, seqs, message }
}

describe("a message", () => {
  it("that comes twice at the same time makes one attempt", async () => {
    const receiver = newReceiver()
    const { caller, seqs, message } = await unqueued(receiver, 3)
    const bodies = seqs.map((seq) => message(seq))
    const results = await Promise.all([consume(bodies), consume([...bodies, ...bodies]), consume(bodies)])
    for (const { retryMessages } of results) expect(retryMessages).toEqual([])
    expect(receiver.received).toHaveLength(3)
    expect(await rowsOfDeliveries(caller)).toMatchObject(
      seqs.map((seq) => ({ seq, attempts: 1, status: "delivered", next_attempt_at: null })),
    )
  })

  it("that is late or early, or makes no sense, is put away", async () => {
    const receiver = newReceiver(answering(500))
    const { caller, seqs, message } = await unqueued(receiver)
    const [seq = 0] = seqs
    const senseless = [null, {}, { ...message(seq), seq: "1" }, message(seq, 2), message(seq + 1_000)]
    const { retryMessages, explicitAcks } = await consume(senseless as DeliveryMessage[])
    expect([retryMessages.length, explicitAcks.length]).toEqual([0, 5])
    expect(receiver.received).toEqual([])
    await consume([message(seq)])
    // The attempt that it is for has been made: whoever brings it again does not make it earlier than it is due.
    await consume([message(seq)])
    expect(receiver.received).toHaveLength(1)
    expect(await rowsOfDeliveries(caller)).toMatchObject([{ attempts: 1, status: "pending" }])
  })

  it("is settled alone: one that fails for no reason of its own comes again, and the other is done", async () => {
    const [one, two] = [newReceiver(), newReceiver()]
    const [first, second] = [await unqueued(one), await unqueued(two)]
    const targets = {
      refusal: (url: string) => (url === one.url ? Promise.reject(new Error("broken")) : Promise.resolve(null)),
    }
    const bodies = [first, second].map(({ message, seqs }) => message(seqs[0] ?? 0))
    const { retryMessages, explicitAcks } = await consume(bodies, { targets })
    expect([retryMessages.length, explicitAcks.length]).toEqual([1, 1])
    expect([one.received.length, two.received.length]).toEqual([0, 1])
  })

  it("is left for later while nothing may be written", async () => {
    const receiver = newReceiver()
    const { caller, seqs, message } = await unqueued(receiver)
    const { retryMessages } = await consume([message(seqs[0] ?? 0)], { isReadOnly: true })
    expect(retryMessages).toHaveLength(1)
    expect(receiver.received).toEqual([])
    expect(await rowsOfDeliveries(caller)).toMatchObject([{ attempts: 0, status: "pending" }])
  })

  it("is answered too late: the attempt ends after the time that it has", async () => {
    const receiver = newReceiver(() => new Promise((resolve) => setTimeout(resolve, 1_000, new Response())))
    const { caller, webhook, seqs, message } = await unqueued(receiver)
    await consume(seqs.map((seq) => message(seq)))
    const { log } = await deliveryOf(caller, webhook.id, seqs[0] ?? 0)
    expect(log[0]).toMatchObject({ status: null, error: "No answer in 500 ms" })
    expect(log[0]?.durationMs).toBeGreaterThanOrEqual(450)
  })

  it("goes to one endpoint with at most three others at a time", async () => {
    let [now, most] = [0, 0]
    const slow = async () => {
      now += 1
      most = Math.max(most, now)
      await new Promise((resolve) => setTimeout(resolve, 50))
      now -= 1
      return new Response(null, { status: 204 })
    }
    const receiver = newReceiver(...Array.from({ length: 8 }, () => slow))
    const { seqs, message } = await unqueued(receiver, 8)
    const bodies = seqs.map((seq) => message(seq))
    await consume(bodies, { timeoutMs: 15_000 })
    expect(receiver.received).toHaveLength(8)
    expect(most).toBe(3)
  })
})

describe("an endpoint that hangs", () => {
  const never = () => new Promise<Response>((resolve) => setTimeout(resolve, 600, new Response()))

  it("keeps the rest of its batch from waiting: what is left for it is put back, and the others are sent", async () => {
    const [tarpit, other] = [newReceiver(...Array.from({ length: 20 }, () => never)), newReceiver()]
    const [stuck, fine] = [await unqueued(tarpit, 8), await unqueued(other, 4)]
    const messages = [stuck, fine].flatMap(({ seqs, message }) => seqs.map((seq) => message(seq)))
    const told: [string, number][] = []
    const { instance } = await openApp()
    const owe = async (workspaceId: string, at: number) => {
      told.push([workspaceId, at])
    }
    const { explicitAcks } = await consume(messages, { hubs: { ...instance.hubs, owe } })
    expect([explicitAcks.length, tarpit.received.length, other.received.length]).toEqual([12, 3, 4])
    const rows = await rowsOfDeliveries(stuck.caller)
    const left = rows.filter(({ attempts }) => attempts === 0)
    expect(left).toHaveLength(5)
    for (const { next_attempt_at: at } of left) {
      expect(Number(at)).toBeGreaterThan(Date.now())
      expect(Number(at)).toBeLessThan(Date.now() + 31_000)
      expect(told).toContainEqual([stuck.caller.workspaceId, Number(at)])
    }
    expect((await rowsOfDeliveries(fine.caller)).every(({ status }) => status === "delivered")).toBe(true)
  })

  it("has few under way, batch after batch, while another one is sent all of its own", async () => {
    const [tarpit, other] = [newReceiver(...Array.from({ length: 500 }, () => never)), newReceiver()]
    const { caller, webhook, seqs } = await unqueued(tarpit, 60)
    const fine = await newWebhook(caller, { url: other.url })
    const { workspaceId } = caller
    await execute(
      `insert into webhook_deliveries (workspace_id, webhook_id, seq, type, status, attempts, next_attempt_at, last_status, created_at, updated_at)
       select workspace_id, ?, seq, type, status, attempts, 2, last_status, created_at, updated_at from webhook_deliveries where workspace_id = ?`,
      fine.id,
      workspaceId,
    )
    await execute("update webhook_deliveries set next_attempt_at = 1 where webhook_id = ?", webhook.id)
    await execute("update webhooks set failing_since = ? where id = ?", Date.now(), webhook.id)
    const { instance } = await openApp()
    const hubs = { ...instance.hubs, owe: () => Promise.resolve() }
    const db = openDb(instance.database.connect())
    const sent: string[] = []
    for (let sweep = 0; sweep < 3; sweep += 1) {
      const { due } = await leaseDue({ db, workspaceId, now: Date.now })
      sent.push(...due.map(({ webhookId }) => webhookId))
      for (let from = 0; from < due.length; from += 20) {
        await consume(
          due.slice(from, from + 20).map((each) => ({ ...each, workspaceId })),
          { hubs },
        )
      }
    }
    await db.close()
    expect(other.received).toHaveLength(seqs.length)
    expect(sent.filter((id) => id === webhook.id)).toHaveLength(2)
    expect(tarpit.received).toHaveLength(2)
  })

  it("costs nothing for what was queued again and again: whatever is too late is put away unread", async () => {
    const receiver = newReceiver()
    const { caller, seqs, message } = await unqueued(receiver)
    const [seq = 0] = seqs
    const late = { ...message(seq), until: Date.now() - 1 }
    let trips = 0
    const { instance } = await openApp({
      database: between((batch) => {
        trips += 1
        return batch.run()
      }),
    })
    const { explicitAcks } = await consume(
      Array.from({ length: 20 }, () => late),
      { database: instance.database },
    )
    expect([explicitAcks.length, receiver.received.length, trips]).toEqual([20, 0, 0])
    expect(await rowsOfDeliveries(caller)).toMatchObject([{ attempts: 0, status: "pending" }])
  })
})

describe("more than may be under way at once", () => {
  it("is sent all the same, and at once: each batch makes room for the next", async () => {
    const { caller, receiver } = await opened({ events: ["task.created"] })
    const tasks = Array.from({ length: 100 }, (_, n) => ({ projectId: caller.inboxId, title: `${n}` }))
    for (let n = 0; n < 3; n += 1) expect((await caller.post(`${api}/tasks/bulk`, { tasks })).status).toBe(201)
    const start = Date.now()
    await eventually(() => expect(new Set(receiver.received.map(({ message }) => message.data.seq)).size).toBe(300))
    expect(Date.now() - start).toBeLessThan(15_000)
    expect(receiver.received).toHaveLength(300)
  })
})

describe("what was lost on the way", () => {
  it("in the queue, is queued again when its lease ends, and not before", async () => {
    const receiver = newReceiver()
    const { caller, seqs } = await unqueued(receiver)
    await ring(caller.workspaceId)
    expect(await rowsOfDeliveries(caller)).toMatchObject([{ attempts: 0 }])
    await hurry(caller)
    await eventually(() => expect(receiver.received.map(({ message }) => message.data.seq)).toEqual(seqs))
    await eventually(async () => expect(await rowsOfDeliveries(caller)).toMatchObject([{ status: "delivered" }]))
  })

  it("in the middle of an attempt, leaves an attempt without an outcome, and another one after it", async () => {
    const receiver = newReceiver()
    const { caller, webhook, seqs, message } = await unqueued(receiver)
    const [seq = 0] = seqs
    // What takes the attempt never comes back to settle it.
    const never = consume([message(seq)], { send: () => new Promise(() => undefined), timeoutMs: 600_000 })
    await eventually(async () => expect(await rowsOfDeliveries(caller)).toMatchObject([{ attempts: 1 }]))
    expect((await deliveryOf(caller, webhook.id, seq)).log).toMatchObject([
      { error: "No outcome was recorded", request: null },
    ])
    await consume([message(seq)])
    expect(receiver.received).toEqual([])
    await hurry(caller)
    await eventually(() => expect(receiver.received).toHaveLength(1))
    await eventually(async () =>
      expect(await rowsOfDeliveries(caller)).toMatchObject([{ status: "delivered", attempts: 2 }]),
    )
    void never
  })

  it("with a hub that restarts: it goes on, with the webhooks that there are by then", async () => {
    const { caller, receiver, webhook } = await opened({ events: ["task.created"] })
    await newTask(caller)
    await flushed(caller, receiver, webhook.id)
    await evictDurableObject(env.WORKSPACE_HUB.getByName(caller.workspaceId))
    const other = newReceiver()
    const second = await newWebhook(caller, { url: other.url, events: ["task.created"] })
    await evictDurableObject(env.WORKSPACE_HUB.getByName(caller.workspaceId))
    await newTask(caller)
    expect(await flushed(caller, receiver, webhook.id)).toEqual(["task.created", "task.created"])
    expect(await flushed(caller, other, second.id)).toEqual(["task.created"])
  })
})

describe("a mail about a webhook that was disabled", () => {
  it("goes to the owners and to the admin who made it, and tells neither path nor query of its URL", async () => {
    const owner = await newCaller()
    const admin = await joined(owner, "admin", "Adam")
    const member = await joined(owner, "member", "Mia")
    const silent = await joined(owner, "owner", "Sol")
    for (const each of [owner, admin, member]) await verified(each)
    const receiver = newReceiver(answering(410))
    const webhook = await newWebhook(admin, {
      url: `${receiver.url}/token-in-path?key=token-in-query`,
      events: ["task.created"],
    })
    await newTask(owner)
    await eventually(async () => expect((await getWebhook(owner, webhook.id)).status).toBe("disabled"))
    const about = async () => (await keptMessages(env.MAILBOX)).filter(({ text }) => text.includes(webhook.id))
    await eventually(async () =>
      expect((await about()).map(({ to }) => to).toSorted()).toEqual([owner.email, admin.email].toSorted()),
    )
    expect(JSON.stringify(await about())).not.toContain("token-in")
    expect(JSON.stringify(await about())).not.toContain(member.email)
    // Whoever has confirmed no address is not written to.
    expect(JSON.stringify(await about())).not.toContain(silent.email)
  })

  it("is sent again until it has gone out, whatever became of the one who disabled it", async () => {
    const receiver = newReceiver(answering(410))
    const { caller, webhook, seqs, message } = await unqueued(receiver)
    await verified(caller)
    const { instance } = await openApp()
    // Nobody was told: the consumer ended after its commit.
    const hubs = { ...instance.hubs, tell: () => Promise.reject(new Error("no")) }
    await consume([message(seqs[0] ?? 0)], { hubs })
    expect((await getWebhook(caller, webhook.id)).disabledReason).toBe("gone")
    const about = async () => (await keptMessages(env.MAILBOX)).filter(({ text }) => text.includes(webhook.id))
    expect(await about()).toEqual([])
    const body = { workspaceId: caller.workspaceId, webhookId: webhook.id, reason: "gone" as const }
    const send = async (mail: Mail) => {
      const letters = [{ id: "1", timestamp: new Date(), attempts: 1, body: { userId: caller.userId, disabled: body } }]
      const batch = createMessageBatch<LetterMessage>("edgewise-letters", letters)
      await sendLetters(batch, { ...instance, hubs: env.USER_HUB, mail })
      return (await getQueueResult(batch, createExecutionContext())).retryMessages.length
    }
    expect(await send({ ...instance.mail, delivers: true, send: () => Promise.reject(new Error("no")) })).toBe(1)
    // The hub finds the entry in the log, whenever it looks next.
    await env.WORKSPACE_HUB.getByName(caller.workspaceId).catchUp(caller.workspaceId)
    await eventually(async () => expect((await about()).map(({ to }) => to)).toEqual([caller.email]))
    expect(await send(instance.mail)).toBe(0)
  })
})
