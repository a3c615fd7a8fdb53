import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import * as fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import type { Db } from "../../src/db/db.ts"
import type { NewSession } from "../../src/domain/sessions.ts"
import { HubDatabase } from "../../src/hub/hub-database.ts"
import { Owner } from "../../src/hub/owner.ts"
import { absoluteLife, grace, idleLife, judge, type Link } from "../../src/hub/sessions.ts"
import type { UserHub } from "../../src/hub/user-hub.ts"
import { WatchTable } from "../../src/hub/watches.ts"
import { newId } from "../../src/lib/ids.ts"
import { day, hour, minute } from "../../src/lib/time.ts"
import { newCaller, newTask } from "../support/caller.ts"
import { execute } from "../support/database.ts"

type Hub = DurableObjectStub<UserHub>

const newHub = (): Hub => env.USER_HUB.getByName(newId("user"))

const newSession = (part: Partial<NewSession> = {}): NewSession => ({
  sessionId: newId("session"),
  userId: newId("user"),
  workspaceId: newId("workspace"),
  userAgent: "vitest",
  address: "192.0.2.1",
  provenAt: Date.now(),
  ...part,
})

/** Rotates with the token of `link`. */
const rotate = (hub: Hub, sessionId: string, { generation, secret }: Link, now: number) =>
  hub.rotateSession(sessionId, generation, secret, now)

/** The same, of a session that is known to be there. */
async function rotated(hub: Hub, sessionId: string, link: Link, now: number): Promise<Link> {
  const next = await rotate(hub, sessionId, link, now)
  if (!next) throw new Error("The session refused its token")
  return next
}

/** Opens a session that nothing stands in the way of. */
async function open(hub: Hub, session: NewSession, now: number): Promise<Link> {
  const link = await hub.openSession(session, now)
  if (!link) throw new Error("The session was not opened")
  return link
}

const idsOf = async (hub: Hub, now: number) => (await hub.listSessions(now)).map(({ id }) => id)

/** What the object has on disk. */
const stored = (hub: Hub) =>
  runInDurableObject(hub, async (_hub: UserHub, { storage }) => ({
    tables: storage.sql.exec("select name from sqlite_master where name not like '\\_cf%' escape '\\'").toArray(),
    alarm: await storage.getAlarm(),
  }))

describe("an object whose user never signed in", () => {
  it("stores nothing, whatever it is asked", async () => {
    const hub = newHub()
    expect(await hub.listSessions(Date.now())).toEqual([])
    expect(await hub.endSession(newId("session"))).toBe(false)
    await hub.endSessions(null, Date.now())
    expect(await hub.rotateSession(newId("session"), 1, "x".repeat(43), Date.now())).toBeNull()
    expect(await stored(hub)).toEqual({ tables: [], alarm: null })
  })
})

describe("judging a refresh token", () => {
  const session = fc.record({ newest: fc.integer({ min: 1, max: 1_000 }), rotatedAt: fc.nat() })

  it("moves on with the newest, at any time", () => {
    fc.assert(fc.property(session, fc.nat(), (s, later) => judge(s, s.newest, s.rotatedAt + later) === "rotate"))
  })

  it("repeats the answer for the one before, as long as grace lasts and not a millisecond more", () => {
    const anyTime = fc.nat({ max: 2 * grace })
    fc.assert(
      fc.property(session, anyTime, (s, later) => {
        expect(judge(s, s.newest - 1, s.rotatedAt + later)).toBe(later <= grace ? "repeat" : "revoke")
      }),
      {
        examples: [
          [{ newest: 2, rotatedAt: 0 }, grace],
          [{ newest: 2, rotatedAt: 0 }, grace + 1],
        ],
      },
    )
  })

  it("revokes for every other, however fresh", () => {
    const distance = fc.integer({ min: -1_000, max: 1_000 }).filter((n) => n !== 0 && n !== -1)
    fc.assert(
      fc.property(
        session,
        distance,
        fc.nat(),
        (s, n, later) => judge(s, s.newest + n, s.rotatedAt + later) === "revoke",
      ),
    )
  })
})

