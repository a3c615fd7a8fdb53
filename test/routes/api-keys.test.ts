import { beforeAll, describe, expect, it, vi } from "vitest"
import { keyLife, keyMemory, noKeyLife } from "../../src/cache/key-memory.ts"
import { ApiKey, ApiKeyPage, type ApiKeyView, MadeApiKey, type MadeApiKeyView } from "../../src/contracts/api-keys.ts"
import { allPermissions, rolesThatMay } from "../../src/domain/permissions.ts"
import { makeApiKey } from "../../src/lib/api-key.ts"
import { sha256 } from "../../src/lib/hmac.ts"
import { newId } from "../../src/lib/ids.ts"
import { hour, minute } from "../../src/lib/time.ts"
import { policies } from "../../src/limits/policies.ts"
import { openApp, type TestApp } from "../support/app.ts"
import { forgetful } from "../support/caches.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  historyOf,
  newAddress,
  newCaller,
  newProject,
  newTask,
  pageIn,
  pointersIn,
  problemIn,
  sharedApp,
  taskIn,
} from "../support/caller.ts"
import { isPostgres, rowsOf } from "../support/database.ts"
import { between, isCommit, refusing } from "../support/faults.ts"
import { deadLimiter } from "../support/limiters.ts"
import { joined } from "../support/people.ts"

const path = "/api/v1/api-keys"
let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

const madeIn = async (answer: Response): Promise<MadeApiKeyView> => {
  expect(answer.status).toBe(201)
  return MadeApiKey.parse(await answer.json())
}
const keyIn = async (answer: Response): Promise<ApiKeyView> => {
  expect(answer.status).toBe(200)
  return ApiKey.strict().parse(await answer.json())
}
const keysIn = async (answer: Response) => {
  expect(answer.status).toBe(200)
  return ApiKeyPage.parse(await answer.json())
}

const newKey = async (caller: Caller, input: Record<string, unknown> = {}): Promise<MadeApiKeyView> =>
  madeIn(await caller.post(path, { name: "Deploy", scopes: ["task:read", "task:write"], ...input }))

type Init = { method?: string; body?: unknown; headers?: Record<string, string>; app?: TestApp }

