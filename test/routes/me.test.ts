import { eq } from "drizzle-orm"
import { beforeEach, describe, expect, it } from "vitest"
import { Me } from "../../src/contracts/me.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  newAddress,
  newCaller,
  password,
  pointersIn,
  problemIn,
} from "../support/caller.ts"
import { execute, rowsOf, withDb } from "../support/database.ts"
import { type Batch, between, failingAt, isCommit, losing } from "../support/faults.ts"
import { joined, signedInTo } from "../support/people.ts"

const path = "/api/v1/me"

let ada: Caller

beforeEach(async () => {
  ada = await newCaller()
})

async function meIn(answer: Response) {
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  return Me.parse(JSON.parse(text))
}

const me = async (caller = ada) => meIn(await caller.get(path))

/** What the workspace shows of the caller. */
async function memberOf({ workspaceId, userId }: Caller) {
  const [member] = await rowsOf(
    "select name, revision from members where workspace_id = ? and user_id = ?",
    workspaceId,
    userId,
  )
  return member
}

const userEventsOf = ({ userId }: Caller) =>
  withDb(async (db) => {
    const { userEvents } = db.tables
    const { revision, type, data } = userEvents
    const [rows] = await db.read(
      db.sql.select({ revision, type, data }).from(userEvents).where(eq(userEvents.userId, userId)).orderBy(revision),
    )
    return rows
  })

const memberEventsOf = async (caller: Caller) =>
  (await eventsOf(caller)).filter(({ type }) => type.startsWith("member."))

const login = (caller: Caller) =>
  caller.app.fetch("/api/v1/auth/login", {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": "192.0.2.55" },
    body: JSON.stringify({ email: caller.email, password }),
  })

/** The caller, when something else happens just before the first batch of that kind reaches the database. */
async function overtaken(isMeant: (batch: Batch) => boolean, happen: () => Promise<unknown>): Promise<Caller> {
  let isFirst = true
  const db = between(async (batch) => {
    if (isFirst && isMeant(batch)) {
      isFirst = false
      await happen()
    }
    return batch.run()
  })
  return ada.through(await openApp({ database: db }))
}

const savesUser = ({ sql }: Batch) => sql.some((text) => text.startsWith('update "users"'))

describe("GET /me", () => {
  it("tells who the caller is, and as what they act where, in one round trip", async () => {
    const answer = await ada.get(path)
    expect(costOf(answer).trips).toBe(1)
    expect(await meIn(answer)).toMatchObject({
      id: ada.userId,
      email: ada.email,
      name: "Ada",
      timeZone: "UTC",
      revision: 1,
      workspace: { id: ada.workspaceId, role: "owner" },
    })
  })

  it("tells no secret", async () => {
    expect(Object.keys((await (await ada.get(path)).json()) as object).sort()).toEqual(
      [
        ...["id", "email", "name", "timeZone", "revision", "createdAt", "updatedAt", "workspace"],
        ...["emailVerified", "avatarUrl", "locale", "weekStart", "theme", "defaultProjectId", "notifications", "mail"],
      ].sort(),
    )
  })

  it("is 304 for a client that has it, until it changes", async () => {
    const etag = (await ada.get(path)).headers.get("etag") ?? ""
    expect(etag).toMatch(/^"1\.\w+"$/)
    expect((await ada.get(path, { "if-none-match": etag })).status).toBe(304)
    await ada.patch(path, { name: "Grace" })
    expect((await ada.get(path, { "if-none-match": etag })).status).toBe(200)
  })

  it("is another one in another role and in another workspace", async () => {
    const eve = await joined(ada, "member")
    const tagOf = async (caller: Caller) => (await caller.get(path)).headers.get("etag") ?? ""
    const asMember = await tagOf(eve)
    await ada.patch(`/api/v1/members/${eve.userId}`, { role: "admin" })
    const asAdmin = await signedInTo(ada, eve)
    expect((await asAdmin.get(path, { "if-none-match": asMember })).status).toBe(200)
    expect(await tagOf(asAdmin)).not.toBe(asMember)
    const own = await asAdmin.get("/api/v1/workspaces")
    const { data } = (await own.json()) as { data: { id: string; isActive: boolean }[] }
    const elsewhere = await signedInTo({ ...ada, workspaceId: data.find(({ isActive }) => !isActive)?.id ?? "" }, eve)
    expect(new Set([asMember, await tagOf(asAdmin), await tagOf(elsewhere)]).size).toBe(3)
    // Whoever insists on it may change it all the same: it is the same row.
    expect((await elsewhere.patch(path, { theme: "dark" }, { "if-match": asMember })).status).toBe(200)
  })
})

