import { beforeAll, describe, expect, it } from "vitest"
import { webhookEvents } from "../../src/contracts/webhooks.ts"
import { ofActor, ofEverybody, ofManagers } from "../../src/domain/activity-views.ts"
import { webhooksAtMost } from "../../src/domain/webhooks.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newCaller,
  newProject,
  newTask,
  pageIn,
  pointersIn,
  problemIn,
} from "../support/caller.ts"
import { rowsOf } from "../support/database.ts"
import { between, isCommit } from "../support/faults.ts"
import { joined } from "../support/people.ts"
import {
  deliveryOf,
  eventually,
  getWebhook,
  mockNetwork,
  names,
  newReceiver,
  newWebhook,
  secretsOf,
  webhookIn,
} from "../support/receivers.ts"

const path = "/api/v1/webhooks"
const day = 24 * 60 * 60 * 1_000

let ada: Caller
let url: string

beforeAll(async () => {
  mockNetwork()
  ada = await newCaller()
  ;({ url } = newReceiver())
})

const newLabel = async (caller: Caller) =>
  ((await (await caller.post("/api/v1/labels", { name: crypto.randomUUID() })).json()) as { id: string }).id

describe("a webhook", () => {
  it("is made for everything that is open, in two round trips, and tells no secret", async () => {
    const answer = await ada.post(path, { url })
    expect([answer.status, costOf(answer).trips]).toEqual([201, 2])
    const webhook = await webhookIn(answer)
    expect(webhook).toMatchObject({
      url,
      description: "",
      events: [],
      projectIds: null,
      labelIds: null,
      status: "active",
      disabledReason: null,
      failingSince: null,
      createdBy: ada.userId,
      revision: 1,
    })
    expect(answer.headers.get("location")).toBe(`${path}/${webhook.id}`)
    const got = await ada.get(`${path}/${webhook.id}`)
    expect([await webhookIn(got.clone() as Response), costOf(got).trips]).toEqual([webhook, 1])
    expect(got.headers.get("etag")).toBe(answer.headers.get("etag"))
    expect(JSON.stringify(await eventsOf(ada))).not.toContain("whsec_")
  })

  it("is changed as a merge patch says, from the revision that is expected", async () => {
    const webhook = await newWebhook(ada, { url, description: "Mirror" })
    const { id: projectId } = await newProject(ada)
    const labelId = await newLabel(ada)
    const patch = { events: ["task.created"], projectIds: [projectId], labelIds: [labelId], revision: 1 }
    const answer = await ada.patch(`${path}/${webhook.id}`, patch)
    expect(costOf(answer).trips).toBe(2)
    const { revision, ...changed } = patch
    expect(await webhookIn(answer)).toMatchObject({ ...changed, description: "Mirror", revision: revision + 1 })
    await problemIn(await ada.patch(`${path}/${webhook.id}`, patch), 412)
    const same = await ada.patch(`${path}/${webhook.id}`, { projectIds: null, labelIds: null, events: [] })
    expect(await webhookIn(same)).toMatchObject({ projectIds: null, labelIds: null, events: [] })
    await ada.patch(`${path}/${webhook.id}`, { description: "Mirror" })
    expect(await historyOf(ada, webhook.id)).toEqual(["webhook.created", "webhook.updated", "webhook.updated"])
  })

  it("is gone once it is deleted, in every way in which it can be named", async () => {
    const { id } = await newWebhook(ada, { url })
    expect((await ada.delete(`${path}/${id}`, { "if-match": '"7"' })).status).toBe(412)
    expect((await ada.delete(`${path}/${id}`, { "if-match": '"1"' })).status).toBe(204)
    for (const each of ["", "/secrets", "/deliveries", "/deliveries/1"]) {
      await problemIn(await ada.get(`${path}/${id}${each}`), 404)
    }
    for (const each of ["/secrets", "/pings", "/deliveries/1/replays"]) {
      await problemIn(await ada.post(`${path}/${id}${each}`), 404)
    }
    await problemIn(await ada.put(`${path}/${id}/activation`), 404)
    await problemIn(await ada.post(`${path}/${id}/replays`, { fromSeq: 1, toSeq: 2 }), 404)
    expect((await pageIn(await ada.get(path))).data.map((webhook) => webhook.id)).not.toContain(id)
  })

  it("does not exist for another workspace", async () => {
    const { id } = await newWebhook(ada, { url })
    const eve = await newCaller()
    await problemIn(await eve.get(`${path}/${id}`), 404)
    await problemIn(await eve.patch(`${path}/${id}`, { description: "x" }), 404)
    await problemIn(await eve.get(`${path}/${id}/secrets`), 404)
    await problemIn(await eve.delete(`${path}/${id}`), 404)
    expect((await pageIn(await eve.get(path))).data).toEqual([])
  })

  it("is told to those who manage webhooks, in the log too, and to nobody else", async () => {
    const { id } = await newWebhook(ada, { url })
    const [admin, member] = [await joined(ada, "admin"), await joined(ada, "member")]
    expect((await historyOf(admin, id)).length).toBe(1)
    expect(await historyOf(member, id)).toEqual([])
    await problemIn(await member.get(`${path}/${id}`), 403)
    await problemIn(await member.post(path, { url }), 403)
  })

  it("is listed, oldest first, a page at a time", async () => {
    const cleo = await newCaller()
    const made: string[] = []
    for (let n = 0; n < 5; n += 1) made.push((await newWebhook(cleo, { url })).id)
    const first = await pageIn(await cleo.get(`${path}?limit=3`))
    const second = await pageIn(await cleo.get(`${path}?limit=3&cursor=${first.next}`))
    expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(made)
    expect(second.next).toBeNull()
    expect(await pointersIn(await ada.get(`${path}?cursor=${first.next}`))).toEqual(["?cursor"])
  })

  it("is made once, however often it is asked with one key", async () => {
    const once = { "idempotency-key": crypto.randomUUID() }
    const first = await ada.post(path, { url, labelIds: [await newLabel(ada)] }, once)
    const made = await webhookIn(first)
    const again = await ada.post(path, { url, labelIds: made.labelIds }, once)
    expect(again.status).toBe(201)
    expect(await webhookIn(again)).toEqual(made)
    expect(again.headers.get("etag")).toBe(first.headers.get("etag"))
  })
})