/** A request through a key. */
async function send(key: string, url: string, { method = "GET", body, headers = {}, app }: Init = {}) {
  return (app ?? (await sharedApp())).fetch(url, {
    method,
    headers: {
      "x-api-key": key,
      "cf-connecting-ip": newAddress(),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

const writeTask = ({ inboxId }: Caller, key: string, app?: TestApp) =>
  send(key, "/api/v1/tasks", { method: "POST", body: { projectId: inboxId, title: "By key" }, ...(app && { app }) })

/** An app whose isolate shares what it remembers with nobody, as one in another colo. */
const elsewhere = (now = () => Date.now()) => openApp({ now, keys: keyMemory({ now, colo: forgetful }) })

async function expectInvalid(answer: Response) {
  expect(await problemIn(answer, 401)).toMatchObject({ code: "unauthenticated", detail: "Invalid API key" })
}

describe("POST /api-keys", () => {
  it("makes a key that is shown once, in one round trip, and tells the log without it", async () => {
    const answer = await ada.post(path, { name: " Deploy ", scopes: ["task:read", "task:write", "task:read"] })
    const made = await madeIn(answer)
    const { key, ...view } = made
    expect(key).toMatch(new RegExp(`^ew_${ada.workspaceId.slice(4)}_`))
    expect(view).toMatchObject({
      name: "Deploy",
      hint: `${key.slice(0, 7)}…${key.slice(-4)}`,
      scopes: ["task:read", "task:write"],
      userId: ada.userId,
      expiresAt: null,
      lastUsedAt: null,
      revision: 1,
    })
    expect(answer.headers.get("cache-control")).toBe("no-store")
    expect(answer.headers.get("etag")).toBe('"1"')
    expect(answer.headers.get("location")).toBe(`${path}/${made.id}`)
    expect(costOf(answer).trips).toBe(1)
    expect(await keyIn(await ada.get(`${path}/${made.id}`))).toEqual(view)

    const event = (await eventsOf(ada)).at(-1)
    expect(event).toMatchObject({ type: "api_key.created", subjectId: made.id, projectId: null })
    expect(event?.data).toEqual({ before: null, after: view })
    const rows = await rowsOf<{ hash: string }>("select * from api_keys where id = ?", made.id)
    expect(rows[0]?.hash).toBe(await sha256(key))
    expect(JSON.stringify(rows)).not.toContain(key.slice(30, 73))
  })

  const wrong: [string, Record<string, unknown>, string[]][] = [
    ["no name", { name: undefined }, ["/name"]],
    ["an empty name", { name: "  " }, ["/name"]],
    ["no scopes", { scopes: undefined }, ["/scopes"]],
    ["an empty list of scopes", { scopes: [] }, ["/scopes"]],
    ["what is no permission", { scopes: ["task:read", "event:read", "task:fly"] }, ["/scopes/2"]],
    ["names that every object has", { scopes: ["constructor", "__proto__"] }, ["/scopes/0", "/scopes/1"]],
    ["scopes that are no texts", { scopes: ["task:read", 1] }, ["/scopes/1"]],
    ["a scope that no database could keep", { scopes: ["\u0000"] }, ["/scopes/0"]],
    ["an end in the past", { expiresAt: "2020-01-01T00:00:00Z" }, ["/expiresAt"]],
    ["an end without an offset", { expiresAt: "2999-01-01T00:00:00" }, ["/expiresAt"]],
    ["an unknown field", { userId: "usr_01j00000000000000000000000" }, ["/userId"]],
  ]
  for (const [name, input, pointers] of wrong) {
    it(`refuses ${name} and names the field`, async () => {
      const answer = await ada.post(path, { name: "x", scopes: ["task:read"], ...input })
      expect(await pointersIn(answer)).toEqual(pointers)
    })
  }

  it("gives nobody's key more than they may do themselves", async () => {
    const member = await joined(ada, "member")
    const answer = await member.post(path, { name: "x", scopes: ["task:read", "workspace:own", "member:manage"] })
    expect(await pointersIn(answer)).toEqual(["/scopes/1", "/scopes/2"])
    const scopes = allPermissions.filter((permission) => rolesThatMay(permission).includes("member"))
    expect((await newKey(member, { scopes })).scopes).toEqual(scopes)
  })

  it("is not for guests, nor for who is one by now", async () => {
    const guest = await joined(ada, "guest")
    await problemIn(await guest.post(path, { name: "x", scopes: ["task:read"] }), 403)
    await problemIn(await guest.get(path), 403)
    const member = await joined(ada, "member")
    await ada.patch(`/api/v1/members/${member.userId}`, { role: "guest" })
    await problemIn(await member.post(path, { name: "x", scopes: ["task:read"] }), 403)
  })

  it("gives who was demoted a moment ago no scope that they no longer have", async () => {
    const admin = await joined(ada, "admin")
    await ada.patch(`/api/v1/members/${admin.userId}`, { role: "member" })
    const refused = await problemIn(await admin.post(path, { name: "x", scopes: ["task:read", "member:manage"] }), 403)
    expect(refused.detail).toContain("member:manage")
    expect((await newKey(admin, { scopes: ["task:read"] })).scopes).toEqual(["task:read"])
  })

  it("is not for the access token of a session that has ended", async () => {
    const bob = await newCaller()
    await bob.app.fetch("/api/v1/auth/logout", {
      method: "POST",
      headers: { authorization: `Bearer ${bob.accessToken}` },
    })
    const refused = await problemIn(await bob.post(path, { name: "x", scopes: ["task:read"] }), 401)
    expect(refused.detail).toBe("This session has ended")
  })

  it("is done once, and the key is not shown again, when it is repeated with its Idempotency-Key", async () => {
    const bob = await newCaller()
    const once = { "idempotency-key": "once" }
    const input = { name: "Once", scopes: ["task:read"] }
    const answers = await Promise.all([1, 2, 3].map(() => bob.post(path, input, once)))
    const first = answers.find(({ status }) => status === 201)
    if (!first) throw new Error("None was made")
    const made = await madeIn(first)
    for (const answer of [...answers.filter((answer) => answer !== first), await bob.post(path, input, once)]) {
      const problem = await problemIn(answer, 409)
      expect(problem).toMatchObject({ code: "already_done", title: "Already done" })
      expect(problem.errors).toEqual([{ pointer: "Idempotency-Key", detail: `was used to make ${made.id}` }])
      expect(problem.detail).toContain(made.id)
      expect(answer.headers.get("idempotency-replayed")).toBeNull()
    }
    expect((await keysIn(await bob.get(path))).data).toHaveLength(1)
    expect(await pointersIn(await bob.post(path, { ...input, name: "Other" }, once))).toEqual(["Idempotency-Key"])
    const receipts = await rowsOf("select * from receipts where workspace_id = ?", bob.workspaceId)
    expect(JSON.stringify(receipts)).not.toContain(made.key.slice(30, 73))
  })
})

describe("GET /api-keys", () => {
  it("lists mine a page at a time, oldest first, and none that is revoked", async () => {
    const bob = await newCaller()
    const made: string[] = []
    for (let n = 0; n < 5; n += 1) made.push((await newKey(bob, { name: `Key ${n}` })).id)
    await bob.delete(`${path}/${made[1]}`)
    const first = await bob.get(`${path}?limit=3`)
    expect(costOf(first).trips).toBe(1)
    const { data, next } = await keysIn(first)
    expect(data.map(({ id }) => id)).toEqual([made[0], made[2], made[3]])
    const rest = await keysIn(await bob.get(`${path}?limit=3&cursor=${next}`))
    expect(rest).toMatchObject({ data: [{ id: made[4], name: "Key 4" }], next: null })
    expect(await pointersIn(await ada.get(`${path}?cursor=${next}`))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get(`${path}?user=x`))).toEqual(["?user"])
  })

  it("lists another's for owners and admins, who may revoke them, and for nobody else", async () => {
    const bob = await newCaller()
    const [admin, member, other] = [await joined(bob, "admin"), await joined(bob), await joined(bob)]
    const { id } = await newKey(member)
    for (const manager of [bob, admin]) {
      expect((await keysIn(await manager.get(`${path}?user=${member.userId}`))).data).toMatchObject([{ id }])
      expect((await keyIn(await manager.get(`${path}/${id}`))).id).toBe(id)
      await problemIn(await manager.patch(`${path}/${id}`, { name: "Taken over" }), 403)
    }
    await problemIn(await other.get(`${path}?user=${member.userId}`), 403)
    expect((await keysIn(await other.get(`${path}?user=${other.userId}`))).data).toEqual([])
    await problemIn(await other.get(`${path}/${id}`), 404)
    await problemIn(await other.patch(`${path}/${id}`, { name: "x" }), 404)
    await problemIn(await other.delete(`${path}/${id}`), 404)
    expect((await admin.delete(`${path}/${id}`)).status).toBe(204)
    expect(await historyOf(bob, id)).toEqual(["api_key.created", "api_key.revoked"])
    // Who holds keys is told to those who manage people, and to who made them.
    expect(await historyOf(other, id)).toEqual([])
    expect(await historyOf(member, id)).toEqual(["api_key.created"])
  })
})

describe("PATCH /api-keys/:keyId", () => {
  it("gives the key another name, in two round trips, and goes on working", async () => {
    const { key, id } = await newKey(ada)
    const answer = await ada.patch(`${path}/${id}`, { name: "Renamed", revision: 1 })
    expect(costOf(answer).trips).toBe(2)
    expect(await keyIn(answer)).toMatchObject({ name: "Renamed", revision: 2 })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "api_key.updated",
      data: { before: { name: "Deploy" }, after: { name: "Renamed" } },
    })
    expect(await keyIn(await ada.patch(`${path}/${id}`, { name: "Renamed" }))).toMatchObject({ revision: 2 })
    await problemIn(await ada.patch(`${path}/${id}`, { name: "x" }, { "if-match": '"1"' }), 412)
    expect(await pointersIn(await ada.patch(`${path}/${id}`, { scopes: ["task:read"] }))).toEqual(["/scopes"])
    expect((await send(key, "/api/v1/tasks")).status).toBe(200)
  })
})

describe("a request through a key", () => {
  it("acts as its user in its workspace, and says so in both logs", async () => {
    const app = await openApp()
    const { key, id } = await newKey(ada)
    const created = await taskIn(await writeTask(ada, key, app))
    expect(app.lines.at(-1)).toMatchObject({ userId: ada.userId, workspaceId: ada.workspaceId, apiKeyId: id })
    expect(app.lines.at(-1)).not.toHaveProperty("sessionId")
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "task.created",
      subjectId: created.id,
      actorId: ada.userId,
      actorRole: "owner",
      source: "api_key",
    })
    await newTask(ada)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({ source: "api" })
    expect(await (await send(key, "/api/v1/me", { app })).json()).toMatchObject({ id: ada.userId })
  })

  it("may send it as a bearer token, too", async () => {
    const { key } = await newKey(ada)
    const app = await sharedApp()
    const answer = await app.fetch("/api/v1/tasks", { headers: { authorization: `Bearer ${key}` } })
    expect((await pageIn(answer)).data.length).toBeGreaterThan(0)
    expect(answer.headers.get("vary")).toContain("X-API-Key")
  })

  it("asks the database once and then not again, in this isolate and in the colo", async () => {
    const { key } = await newKey(ada)
    const app = await openApp()
    const trips = async (of: TestApp) => costOf(await send(key, "/api/v1/tasks", { app: of })).trips
    expect(await trips(app)).toBe(2)
    expect(await trips(app)).toBe(1)
    expect(await trips(await openApp())).toBe(1)
    expect(await trips(await elsewhere())).toBe(2)
    expect(costOf(await writeTask(ada, key, app)).trips).toBe(1)
  })

  it("may be made from any page", async () => {
    const answer = await ada.app.fetch("/api/v1/tasks", {
      method: "OPTIONS",
      headers: { origin: "https://example.com", "access-control-request-method": "GET" },
    })
    expect(answer.headers.get("access-control-allow-headers")).toContain("X-API-Key")
  })
})