describe("PATCH /me", () => {
  it("changes what is sent and leaves the rest", async () => {
    const before = await me()
    const named = await meIn(await ada.patch(path, { name: "  Grace Hopper " }))
    const { avatarUrl, updatedAt } = named
    expect(named).toEqual({ ...before, name: "Grace Hopper", avatarUrl, revision: 2, updatedAt })
    expect(avatarUrl).toBe(before.avatarUrl.replace("/A-", "/GH-"))
    const answer = await ada.patch(path, { timeZone: "Europe/Berlin" })
    expect(answer.headers.get("etag")).toMatch(/^"3\./)
    const moved = await meIn(answer)
    expect(moved).toEqual({ ...named, timeZone: "Europe/Berlin", revision: 3, updatedAt: moved.updatedAt })
    expect(await me()).toEqual(moved)
  })

  it("is followed by the workspace, whose log tells the name before and after", async () => {
    await ada.patch(path, { name: "Grace" })
    expect(await memberOf(ada)).toEqual({ name: "Grace", revision: 2 })
    expect((await memberEventsOf(ada)).at(-1)).toMatchObject({
      seq: 4,
      type: "member.updated",
      subjectId: ada.userId,
      revision: 2,
      actorId: ada.userId,
      data: { before: { name: "Ada" }, after: { name: "Grace" } },
    })
  })

  it("is no matter of the workspace when only the time zone changes", async () => {
    await ada.patch(path, { timeZone: "Asia/Tokyo" })
    expect(await memberOf(ada)).toEqual({ name: "Ada", revision: 1 })
    expect(await memberEventsOf(ada)).toHaveLength(1)
  })

  it("is noted in the user's own log, with the changed fields only", async () => {
    await ada.patch(path, { name: "Grace", timeZone: "UTC" })
    await ada.patch(path, { timeZone: "Asia/Tokyo" })
    expect(await userEventsOf(ada)).toEqual([
      { revision: 1, type: "user.registered", data: {} },
      { revision: 2, type: "user.updated", data: { before: { name: "Ada" }, after: { name: "Grace" } } },
      { revision: 3, type: "user.updated", data: { before: { timeZone: "UTC" }, after: { timeZone: "Asia/Tokyo" } } },
    ])
  })

  it("leaves the revision when nothing changes", async () => {
    const before = await me()
    for (const patch of [{}, { name: "Ada" }, { name: " Ada ", timeZone: "UTC" }, { revision: 1 }]) {
      expect(await meIn(await ada.patch(path, patch))).toEqual(before)
    }
    expect(await userEventsOf(ada)).toHaveLength(1)
    expect(await eventsOf(ada)).toHaveLength(3)
  })

  it("takes merge patches, and nothing that is not JSON", async () => {
    const merge = { "content-type": "application/merge-patch+json" }
    expect((await meIn(await ada.patch(path, { name: "Grace" }, merge))).name).toBe("Grace")
    await problemIn(await ada.patch(path, "name=Ada", { "content-type": "application/x-www-form-urlencoded" }), 415)
    await problemIn(await ada.patch(path, "{"), 400)
  })

  const wrong: [string, object, string[]][] = [
    ["a time zone nobody has", { timeZone: "Mars/Phobos" }, ["/timeZone"]],
    ["an offset", { timeZone: "+01:00" }, ["/timeZone"]],
    ["an empty time zone", { timeZone: "" }, ["/timeZone"]],
    ["a very long time zone", { timeZone: "x".repeat(65) }, ["/timeZone"]],
    ["no time zone", { timeZone: null }, ["/timeZone"]],
    ["a blank name", { name: " " }, ["/name"]],
    ["no name", { name: null }, ["/name"]],
    ["a name of 101 characters", { name: "🔑".repeat(101) }, ["/name"]],
    ["a revision that is none", { revision: 0 }, ["/revision"]],
    [
      "what cannot be changed here",
      { email: "a@example.com", id: "x", workspace: {} },
      ["/email", "/id", "/workspace"],
    ],
  ]
  for (const [what, patch, pointers] of wrong) {
    it(`names the field: ${what}`, async () => {
      expect(new Set(await pointersIn(await ada.patch(path, patch)))).toEqual(new Set(pointers))
      expect((await me()).revision).toBe(1)
    })
  }

  it("is 412 for a stale revision, in the header or the body, and changes nothing", async () => {
    await ada.patch(path, { timeZone: "Asia/Tokyo" })
    const stale = [
      await ada.patch(path, { name: "Grace" }, { "if-match": '"1"' }),
      await ada.patch(path, { name: "Grace" }, { "if-match": 'W/"1"' }),
      await ada.patch(path, { name: "Grace", revision: 1 }),
      await ada.patch(path, { name: "Grace", revision: 2 }, { "if-match": '"1"' }),
      await ada.patch(path, {}, { "if-match": '"3"' }),
    ]
    for (const answer of stale) expect((await problemIn(answer, 412)).code).toBe("precondition_failed")
    expect(await me()).toMatchObject({ name: "Ada", revision: 2 })

    expect((await meIn(await ada.patch(path, { name: "Grace" }, { "if-match": 'W/"2"' }))).revision).toBe(3)
    expect((await meIn(await ada.patch(path, { name: "Ada", revision: 3 }, { "if-match": "*" }))).revision).toBe(4)
  })

  it("touches nobody else", async () => {
    const eve = await newCaller()
    await ada.patch(path, { name: "Grace" })
    expect(await me(eve)).toMatchObject({ name: "Ada", revision: 1 })
    expect(await memberOf(eve)).toEqual({ name: "Ada", revision: 1 })
  })
})

describe("PATCH /me with an Idempotency-Key", () => {
  const key = { "idempotency-key": "once" }

  it("is done once and answered alike, whether it changed the workspace, the user or nothing", async () => {
    for (const [index, patch] of [{ name: "Grace" }, { timeZone: "Asia/Tokyo" }, {}].entries()) {
      const once = { "idempotency-key": `once-${index}` }
      const first = await ada.patch(path, patch, once)
      const [events, log] = [await eventsOf(ada), await userEventsOf(ada)]
      const again = await ada.patch(path, patch, once)
      expect([first.headers.get("idempotency-replayed"), again.headers.get("idempotency-replayed")]).toEqual([
        null,
        "true",
      ])
      expect(again.headers.get("etag")).toBe(first.headers.get("etag"))
      expect(await meIn(again)).toEqual(await meIn(first))
      expect([await eventsOf(ada), await userEventsOf(ada)]).toEqual([events, log])
    }
  })

  it("does not bring back what has been changed since", async () => {
    const first = await meIn(await ada.patch(path, { name: "Grace" }, key))
    const later = await meIn(await ada.patch(path, { name: "Hedy" }))
    const again = await ada.patch(path, { name: "Grace" }, key)
    expect(again.headers.get("idempotency-replayed")).toBe("true")
    expect(await meIn(again)).toEqual(first)
    expect(await me()).toEqual(later)
    expect(await memberOf(ada)).toEqual({ name: "Hedy", revision: 3 })
  })

  it("replays though its If-Match is stale by then", async () => {
    const send = () => ada.patch(path, { name: "Grace" }, { ...key, "if-match": '"1"' })
    const first = await meIn(await send())
    expect(await meIn(await send())).toEqual(first)
  })

  it("is 422 for another request with the same key", async () => {
    await ada.patch(path, { name: "Grace" }, key)
    expect(await pointersIn(await ada.patch(path, { name: "Hedy" }, key))).toEqual(["Idempotency-Key"])
    expect(await me()).toMatchObject({ name: "Grace", revision: 2 })
  })

  it("is done once when both arrive at once", async () => {
    const send = () => ada.patch(path, { name: "Grace" }, key)
    const answers = await Promise.all([send(), send(), send()])
    const [first, ...others] = await Promise.all(answers.map(meIn))
    for (const other of others) expect(other).toEqual(first)
    expect(first?.revision).toBe(2)
    expect(await userEventsOf(ada)).toHaveLength(2)
    expect(await memberEventsOf(ada)).toHaveLength(2)
  })
})

describe("a change that broke between directory and workspace", () => {
  const halfDone = async (headers = {}) => {
    const broken = ada.through(await openApp({ database: failingAt(0) }))
    await problemIn(await broken.patch(path, { name: "Grace" }, headers), 500)
    expect(await me()).toMatchObject({ name: "Grace", revision: 2 })
    expect(await memberOf(ada)).toEqual({ name: "Ada", revision: 1 })
  }

  const expectWhole = async () => {
    expect(await me()).toMatchObject({ name: "Grace", revision: 2 })
    expect(await memberOf(ada)).toEqual({ name: "Grace", revision: 2 })
    expect(await memberEventsOf(ada)).toHaveLength(2)
    expect(await userEventsOf(ada)).toHaveLength(2)
  }

  it("is completed by its repeat, once", async () => {
    await halfDone()
    for (let count = 0; count < 2; count += 1) {
      expect(await meIn(await ada.patch(path, { name: "Grace" }))).toMatchObject({ name: "Grace", revision: 2 })
    }
    await expectWhole()
  })

  it("is completed by its repeat with a key, and replayed after that", async () => {
    const key = { "idempotency-key": "half" }
    await halfDone(key)
    const second = await ada.patch(path, { name: "Grace" }, key)
    const third = await ada.patch(path, { name: "Grace" }, key)
    expect([second.headers.get("idempotency-replayed"), third.headers.get("idempotency-replayed")]).toEqual([
      null,
      "true",
    ])
    await expectWhole()
  })

  it("reaches another workspace with the next refresh there, and removed people nowhere", async () => {
    const eve = await joined(ada, "member", "Eve")
    const bob = await newCaller()
    const own = (await (await eve.get("/api/v1/workspaces")).json()) as { data: { id: string; isActive: boolean }[] }
    const elsewhere = await signedInTo(
      { ...bob, workspaceId: own.data.find(({ isActive }) => !isActive)?.id ?? "" },
      eve,
    )
    expect((await elsewhere.patch(path, { name: "Eva" })).status).toBe(200)
    const nameHere = () =>
      rowsOf("select name from members where workspace_id = ? and user_id = ?", ada.workspaceId, eve.userId)
    expect(await nameHere()).toEqual([{ name: "Eve" }])
    const refresh = () =>
      eve.app.fetch("/api/v1/auth/refresh", {
        method: "POST",
        headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
        body: JSON.stringify({ refreshToken: eve.refreshToken }),
      })
    expect((await refresh()).status).toBe(200)
    expect(await nameHere()).toEqual([{ name: "Eva" }])
    await ada.delete(`/api/v1/members/${eve.userId}`)
    // With a token from before: it is still their own name.
    expect((await eve.patch(path, { name: "Evi" })).status).toBe(200)
    expect(await nameHere()).toEqual([{ name: "Eva" }])
  })

  it("keeps nobody out where it cannot reach another workspace", async () => {
    const eve = await joined(ada, "member", "Eve")
    await execute("update users set name = 'Eva' where id = ?", eve.userId)
    const app = await openApp({
      database: between((batch) => (isCommit(batch) ? Promise.reject(new Error("gone")) : batch.run())),
    })
    const answer = await app.fetch("/api/v1/auth/refresh", {
      method: "POST",
      headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
      body: JSON.stringify({ refreshToken: eve.refreshToken }),
    })
    expect(answer.status).toBe(200)
  })

  it("is completed by the next login, or the next change of anything", async () => {
    await halfDone()
    expect((await login(ada)).status).toBe(200)
    await expectWhole()

    const eve = await newCaller()
    ada = eve
    await halfDone()
    await eve.patch(path, { timeZone: "Asia/Tokyo" })
    expect(await memberOf(eve)).toEqual({ name: "Grace", revision: 2 })
  })
})

describe("two who change one user at once", () => {
  it("are both heard when neither insists on a revision", async () => {
    const slow = await overtaken(savesUser, () => ada.patch(path, { timeZone: "Asia/Tokyo" }))
    const answer = await meIn(await slow.patch(path, { name: "Grace" }))
    expect(answer).toMatchObject({ name: "Grace", timeZone: "Asia/Tokyo", revision: 3 })
    expect(await memberOf(ada)).toEqual({ name: "Grace", revision: 2 })
  })

  it("are both heard when one of them is overtaken twice", async () => {
    const slow = await overtaken(savesUser, async () => {
      await ada.patch(path, { timeZone: "Asia/Tokyo" })
      await ada.patch(path, { timeZone: "Asia/Seoul" })
    })
    const answer = await meIn(await slow.patch(path, { name: "Grace" }))
    expect(answer).toMatchObject({ name: "Grace", timeZone: "Asia/Seoul", revision: 4 })
    expect((await userEventsOf(ada)).map(({ revision }) => revision)).toEqual([1, 2, 3, 4])
  })

  it("learn that they were outrun when they insist", async () => {
    const slow = await overtaken(savesUser, () => ada.patch(path, { timeZone: "Asia/Tokyo" }))
    await problemIn(await slow.patch(path, { name: "Grace" }, { "if-match": '"1"' }), 412)
    expect(await me()).toMatchObject({ name: "Ada", revision: 2 })
  })

  it("do not get in the way of a login that repairs the workspace meanwhile", async () => {
    const slow = await overtaken(isCommit, () => login(ada))
    const answer = await meIn(await slow.patch(path, { name: "Grace" }, { "if-match": '"1"' }))
    expect(answer).toMatchObject({ name: "Grace", revision: 2 })
    expect(await memberOf(ada)).toEqual({ name: "Grace", revision: 2 })
    expect(await memberEventsOf(ada)).toHaveLength(2)
  })

  it("land once when the directory's answer is lost", async () => {
    const lossy = losing("after", 1, savesUser)
    const answer = await ada.through(await openApp({ database: lossy })).patch(path, { name: "Grace" })
    expect(await meIn(answer)).toMatchObject({ name: "Grace", revision: 2 })
    expect(await userEventsOf(ada)).toHaveLength(2)
    expect(await memberOf(ada)).toEqual({ name: "Grace", revision: 2 })
  })
})
