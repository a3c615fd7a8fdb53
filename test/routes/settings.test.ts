import { eq } from "drizzle-orm"
import * as fc from "fast-check"
import { beforeEach, describe, expect, it } from "vitest"
import { Me, notificationChannels, notificationKinds } from "../../src/contracts/me.ts"
import { mergePatch } from "../../src/lib/merge-patch.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  newAddress,
  newCaller,
  newProject,
  pointersIn,
  problemIn,
} from "../support/caller.ts"
import { execute, rowsOf, withDb } from "../support/database.ts"
import { between, losing } from "../support/faults.ts"
import { joined } from "../support/people.ts"

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
const patched = async (patch: object, caller = ada) => meIn(await caller.patch(path, patch))

const lastUserEvent = ({ userId }: Caller) =>
  withDb(async (db) => {
    const { userEvents } = db.tables
    const [rows] = await db.read(
      db.sql.select().from(userEvents).where(eq(userEvents.userId, userId)).orderBy(userEvents.revision),
    )
    return rows.at(-1)
  })

const unchosen = {
  locale: "en",
  weekStart: "monday",
  theme: "system",
  defaultProjectId: null,
  notifications: {
    assigned: { inbox: true, email: true },
    mentioned: { inbox: true, email: true },
    commented: { inbox: true, email: false },
    due: { inbox: true, email: true },
    closed: { inbox: true, email: false },
    created: { inbox: true, email: false },
  },
  mail: "at_once",
}