describe("a session's chain of tokens", () => {
  it("goes from each token to the next, and tells when it was used", async () => {
    const hub = newHub()
    const session = newSession()
    const start = Date.now()
    const first = await open(hub, session, start)
    const second = await rotated(hub, session.sessionId, first, start + minute)
    const third = await rotated(hub, session.sessionId, second, start + 2 * minute)

    expect([first, second, third].map(({ generation }) => generation)).toEqual([1, 2, 3])
    expect(new Set([first, second, third].map(({ secret }) => secret)).size).toBe(3)
    expect(third.workspaceId).toBe(session.workspaceId)
    expect(await hub.listSessions(start)).toEqual([
      {
        id: session.sessionId,
        userAgent: "vitest",
        address: "192.0.2.1",
        createdAt: start,
        lastUsedAt: start + 2 * minute,
        expiresAt: start + 2 * minute + idleLife,
      },
    ])
  })

  it("gives concurrent uses of one token the same next one", async () => {
    const hub = newHub()
    const { sessionId } = newSession()
    const start = Date.now()
    const first = await open(hub, newSession({ sessionId }), start)
    const answers = await Promise.all([1, 2, 3, 4].map((ms) => rotate(hub, sessionId, first, start + ms)))
    const [next] = answers
    expect(next?.generation).toBe(2)
    for (const answer of answers) expect(answer).toEqual(next)
    expect(await rotate(hub, sessionId, next ?? first, start + minute)).toMatchObject({ generation: 3 })
  })

  it("is not ended by a guess: a wrong secret is refused, and the session lives on", async () => {
    const hub = newHub()
    const session = newSession()
    const now = Date.now()
    const first = await open(hub, session, now)
    const second = await rotated(hub, session.sessionId, first, now)
    for (const generation of [1, 2, 3]) {
      expect(await hub.rotateSession(session.sessionId, generation, "x".repeat(43), now + day)).toBeNull()
    }
    // The secret of one place does not open another.
    expect(await hub.rotateSession(session.sessionId, 2, first.secret, now + day)).toBeNull()
    expect(await rotate(hub, session.sessionId, second, now + day)).toMatchObject({ generation: 3 })
  })

  it("is revoked by a token that is older than grace, for this session alone", async () => {
    const hub = newHub()
    const [stolen, other] = [newSession(), newSession()]
    const now = Date.now()
    const first = await open(hub, stolen, now)
    const elsewhere = await open(hub, other, now)
    const second = await rotated(hub, stolen.sessionId, first, now)
    expect(await rotate(hub, stolen.sessionId, first, now + grace + 1)).toBeNull()
    expect(await rotate(hub, stolen.sessionId, second, now + grace + 1)).toBeNull()
    expect(await idsOf(hub, now)).toEqual([other.sessionId])
    expect(await rotate(hub, other.sessionId, elsewhere, now)).toMatchObject({ generation: 2 })
  })

  it("survives a restart of the object", async () => {
    const hub = newHub()
    const session = newSession()
    const now = Date.now()
    const first = await open(hub, session, now)
    await evictDurableObject(hub)
    const second = await rotated(hub, session.sessionId, first, now + 1)
    await evictDurableObject(hub)
    // The token is derived, so the restarted object gives the very same one within grace.
    expect(await rotate(hub, session.sessionId, first, now + 2)).toEqual(second)
    expect(await idsOf(hub, now)).toEqual([session.sessionId])
  })

  it("ends once", async () => {
    const hub = newHub()
    const session = newSession()
    const now = Date.now()
    const first = await open(hub, session, now)
    expect([await hub.endSession(session.sessionId), await hub.endSession(session.sessionId)]).toEqual([true, false])
    expect(await rotate(hub, session.sessionId, first, now)).toBeNull()
  })
})

describe("ending all sessions", () => {
  it("ends every one, or all but one, over a restart of the object", async () => {
    const hub = newHub()
    const now = Date.now()
    const sessions = [newSession(), newSession(), newSession()]
    for (const session of sessions) await open(hub, session, now)
    const [kept] = sessions
    await hub.endSessions(kept?.sessionId ?? null, now)
    await evictDurableObject(hub)
    expect(await idsOf(hub, now)).toEqual([kept?.sessionId])
    await hub.endSessions(newId("session"), now)
    expect(await idsOf(hub, now)).toEqual([])
    await open(hub, newSession(), now)
    await hub.endSessions(null, now)
    await evictDurableObject(hub)
    expect(await idsOf(hub, now)).toEqual([])
  })

  it("ends those, too, that are about to be opened by a password of before", async () => {
    const hub = newHub()
    const now = Date.now()
    await open(hub, newSession(), now)
    await hub.endSessions(null, now)
    await evictDurableObject(hub)
    expect(await hub.openSession(newSession({ provenAt: now - 1 }), now + 1)).toBeNull()
    expect(await idsOf(hub, now)).toEqual([])
    const session = newSession({ provenAt: now })
    await open(hub, session, now + 1)
    expect(await idsOf(hub, now)).toEqual([session.sessionId])
  })
})