describe("what is no key", () => {
  it("is refused with the same words, whatever is wrong with it", async () => {
    const { key } = await newKey(ada)
    const eve = await newCaller()
    const forged = makeApiKey(eve.workspaceId).split("_")
    const texts = [
      "",
      "x",
      ada.accessToken,
      key.slice(0, -1),
      `${key}x`,
      key.toUpperCase(),
      makeApiKey(ada.workspaceId),
      makeApiKey(newId("workspace")),
      // The secret of a real key, in another workspace.
      [forged[0], forged[1], ...key.split("_").slice(2)].join("_"),
    ]
    for (const text of texts) {
      const answer = await send(text, "/api/v1/tasks")
      await expectInvalid(answer)
      expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="edgewise"')
    }
    const bearer = { authorization: `Bearer ${makeApiKey(ada.workspaceId)}`, "cf-connecting-ip": newAddress() }
    const answer = await ada.app.fetch("/api/v1/tasks", { headers: bearer })
    await expectInvalid(answer)
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="edgewise", error="invalid_token"')
  })

  it("asks the database only when its checksum is right, and once in a while", async () => {
    const clock = { at: Date.now() }
    const app = await elsewhere(() => clock.at)
    const guess = makeApiKey(ada.workspaceId)
    const trips = async (text: string) => costOf(await send(text, "/api/v1/tasks", { app })).trips
    expect(await trips(`${guess.slice(0, -1)}!`)).toBe(0)
    expect([await trips(guess), await trips(guess), await trips(guess)]).toEqual([1, 0, 0])
    clock.at += noKeyLife
    expect(await trips(guess)).toBe(1)
  })

  it("may be tried thirty times from one address, which does not hinder a key that works", async () => {
    const { key } = await newKey(ada)
    const headers = { "cf-connecting-ip": newAddress() }
    const tryWith = (text: string) => send(text, "/api/v1/tasks", { headers })
    const { quota } = policies.keyFailures
    const answers = await Promise.all(Array.from({ length: quota }, () => tryWith("ew_garbage")))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401))
    const refused = await tryWith("ew_garbage")
    expect((await problemIn(refused, 429)).detail).toBe("key-failures: 30 requests in 900 seconds")
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0)
    expect((await tryWith(key)).status).toBe(200)
    await expectInvalid(await send("ew_garbage", "/api/v1/tasks"))
  })

  it("is refused although the limiter does not answer", async () => {
    const app = await openApp({ limiter: deadLimiter })
    await expectInvalid(await send("ew_garbage", "/api/v1/tasks", { app }))
  })
})