describe("how many there may be", () => {
  it("is bounded, whoever makes them at the same time", async () => {
    const cleo = await newCaller()
    const tries = Array.from({ length: webhooksAtMost - 2 }, () => cleo.post(path, { url }))
    expect(
      (await Promise.all(tries)).map(({ status }) => status).filter((status) => status !== 201 && status !== 409),
    ).toEqual([])
    const held = async () => (await pageIn(await cleo.get(`${path}?limit=200`))).data.length
    while ((await held()) < webhooksAtMost - 1) await newWebhook(cleo, { url })
    // Two see room for one more.
    let met = 0
    const both = Promise.withResolvers<void>()
    const app = await openApp({
      database: between(async (batch) => {
        if (isCommit(batch)) {
          met += 1
          if (met === 2) both.resolve()
          if (met <= 2) await both.promise
        }
        return batch.run()
      }),
    })
    const racer = cleo.through(app)
    const answers = await Promise.all([racer.post(path, { url }), racer.post(path, { url })])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409])
    expect(await held()).toBe(webhooksAtMost)
    await problemIn(await cleo.post(path, { url }), 409)
  })
})

describe("where a webhook may lead", () => {
  const refusals: [string, string][] = [
    ["http", "http://example.com/hook"],
    ["a private address", "https://192.168.1.1/hook"],
    ["a private address in disguise", "https://0xc0a80101/hook"],
    ["the address of the metadata", "https://[::ffff:169.254.169.254]/latest/"],
    ["a name of another network", "https://metadata.google.internal/"],
    ["credentials", "https://a:b@example.com/"],
    ["no URL", "hook"],
  ]
  for (const [name, bad] of refusals) {
    it(`refuses ${name}, when it is made and when it is changed`, async () => {
      expect(await pointersIn(await ada.post(path, { url: bad }))).toEqual(["/url"])
      const { id } = await newWebhook(ada, { url })
      expect(await pointersIn(await ada.patch(`${path}/${id}`, { url: bad }))).toEqual(["/url"])
      expect((await getWebhook(ada, id)).url).toBe(url)
    })
  }

  it("refuses a name behind which one address is not public, or none is", async () => {
    names.set("half.example.com", { a: ["93.184.215.14", "10.1.2.3"] })
    names.set("six.example.com", { a: ["93.184.215.14"], aaaa: ["::ffff:10.1.2.3"] })
    names.set("empty.example.com", {})
    for (const name of ["half", "six", "empty", "unknown"]) {
      expect(await pointersIn(await ada.post(path, { url: `https://${name}.example.com/` })), name).toEqual(["/url"])
    }
    names.set("six.example.com", { a: [], aaaa: ["2606:4700:4700::1111"] })
    expect((await newWebhook(ada, { url: "https://six.example.com/" })).url).toBe("https://six.example.com/")
  })

  it("says that it cannot tell, while nobody answers for names", async () => {
    const lookups = [
      () => new Response("down", { status: 502 }),
      () => new Response("<html>", { status: 200 }),
      () => Response.json({ Status: 2 }),
      () => Promise.reject(new TypeError("connection reset")) as never,
    ]
    for (const lookup of lookups) {
      names.set("dark.example.com", { lookup })
      const answer = await ada.post(path, { url: "https://dark.example.com/" })
      expect(answer.headers.get("retry-after")).toBe("30")
      expect((await problemIn(answer, 503)).errors).toMatchObject([{ pointer: "/url" }])
    }
  })
})

