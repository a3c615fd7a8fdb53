import { describe, expect, it } from "vitest"
import { coloStore } from "../../src/cache/colo.ts"
import { type Finding, type KnownKey, keyLife, keyMemory, noKeyLife } from "../../src/cache/key-memory.ts"

const key: KnownKey = {
  id: "key_1",
  userId: "usr_1",
  workspaceId: "wsp_1",
  scopes: ["task:read"],
  role: "member",
  expiresAt: null,
  lastUsedAt: null,
}

/** A clock of its own, a colo, and isolates in it. */
function setting(cache: Pick<Cache, "match" | "put" | "delete"> = caches.default) {
  const clock = { at: 1_000_000 }
  const scope = crypto.randomUUID()
  const isolate = (of = scope) => keyMemory({ now: () => clock.at, colo: coloStore(cache, { scope: of }) })
  return { clock, isolate }
}

const hash = () => crypto.randomUUID()

describe("what is remembered of a key", () => {
  it("is known in the isolate, and in the others of the colo", async () => {
    const { clock, isolate } = setting()
    const [one, other, name] = [isolate(), isolate(), hash()]
    expect(await one.recall(name)).toBeNull()
    await one.remember(name, { key, at: clock.at })
    expect(await one.recall(name)).toMatchObject({ key, at: clock.at })
    expect(await other.recall(name)).toMatchObject({ key, at: clock.at })
  })

  it("is forgotten a minute after the database was asked, wherever it has gone meanwhile", async () => {
    const { clock, isolate } = setting()
    const [one, other, name] = [isolate(), isolate(), hash()]
    await one.remember(name, { key, at: clock.at })
    clock.at += keyLife - 1
    expect((await one.recall(name))?.key).toEqual(key)
    expect((await other.recall(name))?.key).toEqual(key)
    clock.at += 1
    expect(await one.recall(name)).toBeNull()
    expect(await other.recall(name)).toBeNull()
  })

  it("is forgotten sooner when there is no such key", async () => {
    const { clock, isolate } = setting()
    const [one, name] = [isolate(), hash()]
    await one.remember(name, { key: null, at: clock.at })
    clock.at += noKeyLife - 1
    expect(await one.recall(name)).toMatchObject({ key: null })
    clock.at += 1
    expect(await one.recall(name)).toBeNull()
  })

  it("is none from the moment it is revoked, in the other isolates of the colo a little later", async () => {
    const { clock, isolate } = setting()
    const [one, other, name] = [isolate(), isolate(), hash()]
    await one.remember(name, { key, at: clock.at })
    await other.recall(name)
    clock.at += 1
    await one.forget(name)
    expect(await one.recall(name)).toMatchObject({ key: null })
    expect(await isolate().recall(name)).toMatchObject({ key: null })
    clock.at += 10_000
    expect((await other.recall(name))?.key ?? null).toBeNull()
  })

  it("is not brought back by an answer of the database from before the revocation", async () => {
    for (const late of [0, 1, noKeyLife, keyLife - 2]) {
      const { clock, isolate } = setting()
      const [one, other, name] = [isolate(), isolate(), hash()]
      const asked: Finding = { key, at: clock.at }
      await one.forget(name)
      clock.at += late
      await one.remember(name, asked)
      await other.remember(name, asked)
      expect((await one.recall(name))?.key ?? null).toBeNull()
      expect((await other.recall(name))?.key ?? null).toBeNull()
    }
  })

  it("is no other deployment's", async () => {
    const { clock, isolate } = setting()
    const name = hash()
    await isolate().remember(name, { key, at: clock.at })
    expect(await isolate("another").recall(name)).toBeNull()
  })

  const down = () => Promise.reject(new Error("down"))
  const nothing = async () => undefined
  const poor: [string, Pick<Cache, "match" | "put" | "delete">][] = [
    ["the Cache API does nothing", { match: nothing, put: nothing, delete: async () => false }],
    ["it fails", { match: down, put: down, delete: down }],
    ["it holds something else", { match: async () => new Response("<html>"), put: nothing, delete: async () => true }],
  ]
  for (const [what, cache] of poor) {
    it(`stays in the isolate where ${what}`, async () => {
      const { clock, isolate } = setting(cache)
      const [one, name] = [isolate(), hash()]
      await one.remember(name, { key, at: clock.at })
      expect((await one.recall(name))?.key).toEqual(key)
      clock.at += 1
      await one.forget(name)
      expect((await one.recall(name))?.key).toBeNull()
      expect(await isolate().recall(name)).toBeNull()
    })
  }
})