describe("settings", () => {
  it("are what they are by themselves until somebody chooses", async () => {
    expect(await me()).toMatchObject(unchosen)
    const [row] = await rowsOf<{ settings: string | object }>("select settings from users where id = ?", ada.userId)
    expect(typeof row?.settings === "string" ? JSON.parse(row.settings) : row?.settings).toEqual({})
  })

  it("are changed one by one, and null takes each back", async () => {
    const chosen = { locale: "de-CH", weekStart: "sunday", theme: "dark", defaultProjectId: ada.inboxId, mail: "daily" }
    expect(await patched(chosen)).toMatchObject({ ...unchosen, ...chosen, revision: 2 })
    expect(await patched({ theme: "light" })).toMatchObject({ ...unchosen, ...chosen, theme: "light", revision: 3 })
    const back = await patched({ locale: null, weekStart: null, theme: null, defaultProjectId: null, mail: null })
    expect(back).toMatchObject({ ...unchosen, revision: 4 })
    expect(await me()).toEqual(back)
  })

  it("merge what is nested: a channel, a kind or all of them", async () => {
    const { notifications } = unchosen
    const one = await patched({ notifications: { due: { email: false } } })
    expect(one.notifications).toEqual({ ...notifications, due: { inbox: true, email: false } })
    const two = await patched({ notifications: { closed: { email: true, inbox: false }, due: { inbox: false } } })
    expect(two.notifications).toEqual({
      ...notifications,
      due: { inbox: false, email: false },
      closed: { inbox: false, email: true },
    })
    const channel = await patched({ notifications: { due: { email: null } } })
    expect(channel.notifications.due).toEqual({ inbox: false, email: true })
    const kind = await patched({ notifications: { due: null } })
    expect(kind.notifications).toEqual({ ...notifications, closed: { inbox: false, email: true } })
    expect((await patched({ notifications: null })).notifications).toEqual(notifications)
  })

  it("merge as JSON Merge Patch says, whatever is sent", async () => {
    const flag = fc.constantFrom(true, false, null)
    const channels = fc.record(Object.fromEntries(notificationChannels.map((name) => [name, flag])), {
      requiredKeys: [],
    })
    const kinds = fc.record(Object.fromEntries(notificationKinds.map((name) => [name, fc.option(channels)])), {
      requiredKeys: [],
    })
    const patches = fc.record(
      { notifications: fc.option(kinds), theme: fc.constantFrom("light", "dark", null) },
      { requiredKeys: [] },
    )
    let stored: unknown = {}
    await fc.assert(
      fc.asyncProperty(patches, async (patch) => {
        stored = mergePatch(stored, patch)
        const whole = mergePatch({ theme: unchosen.theme, notifications: unchosen.notifications }, stored)
        const { theme, notifications } = await patched(patch)
        expect({ theme, notifications }).toEqual(whole)
      }),
      { numRuns: 40 },
    )
  })

  it("are noted in the user's own log, before and after, and not in the workspace's", async () => {
    const events = await eventsOf(ada)
    await patched({ locale: "pt-br", notifications: { closed: { email: true } } })
    expect(await lastUserEvent(ada)).toMatchObject({
      type: "user.updated",
      revision: 2,
      data: {
        before: { locale: "en", notifications: unchosen.notifications },
        after: {
          locale: "pt-BR",
          notifications: { ...unchosen.notifications, closed: { inbox: true, email: true } },
        },
      },
    })
    expect(await eventsOf(ada)).toEqual(events)
  })

  it("leave the revision when they are what they were", async () => {
    await patched({ theme: "dark" })
    for (const patch of [{ theme: "dark" }, { locale: "EN" }, { notifications: {} }, { notifications: { due: {} } }]) {
      expect((await patched(patch)).revision).toBe(2)
    }
  })

  it("are refused at a stale revision, and shown with ETag and 304", async () => {
    await patched({ theme: "dark" })
    await problemIn(await ada.patch(path, { theme: "light" }, { "if-match": '"1"' }), 412)
    const etag = (await ada.get(path)).headers.get("etag") ?? ""
    expect(etag).toMatch(/^"2\./)
    expect((await ada.get(path, { "if-none-match": etag })).status).toBe(304)
    expect(await me()).toMatchObject({ theme: "dark", revision: 2 })
  })

  const locales: [sent: string, canonical: string][] = [
    ["en-us", "en-US"],
    ["ZH-hans-cn", "zh-Hans-CN"],
    ["iw", "he"],
    ["de-DE-u-co-phonebk", "de-DE-u-co-phonebk"],
    ["sr-latn", "sr-Latn"],
  ]
  for (const [sent, canonical] of locales) {
    it(`take a language tag in its canonical form: ${sent}`, async () => {
      expect((await patched({ locale: sent })).locale).toBe(canonical)
    })
  }

  const wrong: [string, object, string[]][] = [
    ["a locale that is none", { locale: `english${"x".repeat(9)}` }, ["/locale"]],
    ["a locale with an underscore", { locale: "en_US" }, ["/locale"]],
    ["an empty locale", { locale: "" }, ["/locale"]],
    ["a locale that is very long", { locale: `en-u-${"co-phonebk-".repeat(9)}x` }, ["/locale"]],
    ["a locale with NUL", { locale: "en\u0000" }, ["/locale"]],
    ["a day by number", { weekStart: 1 }, ["/weekStart"]],
    ["a day in capitals", { weekStart: "Monday" }, ["/weekStart"]],
    ["a theme that is none", { theme: "solarized" }, ["/theme"]],
    ["a project that is none", { defaultProjectId: "inbox" }, ["/defaultProjectId"]],
    ["a project that is nowhere", { defaultProjectId: "prj_01j00000000000000000000000" }, ["/defaultProjectId"]],
    ["notifications that are no object", { notifications: true }, ["/notifications"]],
    ["a list of notifications", { notifications: [] }, ["/notifications"]],
    ["a kind that is unknown", { notifications: { everything: {} } }, ["/notifications/everything"]],
    ["a channel that is unknown", { notifications: { due: { pigeon: true } } }, ["/notifications/due/pigeon"]],
    ["a channel that is no truth", { notifications: { due: { email: "yes" } } }, ["/notifications/due/email"]],
    ["a kind that is a truth", { notifications: { due: false } }, ["/notifications/due"]],
    ["a setting that is unknown", { settings: {}, avatarUrl: "x" }, ["/settings", "/avatarUrl"]],
  ]
  for (const [what, patch, pointers] of wrong) {
    it(`are refused with the field named: ${what}`, async () => {
      const sent = { theme: "dark", ...patch }
      expect(new Set(await pointersIn(await ada.patch(path, sent)))).toEqual(new Set(pointers))
      expect(await me()).toMatchObject({ ...unchosen, revision: 1 })
    })
  }

  it("refuse a name that JavaScript has for itself", async () => {
    expect(await pointersIn(await ada.patch(path, '{"notifications":{"constructor":{}}}'))).toEqual([
      "/notifications/constructor",
    ])
    const answer = await ada.patch(path, '{"notifications":{"due":{"__proto__":{"email":false}}}}')
    expect(answer.status).toBe(422)
    expect(await me()).toMatchObject({ ...unchosen, revision: 1 })
  })

  it("cost a trip to read; and to change, one for each step", async () => {
    expect(costOf(await ada.get(path)).trips).toBe(1)
    expect(costOf(await ada.patch(path, { theme: "dark" })).trips).toBe(3)
    expect(costOf(await ada.patch(path, { defaultProjectId: ada.inboxId })).trips).toBe(4)
  })
})

describe("the default project", () => {
  it("is one that the user sees", async () => {
    const hidden = await newProject(ada, { visibility: "private" })
    const open = await newProject(ada)
    const eve = await joined(ada)
    const guest = await joined(ada, "guest")
    const foreign = await newProject(await newCaller())
    const choose = (caller: Caller, defaultProjectId: string) => caller.patch(path, { defaultProjectId })

    expect(await pointersIn(await choose(eve, hidden.id))).toEqual(["/defaultProjectId"])
    expect(await pointersIn(await choose(guest, open.id))).toEqual(["/defaultProjectId"])
    expect(await pointersIn(await choose(ada, foreign.id))).toEqual(["/defaultProjectId"])
    for (const id of [open.id, hidden.id]) expect((await meIn(await choose(ada, id))).defaultProjectId).toBe(id)
    expect((await meIn(await choose(eve, open.id))).defaultProjectId).toBe(open.id)

    await ada.put(`/api/v1/projects/${hidden.id}/members/${guest.userId}`, { level: "view" })
    expect((await meIn(await choose(guest, hidden.id))).defaultProjectId).toBe(hidden.id)
    await ada.delete(`/api/v1/projects/${open.id}`)
    expect(await pointersIn(await choose(ada, open.id))).toEqual(["/defaultProjectId"])
  })

  it("is another in each workspace", async () => {
    const eve = await joined(ada)
    const [theirs, own] = [await newProject(ada), eve.userId]
    expect((await patched({ defaultProjectId: theirs.id }, eve)).defaultProjectId).toBe(theirs.id)
    const home = await atHome(eve)
    expect(await me(home)).toMatchObject({ id: own, defaultProjectId: null })
    await patched({ defaultProjectId: home.inboxId }, home)
    expect((await me(home)).defaultProjectId).toBe(home.inboxId)
    expect((await me(eve)).defaultProjectId).toBe(theirs.id)
    await patched({ defaultProjectId: null }, home)
    expect((await me(eve)).defaultProjectId).toBe(theirs.id)
  })

  it("is remembered for 200 workspaces, of which the oldest choice goes first", async () => {
    const others = Array.from({ length: 200 }, (_, n) => [`wsp_${n}`, `prj_${n}`])
    const settings = JSON.stringify({ defaultProjects: Object.fromEntries(others) })
    await execute("update users set settings = ? where id = ?", settings, ada.userId)
    await patched({ defaultProjectId: ada.inboxId })
    const [row] = await rowsOf<{ settings: string | object }>("select settings from users where id = ?", ada.userId)
    const text = typeof row?.settings === "string" ? row.settings : JSON.stringify(row?.settings)
    const { defaultProjects } = JSON.parse(text) as { defaultProjects: Record<string, string> }
    expect(Object.keys(defaultProjects)).toHaveLength(200)
    expect([defaultProjects["wsp_0"], defaultProjects["wsp_1"]]).toEqual([undefined, "prj_1"])
    expect(defaultProjects[ada.workspaceId]).toBe(ada.inboxId)
  })
})

/** The person in the workspace that they registered with. */
async function atHome(person: Caller): Promise<Caller> {
  const [home] = await rowsOf<{ id: string; inbox_id: string }>(
    "select id, inbox_id from workspaces where created_by = ?",
    person.userId,
  )
  if (!home) throw new Error("No home")
  return switched(person, home.id, home.inbox_id)
}

async function switched(person: Caller, workspaceId: string, inboxId: string): Promise<Caller> {
  const answer = await person.app.fetch("/api/v1/auth/switch", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "cf-connecting-ip": newAddress(),
      authorization: `Bearer ${person.accessToken}`,
    },
    body: JSON.stringify({ workspaceId }),
  })
  const text = await answer.text()
  expect(answer.status, text).toBe(200)
  const { accessToken } = JSON.parse(text) as { accessToken: string }
  const headers = { authorization: `Bearer ${accessToken}` }
  return {
    ...person,
    accessToken,
    workspaceId,
    inboxId,
    get: (url, more) => person.get(url, { ...headers, ...more }),
    patch: (url, body, more) => person.patch(url, body, { ...headers, ...more }),
  }
}