describe("what a webhook may ask for", () => {
  it("is every type of event that all members may see, by its name", async () => {
    for (const type of webhookEvents) {
      expect(ofManagers.has(type) || ofActor.has(type), type).toBe(false)
    }
    for (const type of ofEverybody) expect(webhookEvents as readonly string[]).toContain(type)
    const { events } = await newWebhook(ada, { url, events: [...webhookEvents] })
    expect(events).toHaveLength(webhookEvents.length)
    for (const type of ["api_key.created", "invitation.created", "member.followed", "webhook.created", "tasks"]) {
      expect(await pointersIn(await ada.post(path, { url, events: ["task.created", type] }))).toEqual(["/events/1"])
    }
  })

  it("are projects that its maker manages at that moment, and labels that are there", async () => {
    const admin = await joined(ada, "admin", "Adam")
    const [open, hidden] = [await newProject(ada), await newProject(ada, { visibility: "private" })]
    const ghost = "prj_01j00000000000000000000000"
    const ask = (caller: Caller, ...projectIds: string[]) => caller.post(path, { url, projectIds })
    expect(await pointersIn(await ask(admin, open.id, hidden.id, ghost))).toEqual(["/projectIds/1", "/projectIds/2"])
    expect((await ask(ada, open.id, hidden.id)).status).toBe(201)
    await ada.put(`/api/v1/projects/${hidden.id}/members/${admin.userId}`, { level: "edit" })
    expect(await pointersIn(await ask(admin, hidden.id))).toEqual(["/projectIds/0"])
    await ada.put(`/api/v1/projects/${hidden.id}/members/${admin.userId}`, { level: "manage" })
    const { id } = await webhookIn(await ask(admin, hidden.id))
    const other = await newWebhook(admin, { url })
    await ada.delete(`/api/v1/projects/${hidden.id}/members/${admin.userId}`)
    // It is its own from then on; but nobody changes it to whom that would give more than is theirs.
    expect((await getWebhook(admin, id)).projectIds).toEqual([hidden.id])
    await problemIn(await admin.patch(`${path}/${id}`, { description: "Still" }), 403)
    expect(await pointersIn(await admin.patch(`${path}/${other.id}`, { projectIds: [hidden.id] }))).toEqual([
      "/projectIds/0",
    ])
    await ada.delete(`/api/v1/projects/${open.id}`)
    expect(await pointersIn(await ask(ada, open.id))).toEqual(["/projectIds/0"])
    const labelIds = [await newLabel(ada), "lbl_01j00000000000000000000000"]
    expect(await pointersIn(await ada.post(path, { url, labelIds }))).toEqual(["/labelIds/1"])
  })
})

