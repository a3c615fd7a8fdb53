import { beforeAll, describe, expect, it } from "vitest"
import { type Caller, eventsOf, newCaller, newTask } from "../support/caller.ts"
import {
  answering,
  deliveriesOf,
  deliveryOf,
  eventually,
  getWebhook,
  hurry,
  mockNetwork,
  newReceiver,
  newWebhook,
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