describe("two who change settings at once", () => {
  it("are both heard", async () => {
    const patches = [{ theme: "dark" }, { locale: "fr" }, { notifications: { due: { email: false } } }]
    const answers = await Promise.all(patches.map((patch) => ada.patch(path, patch)))
    for (const answer of answers) expect([200, 409]).toContain(answer.status)
    const heard = patches.filter((_, index) => answers[index]?.status === 200)
    expect(await me()).toMatchObject({ revision: 1 + heard.length })
    for (const { notifications: _nested, ...plain } of heard as { notifications?: object }[]) {
      expect(await me()).toMatchObject(plain)
    }
  })

  it("are both heard when one is overtaken by a change of what is beside theirs", async () => {
    let isFirst = true
    const database = between(async (batch) => {
      if (isFirst && batch.sql.some((text) => text.startsWith('update "users"'))) {
        isFirst = false
        await patched({ notifications: { due: { email: false } }, theme: "dark" })
      }
      return batch.run()
    })
    const slow = ada.through(await openApp({ database }))
    const answer = await patched({ notifications: { due: { inbox: false } }, locale: "fr" }, slow)
    expect(answer).toMatchObject({ theme: "dark", locale: "fr", revision: 3 })
    expect(answer.notifications.due).toEqual({ inbox: false, email: false })
  })

  it("land once when the directory's answer is lost", async () => {
    const lossy = losing("after", 1, ({ sql }) => sql.some((text) => text.startsWith('update "users"')))
    const patch = { theme: "dark", notifications: { due: { email: false } }, defaultProjectId: ada.inboxId }
    expect(await patched(patch, ada.through(await openApp({ database: lossy })))).toMatchObject({ revision: 2 })
    expect(await lastUserEvent(ada)).toMatchObject({ revision: 2 })
  })
})

describe("a name that was changed in another workspace", () => {
  it("is taken over by the one that the user switches to, once, with an event", async () => {
    const eve = await joined(ada)
    const home = await atHome(eve)
    await patched({ name: "Grace Hopper" }, home)
    const nameIn = async () => {
      const [row] = await rowsOf(
        "select name, revision from members where workspace_id = ? and user_id = ?",
        ada.workspaceId,
        eve.userId,
      )
      return row
    }
    expect(await nameIn()).toEqual({ name: "Eve", revision: 1 })
    const back = await switched(home, ada.workspaceId, ada.inboxId)
    expect(await nameIn()).toEqual({ name: "Grace Hopper", revision: 2 })
    expect((await eventsOf(ada)).at(-1)).toMatchObject({
      type: "member.updated",
      subjectId: eve.userId,
      actorId: eve.userId,
      data: { before: { name: "Eve" }, after: { name: "Grace Hopper" } },
    })
    await switched(back, ada.workspaceId, ada.inboxId)
    expect(await nameIn()).toEqual({ name: "Grace Hopper", revision: 2 })
  })
})