describe("a webhook that names a project which somebody does not manage", () => {
  /** Everything that could lead what it is sent to somebody, or tell them. */
  const uses: Record<string, (admin: Caller, one: string, seq: number) => Promise<Response>> = {
    "another URL": (admin, one) => admin.patch(one, { url: newReceiver().url }),
    "a change of nothing else": (admin, one) => admin.patch(one, { description: "Mine" }),
    "another project": (admin, one) => admin.patch(one, { projectIds: null }),
    activation: (admin, one) => admin.put(`${one}/activation`),
    "the secrets": (admin, one) => admin.get(`${one}/secrets`),
    "a new secret": (admin, one) => admin.post(`${one}/secrets`),
    "a ping": (admin, one) => admin.post(`${one}/pings`),
    "its deliveries": (admin, one) => admin.get(`${one}/deliveries`),
    "a delivery": (admin, one, seq) => admin.get(`${one}/deliveries/${seq}`),
    "a replay": (admin, one, seq) => admin.post(`${one}/deliveries/${seq}/replays`),
    "replays of a range": (admin, one, seq) => admin.post(`${one}/replays`, { fromSeq: 1, toSeq: seq }),
  }

  /** A webhook that was sent something of a private project, beside an open one. */
  async function hiding() {
    const [owner, receiver] = [await newCaller(), newReceiver()]
    const [hidden, open] = [await newProject(owner, { visibility: "private" }), await newProject(owner)]
    const { id } = await newWebhook(owner, { url: receiver.url, projectIds: [open.id, hidden.id] })
    await newTask(owner, { projectId: hidden.id, title: "Secret" })
    await eventually(() => expect(receiver.received).toHaveLength(1))
    const seq = receiver.received[0]?.message.data.seq ?? 0
    return { owner, hidden, open, receiver, id, one: `${path}/${id}`, seq }
  }

  it("is not theirs to use: neither to be led elsewhere, nor to be read", async () => {
    const { owner, hidden, one, seq, receiver } = await hiding()
    const admin = await joined(owner, "admin", "Adam")
    const named = `/api/v1/projects/${hidden.id}/members/${admin.userId}`
    for (const level of [null, "edit", "manage"]) {
      if (level) await owner.put(named, { level })
      for (const [name, use] of Object.entries(uses)) {
        const { status } = await use(admin, one, seq)
        expect(status === 403, `${name} with ${level}: ${status}`).toBe(level !== "manage")
        // Whatever it was, it is as it was.
        if (level === "manage") await owner.patch(one, { url: receiver.url, projectIds: [hidden.id] })
      }
    }
    // What was in a project stays its own when that is deleted.
    await owner.delete(named)
    await owner.delete(`/api/v1/projects/${hidden.id}`)
    for (const [name, use] of Object.entries(uses)) expect((await use(admin, one, seq)).status, name).toBe(403)
  })

  it("is there for them to be seen, stopped and deleted", async () => {
    const { owner, hidden, id, one } = await hiding()
    const admin = await joined(owner, "admin", "Adam")
    expect((await getWebhook(admin, id)).projectIds).toContain(hidden.id)
    expect((await pageIn(await admin.get(path))).data.map((webhook) => webhook.id)).toContain(id)
    expect((await webhookIn(await admin.delete(`${one}/activation`))).status).toBe("disabled")
    await problemIn(await admin.put(`${one}/activation`), 403)
    expect((await admin.delete(one)).status).toBe(204)
  })

  it("is asked for as they stand now: a project that has become private, a role that has gone", async () => {
    const owner = await newCaller()
    const open = await newProject(owner)
    const { id } = await newWebhook(owner, { url, projectIds: [open.id] })
    const [admin, former] = [await joined(owner, "admin", "Adam"), await joined(owner, "owner", "Olga")]
    expect((await admin.patch(`${path}/${id}`, { description: "Mine" })).status).toBe(200)
    await owner.patch(`/api/v1/projects/${open.id}`, { visibility: "private" })
    expect((await former.patch(`${path}/${id}`, { description: "Hers" })).status).toBe(200)
    await owner.patch(`/api/v1/members/${former.userId}`, { role: "admin" })
    for (const each of [admin, former]) {
      await problemIn(await each.patch(`${path}/${id}`, { description: "Mine" }), 403)
      await problemIn(await each.get(`${path}/${id}/secrets`), 403)
      expect(await pointersIn(await each.post(path, { url, projectIds: [open.id] }))).toEqual(["/projectIds/0"])
    }
  })

  it("is asked about in no trip of its own", async () => {
    const { owner, one, seq } = await hiding()
    const trips = async (answer: Promise<Response>) => costOf(await answer).trips
    expect(await trips(owner.get(`${one}/secrets`))).toBe(1)
    expect(await trips(owner.get(`${one}/deliveries`))).toBe(1)
    expect(await trips(owner.get(`${one}/deliveries/${seq}`))).toBe(1)
    expect(await trips(owner.post(`${one}/deliveries/${seq}/replays`))).toBe(2)
    expect(await trips(owner.patch(one, { description: "Ours" }))).toBe(2)
    expect(await trips(owner.post(`${one}/pings`))).toBe(2)
  })
})