describe("the scopes of a key", () => {
  it("are the most that it may do: one that reads does not write", async () => {
    const task = await newTask(ada)
    const { key } = await newKey(ada, { scopes: ["task:read"] })
    const events = (await eventsOf(ada)).length
    expect((await send(key, `/api/v1/tasks/${task.id}`)).status).toBe(200)
    const body = { title: "x", projectId: ada.inboxId }
    const writes: [string, string, unknown?][] = [
      ["POST", "/tasks", body],
      ["POST", "/tasks/bulk", { tasks: [body] }],
      ["PATCH", `/tasks/${task.id}`, { title: "x" }],
      ["PATCH", `/tasks/${task.id}`, { status: "done" }],
      ["DELETE", `/tasks/${task.id}`],
      ["PUT", `/tasks/${task.id}/closure`],
      ["DELETE", `/tasks/${task.id}/closure`],
      ["POST", "/projects", { name: "x" }],
      ["PATCH", `/projects/${ada.inboxId}`, { name: "x" }],
      ["DELETE", `/projects/${ada.inboxId}`],
      ["PATCH", `/workspaces/${ada.workspaceId}`, { name: "x" }],
      ["DELETE", `/workspaces/${ada.workspaceId}`],
    ]
    for (const [method, url, body] of writes) {
      const problem = await problemIn(await send(key, `/api/v1${url}`, { method, body }), 403)
      expect(problem.detail, url).toMatch(/lacks the scope/)
    }
    expect((await eventsOf(ada)).length).toBe(events)
  })

  it("open each its own: closing is not editing", async () => {
    const task = await newTask(ada)
    const { key } = await newKey(ada, { scopes: ["task:close"] })
    const editing = await newKey(ada, { scopes: ["task:write"] })
    const open = await newTask(ada)
    const patch = (body: object) => send(editing.key, `/api/v1/tasks/${open.id}`, { method: "PATCH", body })
    expect((await problemIn(await patch({ status: "done" }), 403)).detail).toContain("task:close")
    expect((await patch({ status: "in_progress", title: "Edited" })).status).toBe(200)
    const put = await send(key, `/api/v1/tasks/${task.id}/closure`, { method: "PUT" })
    expect(await taskIn(put)).toMatchObject({ status: "done" })
    await problemIn(await send(key, `/api/v1/tasks/${task.id}`, { method: "PATCH", body: { title: "x" } }), 403)
    await problemIn(await send(key, `/api/v1/tasks/${task.id}`), 403)
  })

  it("do not open what takes a person, whatever they are", async () => {
    const bob = await newCaller()
    const { key, id } = await newKey(bob, { scopes: allPermissions })
    const calls: [string, string, unknown?][] = [
      ["POST", "/auth/switch", { workspaceId: bob.workspaceId }],
      ["GET", "/auth/sessions"],
      ["DELETE", "/auth/sessions/ses_01j00000000000000000000000"],
      ["POST", "/api-keys", { name: "x", scopes: ["task:read"] }],
      ["GET", "/api-keys"],
      ["GET", `/api-keys/${id}`],
      ["PATCH", `/api-keys/${id}`, { name: "x" }],
      ["DELETE", `/api-keys/${id}`],
      ["GET", "/workspaces"],
      ["POST", "/workspaces", { name: "x" }],
      ["PUT", `/workspaces/${bob.workspaceId}/restoration`],
      ["PATCH", "/me", { name: "x" }],
      ["DELETE", `/members/${bob.userId}`],
    ]
    for (const [method, url, body] of calls) {
      const problem = await problemIn(await send(key, `/api/v1${url}`, { method, body }), 403)
      expect(problem.detail, `${method} ${url}`).toBe("Sign in for this")
    }
    expect((await bob.get("/api/v1/auth/sessions")).status).toBe(200)
  })

  it("end where the role of their user ends", async () => {
    const member = await joined(ada, "member")
    const { key } = await newKey(member, { scopes: ["project:create", "task:read"] })
    const create = (app?: TestApp) =>
      send(key, "/api/v1/projects", { method: "POST", body: { name: "By key" }, ...(app && { app }) })
    expect((await create()).status).toBe(201)
    await ada.patch(`/api/v1/members/${member.userId}`, { role: "guest" })
    // The colo still remembers a member; the commit asks.
    await problemIn(await create(), 403)
    await problemIn(await create(await elsewhere()), 403)
  })

  it("show a guest's key only what names the guest", async () => {
    const member = await joined(ada, "member")
    const { key } = await newKey(member, { scopes: ["task:read", "project:read"] })
    const task = await newTask(ada, { projectId: (await newProject(ada)).id })
    expect((await send(key, `/api/v1/tasks/${task.id}`)).status).toBe(200)
    await ada.patch(`/api/v1/members/${member.userId}`, { role: "guest" })
    await problemIn(await send(key, `/api/v1/tasks/${task.id}`, { app: await elsewhere() }), 404)
  })
})