describe("the life of a session", () => {
  it("ends when it has not been used for 30 days", async () => {
    const hub = newHub()
    const session = newSession()
    const start = Date.now()
    const first = await open(hub, session, start)
    expect(await idsOf(hub, start + idleLife - 1)).toEqual([session.sessionId])
    expect(await idsOf(hub, start + idleLife)).toEqual([])
    expect(await rotate(hub, session.sessionId, first, start + idleLife)).toBeNull()
    // Expired is not revoked: the row waits for its alarm.
    expect(await rotate(hub, session.sessionId, first, start + idleLife - 1)).toMatchObject({ generation: 2 })
  })

  it("ends after 180 days, however much it is used", async () => {
    const hub = newHub()
    const session = newSession()
    const start = Date.now()
    let link: Link = await open(hub, session, start)
    let now = start
    while (now + 20 * day < start + absoluteLife) {
      now += 20 * day
      link = await rotated(hub, session.sessionId, link, now)
    }
    const [info] = await hub.listSessions(now)
    expect(info?.expiresAt).toBe(start + absoluteLife)
    expect(await rotate(hub, session.sessionId, link, start + absoluteLife)).toBeNull()
  })
})

describe("the alarm", () => {
  /** Lets a session expire without waiting for it. */
  const expire = (hub: Hub, sessionId: string) =>
    runInDurableObject(hub, (_hub: UserHub, { storage }) => {
      storage.sql.exec("update sessions set expires_at = ? where id = ?", Date.now() - 1, sessionId)
    })
  const rows = (hub: Hub) =>
    runInDurableObject(hub, (_hub: UserHub, { storage }) =>
      storage.sql
        .exec("select id from sessions")
        .toArray()
        .map(({ id }) => id),
    )

  it("is set for the first session to expire, and moves only to an earlier time", async () => {
    const hub = newHub()
    const [early, late] = [newSession(), newSession()]
    const start = Date.now()
    await open(hub, late, start + day)
    expect((await stored(hub)).alarm).toBe(start + day + idleLife)
    const link = await open(hub, early, start)
    expect((await stored(hub)).alarm).toBe(start + idleLife)
    await rotate(hub, early.sessionId, link, start + 2 * day)
    expect((await stored(hub)).alarm).toBe(start + idleLife)
  })

  it("removes what has expired and rings again for what is left", async () => {
    const hub = newHub()
    const [gone, kept] = [newSession(), newSession()]
    const start = Date.now()
    await open(hub, gone, start)
    await open(hub, kept, start + day)
    await expire(hub, gone.sessionId)

    expect(await runDurableObjectAlarm(hub)).toBe(true)
    expect(await rows(hub)).toEqual([kept.sessionId])
    expect((await stored(hub)).alarm).toBe(start + day + idleLife)

    await expire(hub, kept.sessionId)
    expect(await runDurableObjectAlarm(hub)).toBe(true)
    expect(await rows(hub)).toEqual([])
    expect((await stored(hub)).alarm).toBeNull()
  })

  it("that rings early removes nothing", async () => {
    const hub = newHub()
    const session = newSession()
    const start = Date.now()
    await open(hub, session, start)
    expect(await runDurableObjectAlarm(hub)).toBe(true)
    expect(await rows(hub)).toEqual([session.sessionId])
    expect((await stored(hub)).alarm).toBe(start + idleLife)
  })

  it("survives a restart of the object", async () => {
    const hub = newHub()
    const session = newSession()
    await open(hub, session, Date.now())
    await expire(hub, session.sessionId)
    await evictDurableObject(hub)
    expect(await runDurableObjectAlarm(hub)).toBe(true)
    expect(await rows(hub)).toEqual([])
  })
})