describe("a webhook for everything that is open", () => {
  it("keeps to itself what it was sent of a project that is private by now", async () => {
    const [owner, receiver] = [await newCaller(), newReceiver()]
    const admin = await joined(owner, "admin", "Adam")
    const project = await newProject(owner)
    const { id } = await newWebhook(owner, { url: receiver.url, events: ["task.created"] })
    await newTask(owner, { projectId: project.id, title: "Secret" })
    await eventually(() => expect(receiver.received).toHaveLength(1))
    const { seq } = receiver.received[0]?.message.data ?? { seq: 0 }
    const shown = async (caller: Caller) => JSON.stringify(await deliveryOf(caller, id, seq))
    await eventually(async () => expect(await shown(admin)).toContain("Secret"))
    await owner.patch(`/api/v1/projects/${project.id}`, { visibility: "private" })
    expect(await shown(owner)).toContain("Secret")
    expect(await shown(admin)).not.toContain("Secret")
    await admin.patch(`${path}/${id}`, { url: newReceiver().url })
    await admin.post(`${path}/${id}/replays`, { fromSeq: 1, toSeq: seq })
    await eventually(async () =>
      expect(await deliveryOf(owner, id, seq)).toMatchObject({ status: "failed", replays: 1 }),
    )
    expect(receiver.received).toHaveLength(1)
  })
})

describe("activation", () => {
  it("ends and begins, once, however often it is asked", async () => {
    const { id } = await newWebhook(ada, { url })
    for (let time = 0; time < 2; time += 1) {
      const off = await webhookIn(await ada.delete(`${path}/${id}/activation`))
      expect(off).toMatchObject({ status: "disabled", disabledReason: "user", revision: 2 })
    }
    await problemIn(await ada.post(`${path}/${id}/pings`), 409)
    await problemIn(await ada.post(`${path}/${id}/replays`, { fromSeq: 1, toSeq: 9 }), 409)
    for (let time = 0; time < 2; time += 1) {
      const on = await webhookIn(await ada.put(`${path}/${id}/activation`))
      expect(on).toMatchObject({ status: "active", disabledReason: null, revision: 3 })
    }
    expect(await historyOf(ada, id)).toEqual(["webhook.created", "webhook.disabled", "webhook.enabled"])
  })
})