describe("a key that has ended", () => {
  it("is refused from the moment it is revoked", async () => {
    const { key, id } = await newKey(ada)
    expect((await send(key, "/api/v1/tasks")).status).toBe(200)
    const answer = await ada.delete(`${path}/${id}`, { "if-match": '"1"' })
    expect(answer.status).toBe(204)
    expect(costOf(answer).trips).toBe(2)
    await expectInvalid(await send(key, "/api/v1/tasks"))
    await expectInvalid(await send(key, "/api/v1/tasks", { app: await openApp() }))
    await problemIn(await ada.get(`${path}/${id}`), 404)
    await problemIn(await ada.delete(`${path}/${id}`), 404)
    expect((await eventsOf(ada)).at(-1)).toMatchObject({ type: "api_key.revoked", data: { after: null }, revision: 2 })
  })

  it("reads for a minute at most where it is remembered, and writes nothing", async () => {
    const clock = { at: Date.now() }
    const far = await elsewhere(() => clock.at)
    const { key, id } = await newKey(ada)
    const read = () => send(key, "/api/v1/tasks", { app: far })
    expect((await read()).status).toBe(200)
    await ada.delete(`${path}/${id}`)
    expect((await read()).status).toBe(200)
    const events = (await eventsOf(ada)).length
    await expectInvalid(await writeTask(ada, key, far))
    expect((await eventsOf(ada)).length).toBe(events)
    // Whoever learns it forgets the key.
    await expectInvalid(await read())

    const other = await newKey(ada)
    const again = () => send(other.key, "/api/v1/tasks", { app: far })
    expect((await again()).status).toBe(200)
    await ada.delete(`${path}/${other.id}`)
    clock.at += keyLife
    await expectInvalid(await again())
  })

  it("writes before it is revoked or not at all", async () => {
    const bob = await newCaller()
    const { key, id } = await newKey(bob)
    const writes = Array.from({ length: 10 }, async (_, n) => {
      await new Promise((resolve) => setTimeout(resolve, n * 3))
      return writeTask(bob, key)
    })
    const revocation = (async () => {
      await new Promise((resolve) => setTimeout(resolve, 15))
      return bob.delete(`${path}/${id}`)
    })()
    const answers = await Promise.all(writes)
    expect((await revocation).status).toBe(204)
    const events = await eventsOf(bob)
    const end = events.find(({ type }) => type === "api_key.revoked")?.seq ?? 0
    const written = events.filter(({ source }) => source === "api_key")
    expect(written.filter(({ seq }) => seq > end)).toEqual([])
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(written.length)
    for (const answer of answers.filter(({ status }) => status !== 201)) await expectInvalid(answer)
  })

  it("does not write when it is revoked between its admission and its commit", async () => {
    const bob = await newCaller()
    const { key, id } = await newKey(bob)
    const task = await newTask(bob)
    const revoking = await openApp({
      database: between(async (batch) => {
        if (isCommit(batch)) expect((await bob.delete(`${path}/${id}`)).status).toBe(204)
        return batch.run()
      }),
    })
    const events = (await eventsOf(bob)).length
    const body = { title: "Too late" }
    await expectInvalid(await send(key, `/api/v1/tasks/${task.id}`, { method: "PATCH", body, app: revoking }))
    expect((await eventsOf(bob)).slice(events).map(({ type }) => type)).toEqual(["api_key.revoked"])
    expect(await taskIn(await bob.get(`/api/v1/tasks/${task.id}`))).toEqual(task)
  })

  it("is refused from the moment it expires, remembered or not", async () => {
    const clock = { at: Date.now() }
    const app = await openApp({ now: () => clock.at })
    const expiry = clock.at + 30_000
    const { key, id } = await newKey(ada, { expiresAt: new Date(expiry).toISOString() })
    clock.at = expiry - 1
    expect((await send(key, "/api/v1/tasks", { app })).status).toBe(200)
    clock.at = expiry
    await expectInvalid(await send(key, "/api/v1/tasks", { app }))
    await expectInvalid(await send(key, "/api/v1/tasks", { app: await elsewhere(() => clock.at) }))
    expect((await keyIn(await ada.get(`${path}/${id}`))).expiresAt).toBe(new Date(expiry).toISOString())
  })

  it("does not write when it expires between its admission and its commit", async () => {
    const clock = { at: Date.now() }
    const expiry = clock.at + 30_000
    const bob = await newCaller()
    const { key } = await newKey(bob, { expiresAt: new Date(expiry).toISOString() })
    const task = await newTask(bob)
    const slow = between(async (batch) => {
      if (batch.sql.some((text) => /from "?tasks"?/.test(text))) clock.at = expiry
      return batch.run()
    })
    const app = await openApp({ now: () => clock.at, database: slow })
    await expectInvalid(await send(key, `/api/v1/tasks/${task.id}`, { method: "PATCH", body: { title: "x" }, app }))
    expect((await taskIn(await bob.get(`/api/v1/tasks/${task.id}`))).revision).toBe(1)
  })

  it("ends with the membership of its user, and does not come back with it", async () => {
    const member = await joined(ada, "member")
    const { key, id } = await newKey(member)
    expect((await send(key, "/api/v1/tasks")).status).toBe(200)
    await ada.delete(`/api/v1/members/${member.userId}`)
    await expectInvalid(await writeTask(ada, key))
    await expectInvalid(await send(key, "/api/v1/tasks", { app: await elsewhere() }))
    await problemIn(await ada.get(`${path}/${id}`), 404)
    const [row] = await rowsOf<{ revoked_at: number | null }>("select revoked_at from api_keys where id = ?", id)
    expect(row?.revoked_at).not.toBeNull()
  })

  it("ends with its workspace, and comes back with it", async () => {
    const bob = await newCaller()
    const { key } = await newKey(bob)
    await bob.delete(`/api/v1/workspaces/${bob.workspaceId}`)
    await expectInvalid(await send(key, "/api/v1/tasks", { app: await elsewhere() }))
    await bob.put(`/api/v1/workspaces/${bob.workspaceId}/restoration`)
    expect((await send(key, "/api/v1/tasks", { app: await elsewhere() })).status).toBe(200)
  })
})