describe("what a hub is to watch", () => {
  const watched = (at: number) => ({
    workspaceId: "wsp_1",
    taskId: "tsk_1",
    since: 0,
    watches: [{ reminderId: null, at, date: null, beforeMs: 0 }],
  })

  it("is not forgotten when it is brought again while it is looked at", async () => {
    await runInDurableObject(newHub(), async (_hub: UserHub, { storage }) => {
      const watches = new WatchTable(storage.sql)
      watches.add([watched(1_000)], 0)
      const [seen] = watches.ringing(2_000, 10)
      if (!seen) throw new Error("Nothing rings")
      watches.add([watched(1_000)], 1_500)
      watches.forget(seen)
      const [again] = watches.ringing(2_000, 10)
      expect(again).toMatchObject({ id: seen.id, taskId: "tsk_1" })
      if (again) watches.forget(again)
      expect(watches.ringing(2_000, 10)).toEqual([])
    })
  })

  it("is told nothing of in a workspace that was left while it was looked up", async () => {
    const bob = await newCaller()
    const { workspaceId, userId } = bob
    const at = Date.now() - minute
    const due = { at: new Date(at).toISOString() }
    const { id: taskId } = await newTask(bob, { assigneeIds: [userId], due })
    const watches = [{ reminderId: null, at, date: null, beforeMs: 0 }]
    const rung = (isLeaving: boolean) =>
      runInDurableObject(env.USER_HUB.getByName(userId), async (hub: UserHub) => {
        const original = HubDatabase.prototype.run
        const spy = vi.spyOn(HubDatabase.prototype, "run").mockImplementationOnce(async function <T>(
          this: HubDatabase,
          work: (db: Db) => Promise<T>,
        ) {
          const found = await original.call(this, work)
          if (isLeaving) {
            await execute("update members set removed_at = 1 where user_id = ?", userId)
            hub.leaveWorkspace(workspaceId, { seq: 99, at: Date.now() + minute })
          }
          return found
        })
        await hub.notify([], [{ workspaceId, taskId, since: 0, watches }])
        await hub.alarm()
        spy.mockRestore()
        return hub.unreadNotifications()
      })
    expect(await rung(true)).toEqual({})
    await execute("update members set removed_at = null where user_id = ?", userId)
    expect(await rung(false)).toEqual({ [workspaceId]: 1 })
  })

  it("is known to be whose, also to an object that was not addressed by a name", async () => {
    const userId = newId("user")
    const hub = env.USER_HUB.getByName(userId)
    await hub.notify([], [watched(Date.now() + hour)])
    await runInDurableObject(hub, async (_hub: UserHub, { storage }) => {
      expect(new Owner(storage.sql, undefined).userId).toBe(userId)
    })
    await runInDurableObject(newHub(), async (_hub: UserHub, { storage }) => {
      expect(new Owner(storage.sql, undefined).userId).toBeUndefined()
    })
  })
})

describe("sockets of a session that has ended", () => {
  /** Another deployment's hub in the place of the workspace's, of which nobody hears. */
  const withWorkspaceHub = (hub: Hub, endSession: (userId: string, sessionId: string) => Promise<void>) =>
    runInDurableObject(hub, (object: UserHub) => {
      const inside = object as unknown as { env: object }
      inside.env = { ...inside.env, WORKSPACE_HUB: { getByName: () => ({ endSession }) } }
    })

  const leavings = (hub: Hub) =>
    runInDurableObject(hub, (_hub: UserHub, { storage }) => storage.sql.exec("select * from leavings").toArray())

  it("are ended by the alarm when the workspace's hub could not be told, and only until it was", async () => {
    const hub = newHub()
    const told: string[] = []
    await withWorkspaceHub(hub, async (_userId, sessionId) => {
      told.push(sessionId)
      if (told.length < 3) throw new Error("out of order")
    })
    const [gone, kept] = [newSession(), newSession()]
    await open(hub, gone, Date.now())
    await open(hub, kept, Date.now())
    expect(await hub.endSession(gone.sessionId)).toBe(true)
    await expect.poll(async () => (await leavings(hub))[0]?.["due"]).toBeGreaterThan(Date.now())
    expect((await stored(hub)).alarm).toBeLessThanOrEqual(Date.now() + 30_000)
    for (let n = 0; n < 2; n += 1) {
      await runInDurableObject(
        hub,
        (_hub: UserHub, { storage }) => void storage.sql.exec("update leavings set due = 1"),
      )
      await runDurableObjectAlarm(hub)
    }
    expect(told).toEqual([gone.sessionId, gone.sessionId, gone.sessionId])
    expect(await leavings(hub)).toEqual([])
  })

  it("are ended after a restart, too, and when the session was not used for too long", async () => {
    const hub = newHub()
    const session = newSession()
    await open(hub, session, Date.now())
    await withWorkspaceHub(hub, () => Promise.reject(new Error("out of order")))
    await hub.endSession(session.sessionId)
    await expect.poll(async () => (await leavings(hub))[0]?.["due"]).toBeGreaterThan(Date.now())
    // As if it had ended before it heard of that.
    await runInDurableObject(
      hub,
      (_hub: UserHub, { storage }) => void storage.sql.exec("update leavings set due = null"),
    )
    await evictDurableObject(hub)
    const told: string[] = []
    await withWorkspaceHub(hub, async (_userId, sessionId) => void told.push(sessionId))
    const expiring = newSession()
    await open(hub, expiring, Date.now())
    // The alarm rings at once for what was left undone.
    await expect.poll(() => told).toEqual([session.sessionId])
    await runInDurableObject(hub, async (_hub: UserHub, { storage }) => {
      storage.sql.exec("update sessions set expires_at = 1")
      await storage.setAlarm(Date.now() + hour)
    })
    await runDurableObjectAlarm(hub)
    await expect.poll(() => leavings(hub)).toEqual([])
    expect(told).toEqual([session.sessionId, expiring.sessionId])
  })
})