describe("secrets", () => {
  it("are two for a day after a rotation, and one again", async () => {
    let now = Date.now()
    const app = await openApp({ now: () => now })
    const cleo = await newCaller(app)
    const { id } = await newWebhook(cleo, { url })
    const [first] = await secretsOf(cleo, id)
    const answer = await cleo.post(`${path}/${id}/secrets`, undefined, { "if-match": '"1"' })
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([201, "no-store"])
    const { data } = (await answer.json()) as { data: { secret: string; until: string | null }[] }
    expect(data).toEqual([
      { secret: expect.stringMatching(/^whsec_/), until: null },
      { secret: first, until: new Date(now + day).toISOString() },
    ])
    expect(await secretsOf(cleo, id)).toEqual(data.map(({ secret }) => secret))
    expect((await cleo.post(`${path}/${id}/secrets`, undefined, { "if-match": '"1"' })).status).toBe(412)
    now += 5 * 60 * 1_000
    await cleo.post(`${path}/${id}/secrets`)
    // Whoever rotates twice ends the first one: that is what a leak takes.
    const [third, second, ...none] = await secretsOf(cleo, id)
    expect([second, none]).toEqual([data[0]?.secret, []])
    expect([first, second]).not.toContain(third)
  })

  it("are told to nobody whose role has gone, whatever their token says", async () => {
    const admin = await joined(ada, "admin", "Adam")
    const { id } = await newWebhook(admin, { url })
    expect(await secretsOf(admin, id)).toHaveLength(1)
    await ada.patch(`/api/v1/members/${admin.userId}`, { role: "member" })
    await problemIn(await admin.get(`${path}/${id}/secrets`), 403)
    await ada.delete(`/api/v1/members/${admin.userId}`)
    await problemIn(await admin.get(`${path}/${id}/secrets`), 403)
  })

  it("are stored nowhere, and a repeat of a rotation does not rotate again", async () => {
    const { id } = await newWebhook(ada, { url })
    const once = { "idempotency-key": crypto.randomUUID() }
    await ada.post(`${path}/${id}/secrets`, undefined, once)
    expect((await problemIn(await ada.post(`${path}/${id}/secrets`, undefined, once), 409)).code).toBe("already_done")
    const live = await secretsOf(ada, id)
    expect(live).toHaveLength(2)
    const tables = ["webhooks", "events", "receipts"]
    const dump = JSON.stringify(
      await Promise.all(tables.map((name) => rowsOf(`select * from ${name} where workspace_id = ?`, ada.workspaceId))),
    )
    for (const secret of live) expect(dump).not.toContain(secret.replace("whsec_", "").slice(0, 20))
  })
})

describe("what is asked of deliveries", () => {
  it("is refused when it names none, or a range that goes backwards", async () => {
    const { id } = await newWebhook(ada, { url })
    for (const seq of ["0", "999999", "x", "1e3", "99999999999999999999"]) {
      await problemIn(await ada.get(`${path}/${id}/deliveries/${seq}`), 404)
      await problemIn(await ada.post(`${path}/${id}/deliveries/${seq}/replays`), 404)
    }
    expect(await pointersIn(await ada.post(`${path}/${id}/replays`, { fromSeq: 3, toSeq: 2 }))).toEqual(["/toSeq"])
    expect(await pointersIn(await ada.post(`${path}/${id}/replays`, { fromSeq: 0, toSeq: 2 }))).toEqual(["/fromSeq"])
    expect(await pointersIn(await ada.get(`${path}/${id}/deliveries?status=lost`))).toEqual(["?status"])
    const none = await ada.post(`${path}/${id}/replays`, { fromSeq: 900_000, toSeq: Number.MAX_SAFE_INTEGER })
    expect(await none.json()).toEqual({ replayed: 0, nextSeq: null })
  })
})