describe("when a key was last used", () => {
  const lastUsed = async (id: string) => (await keyIn(await ada.get(`${path}/${id}`))).lastUsedAt

  it("is written after the answer, once an hour at most", async () => {
    const clock = { at: Date.now() }
    let updates = 0
    const counting = between((batch) => {
      if (batch.sql.some((text) => /^update "?api_keys/.test(text))) updates += 1
      return batch.run()
    })
    const app = await openApp({ now: () => clock.at, database: counting })
    const { key, id } = await newKey(ada)
    const events = (await eventsOf(ada)).length
    const use = () => send(key, "/api/v1/tasks", { app })
    const first = new Date(clock.at).toISOString()
    await Promise.all([use(), use(), use()])
    await vi.waitFor(async () => expect(await lastUsed(id)).toBe(first), 5_000)
    clock.at += 59 * minute
    expect(costOf(await use()).written).toBe(0)
    await use()
    expect(updates).toBeLessThanOrEqual(3)
    const before = updates
    clock.at += minute
    await use()
    await vi.waitFor(
      async () => expect(await lastUsed(id)).toBe(new Date(Date.parse(first) + hour).toISOString()),
      5_000,
    )
    await use()
    expect(updates).toBe(before + 1)
    expect((await eventsOf(ada)).length).toBe(events)
    expect((await keyIn(await ada.get(`${path}/${id}`))).revision).toBe(1)
  })

  it("is nobody's trouble where it cannot be written", async () => {
    const { key, id } = await newKey(ada)
    const app = await openApp({ ...(await readOnly()) })
    expect((await send(key, "/api/v1/tasks", { app })).status).toBe(200)
    expect(await lastUsed(id)).toBeNull()
  })

  const readOnly = async () => ({ settings: { ...(await sharedApp()).instance.settings, READ_ONLY: true } })
})

describe("a key where the database does not answer", () => {
  it("is admitted as long as it is remembered; what fails is the route", async () => {
    const { key } = await newKey(ada)
    await send(key, "/api/v1/tasks")
    const app = await openApp({ database: refusing("D1_ERROR: gone") })
    await problemIn(await send(key, "/api/v1/me", { app }), 500)
    const unknown = await newKey(ada)
    const answer = await send(unknown.key, "/api/v1/me", { app })
    expect(answer.status).toBeGreaterThanOrEqual(500)
  })
})

describe("what keys cost", () => {
  it("is small: rows written for making, renaming and revoking one", async () => {
    if (isPostgres) return
    const made = await ada.post(path, { name: "x", scopes: ["task:read"] })
    const { id } = await madeIn(made)
    const renamed = await ada.patch(`${path}/${id}`, { name: "y" })
    const revoked = await ada.delete(`${path}/${id}`)
    const written = [made, renamed, revoked].map((answer) => costOf(answer).written)
    expect(written[0]).toBeLessThanOrEqual(8)
    expect(written[1]).toBeLessThanOrEqual(5)
    expect(written[2]).toBeLessThanOrEqual(6)
  })
})
