import { setTimeout as wait } from "node:timers/promises"
import { beforeAll, describe, expect, it } from "vitest"
import { coloStore } from "../../src/cache/colo.ts"
import { freshLife, staleLife } from "../../src/cache/rev.ts"
import { revsIn } from "../../src/cache/revs.ts"
import type { Database } from "../../src/db/engine.ts"
import { openApp } from "../support/app.ts"
import { cacheOf, hit, settled, tierOf } from "../support/cached.ts"
import { forgetful } from "../support/caches.ts"
import { type Caller, costOf, newCaller, newProject, newTask, pageIn, problemIn, taskIn } from "../support/caller.ts"
import { isPostgres } from "../support/database.ts"
import { between } from "../support/faults.ts"
import { joined } from "../support/people.ts"

const path = (id: string) => `/api/v1/tasks/${id}`
const titleIn = async (answer: Response) => (await taskIn(answer)).title

/** Somebody whose colo knows them, and a task. */
async function regular(app = openApp()) {
  const ada = (await newCaller()).cached().through(await app)
  const task = await newTask(ada)
  return { ada, task }
}

/** Two people who see the same task. */
async function team() {
  const owner = (await newCaller()).cached()
  const bob = (await joined(owner, "member", "Bob")).cached()
  const { id: projectId } = await newProject(owner)
  return { owner, bob, projectId, task: await newTask(owner, { projectId }) }
}

describe("a read of what has not changed", () => {
  it("is answered by the colo that has told it before, without the database", async () => {
    const { ada, task } = await regular()
    const first = await ada.get(path(task.id))
    expect([cacheOf(first), first.headers.get("age"), costOf(first).trips]).toEqual(["MISS", "0", 1])
    const again = await hit(ada, path(task.id))
    expect([costOf(again).trips, again.headers.get("age"), tierOf(again)]).toEqual([0, "0", "isolate"])
    for (const name of ["etag", "cache-control", "content-type", "vary"]) {
      expect(again.headers.get(name), name).toBe(first.headers.get(name))
    }
    expect(await again.json()).toEqual(await first.json())
  })

  it("is 304 for whoever has it, and is not counted", async () => {
    const { ada, task } = await regular()
    const known = await hit(ada, path(task.id))
    const etag = known.headers.get("etag") ?? ""
    const leftOf = (answer: Response) => Number(/r=(\d+)/.exec(answer.headers.get("ratelimit") ?? "")?.[1])
    const left = leftOf(known)
    for (let n = 0; n < 3; n += 1) {
      const answer = await hit(ada, path(task.id), { "if-none-match": etag })
      expect([answer.status, costOf(answer).trips, await answer.text()]).toEqual([304, 0, ""])
      expect(answer.headers.get("ratelimit")?.match(/"user"/g)).toHaveLength(1)
      expect(leftOf(answer)).toBe(left)
    }
  })

  it("tells a list with its ETag and its next page", async () => {
    const { ada } = await regular()
    await newTask(ada)
    const first = await ada.get("/api/v1/tasks?limit=1")
    const again = await hit(ada, "/api/v1/tasks?limit=1")
    expect(again.headers.get("link")).toMatch(/^<\/api\/v1\/tasks\?limit=1&cursor=.*>; rel="next"$/)
    expect([again.headers.get("link"), again.headers.get("etag")]).toEqual([
      first.headers.get("link"),
      first.headers.get("etag"),
    ])
  })

  it("is the same read in whatever order its parameters come", async () => {
    const { ada } = await regular()
    await hit(ada, "/api/v1/tasks?limit=2&sort=-created")
    const other = await ada.get("/api/v1/tasks?sort=-created&limit=2")
    expect(cacheOf(other)).toBe("HIT")
  })

  it("is asked for by each isolate once, which the colo tells that it is still right", async () => {
    const { ada, task } = await regular()
    await hit(ada, path(task.id))
    const elsewhere = ada.through(await openApp())
    const first = await elsewhere.get(path(task.id))
    const second = await elsewhere.get(path(task.id))
    expect([first, second].map((answer) => [cacheOf(answer), costOf(answer).trips])).toEqual([
      ["MISS", 1],
      ["HIT", 0],
    ])
  })

  it("goes to the primary where the caller says no-cache or max-age=0, and where there is no cache", async () => {
    const { ada, task } = await regular()
    await hit(ada, path(task.id))
    const forced = await ada.get(path(task.id), { "cache-control": "no-cache" })
    expect([cacheOf(forced), costOf(forced).trips]).toEqual(["BYPASS", 1])
    const known = { "if-none-match": forced.headers.get("etag") ?? "" }
    const reloaded = await ada.get(path(task.id), { ...known, "cache-control": "max-age=0" })
    expect([reloaded.status, cacheOf(reloaded)]).toEqual([304, "BYPASS"])
    // What fetch sends by itself.
    const fetched = await hit(ada, path(task.id), { ...known, "cache-control": "no-cache", pragma: "no-cache" })
    expect([fetched.status, cacheOf(fetched)]).toEqual([304, "HIT"])

    const bare = ada.through(await openApp({ revs: revsIn(forgetful) }))
    for (let n = 0; n < 3; n += 1) {
      await settled()
      const answer = await bare.get(path(task.id))
      expect([cacheOf(answer), costOf(answer).trips]).toEqual(["MISS", 1])
    }
  })

  it("goes to the database where the cache does not answer, and hardly waits for it", async () => {
    const never = () => new Promise<never>(() => undefined)
    const colo = coloStore({ match: never, put: never, delete: never }, { scope: "dead" })
    const { ada, task } = await regular(openApp({ revs: revsIn(colo) }))
    const start = Date.now()
    expect((await ada.get(path(task.id))).status).toBe(200)
    expect(Date.now() - start).toBeLessThan(2_000)
  })

  it("is passed through where more than the workspace's rows decides", async () => {
    const { ada } = await regular()
    for (const open of ["/api/v1/me", "/api/v1/workspaces", "/api/v1/api-keys", "/api/v1/auth/sessions"]) {
      const answer = await ada.get(open)
      expect([answer.status, cacheOf(answer)], open).toEqual([200, "BYPASS"])
    }
  })
})

describe("what somebody has written", () => {
  it("they see at once in their colo, in every isolate, however warm it was", async () => {
    const { ada, task } = await regular()
    const apps = await Promise.all(Array.from({ length: 3 }, () => openApp()))
    for (const [n, app] of apps.entries()) {
      const [writer, reader] = [ada.through(app), ada.through(apps[(n + 1) % apps.length] ?? app)]
      await hit(reader, path(task.id))
      await writer.patch(path(task.id), { title: `Version ${n}` })
      expect(await titleIn(await reader.get(path(task.id)))).toBe(`Version ${n}`)
    }
  })

  it("others see within a second", async () => {
    const { owner, bob, task } = await team()
    await hit(bob, path(task.id))
    await owner.patch(path(task.id), { title: "Changed" })
    await wait(freshLife)
    expect(await titleIn(await bob.get(path(task.id)))).toBe("Changed")
  })

  it("somebody sees who was refused for not knowing it, and who asked for what was done already", async () => {
    const { owner, bob, task } = await team()
    await hit(bob, path(task.id))
    await owner.patch(path(task.id), { title: "Changed" })
    await problemIn(await bob.patch(path(task.id), { title: "Mine" }, { "if-match": '"1"' }), 412)
    expect(await titleIn(await bob.get(path(task.id)))).toBe("Changed")

    await hit(bob, path(task.id))
    await owner.put(`${path(task.id)}/closure`)
    expect((await bob.put(`${path(task.id)}/closure`)).status).toBe(200)
    expect((await taskIn(await bob.get(path(task.id)))).status).toBe("done")
  })

  it("nobody unsees what a refusal has told them: what is gone from here is gone from the list", async () => {
    const { owner, bob, projectId, task } = await team()
    const list = `/api/v1/projects/${projectId}/tasks`
    await hit(bob, list)
    await owner.delete(path(task.id))
    await problemIn(await bob.get(path(task.id)), 404)
    expect((await pageIn(await bob.get(list))).data).toEqual([])
    // Nor what they were told straight from the primary.
    await newTask(owner, { projectId })
    expect((await pageIn(await bob.get(list, { "cache-control": "no-cache" }))).data).toHaveLength(1)
    expect((await pageIn(await bob.get(list))).data).toHaveLength(1)
  })

  it("they see elsewhere when they bring the bookmark along, or ask for it", async () => {
    const { ada, task } = await regular()
    const known = await hit(ada, path(task.id))
    const bookmark = known.headers.get("edgewise-bookmark")
    // Postgres has none without a replica, which replica.postgres.test.ts is about.
    expect(bookmark === null).toBe(isPostgres)
    // One from a later time makes nobody believe that this colo has seen as much.
    await ada.get(path(task.id), { "edgewise-bookmark": `ffffffff-ffffffff-ffffffff-${"f".repeat(32)}` })
    expect(cacheOf(await hit(ada, path(task.id), bookmark ? { "edgewise-bookmark": bookmark } : {}))).toBe("HIT")
    // Written in another colo: this one is told nothing.
    const far = ada.through(await openApp({ revs: revsIn(forgetful) }))
    const written = await far.patch(path(task.id), { title: "From afar" })
    const there = written.headers.get("edgewise-bookmark")
    const asking: Record<string, string> = there ? { "edgewise-bookmark": there } : { "cache-control": "no-cache" }
    expect(await titleIn(await ada.get(path(task.id), asking))).toBe("From afar")
  })
})

describe("those who want the same at once", () => {
  it("ask the database once", async () => {
    let trips = 0
    const slow = between(async (batch) => {
      trips += 1
      await wait(50)
      return batch.run()
    })
    const { ada, task } = await regular(openApp({ database: slow }))
    await hit(ada, path(task.id))
    // Known to have been right, but too long ago.
    await wait(freshLife)
    trips = 0
    const answers = await Promise.all(Array.from({ length: 20 }, () => ada.get(path(task.id))))
    expect(trips).toBe(1)
    expect(answers.map(tierOf).filter((tier) => tier === "flight")).toHaveLength(19)
    expect(new Set(await Promise.all(answers.map(titleIn)))).toEqual(new Set([task.title]))
  })

  it("do not wait for somebody who asked before they wrote", async () => {
    let hold: Promise<void> | null = null
    const held = between(async (batch) => {
      const results = await batch.run()
      await hold
      return results
    })
    const { ada, task } = await regular(openApp({ database: held }))
    await hit(ada, path(task.id))
    await wait(freshLife)
    const { promise, resolve } = Promise.withResolvers<void>()
    hold = promise
    const early = ada.get(path(task.id))
    await wait(20)
    hold = null
    await ada.patch(path(task.id), { title: "Mine" })
    const late = ada.get(path(task.id))
    // They are answered while it is still under way.
    expect(await titleIn(await late)).toBe("Mine")
    resolve()
    expect(await titleIn(await early)).toBe(task.title)
  })
})

describe("while the database does not answer", () => {
  /** A database that can be taken down, and an app over it with a clock that can be put forward. */
  async function failing() {
    const state = { isDown: false, ahead: 0 }
    const flaky: Database = between((batch) =>
      state.isDown ? Promise.reject(new Error("D1 DB is overloaded. Requests queued for too long.")) : batch.run(),
    )
    const app = await openApp({ database: flaky, now: () => Date.now() + state.ahead })
    const { ada, task } = await regular(Promise.resolve(app))
    return { state, app, ada, task }
  }

  it("what was known a short while ago is given, and says so", async () => {
    const { state, app, ada, task } = await failing()
    await hit(ada, path(task.id))
    state.isDown = true
    state.ahead = 10_000
    const answer = await ada.get(path(task.id))
    expect([answer.status, cacheOf(answer), answer.headers.get("retry-after")]).toEqual([200, "STALE", null])
    expect(Number(answer.headers.get("age"))).toBeGreaterThanOrEqual(9)
    expect(await titleIn(answer)).toBe(task.title)
    expect(app.lines.at(-1)).toMatchObject({ status: 200, cache: "STALE", level: "warn" })
    const same = await ada.get(path(task.id), { "if-none-match": answer.headers.get("etag") ?? "" })
    expect([same.status, cacheOf(same), same.headers.get("content-type")]).toEqual([304, "STALE", null])
  })

  it("nothing is given that is too old, that was never asked, or that the caller wants from the source", async () => {
    const { state, ada, task } = await failing()
    await hit(ada, path(task.id))
    state.isDown = true
    const other = await ada.get("/api/v1/projects")
    expect([other.status, other.headers.get("retry-after")]).toEqual([503, "2"])
    await problemIn(await ada.get(path(task.id), { "cache-control": "no-cache" }), 503)
    state.ahead = staleLife + 1_000
    await problemIn(await ada.get(path(task.id)), 503)
  })

  it("nothing is given from before what the caller has written", async () => {
    const { state, ada, task } = await failing()
    await hit(ada, path(task.id))
    await ada.patch(path(task.id), { title: "Newer" })
    state.isDown = true
    await problemIn(await ada.get(path(task.id)), 503)
  })
})

describe("a smoke run: three isolates of one colo, many reads and writes at once", () => {
  let callers: Caller[]
  let task: { id: string }

  beforeAll(async () => {
    const made = await regular()
    task = made.task
    callers = await Promise.all(Array.from({ length: 3 }, async () => made.ada.through(await openApp())))
  })

  it("shows nobody less than they have written or seen", async () => {
    const tally: Record<string, number> = { writes: 0 }
    let written = 0
    /** A client who does one thing after the other; what others of the same person have done by then, it sees too. */
    async function client(n: number, requests: number): Promise<void> {
      for (let turn = 0; turn < requests; turn += 1) {
        const caller = callers[(n + turn) % callers.length] as Caller
        if (n === 0 && turn % 20 === 0) {
          written = (await taskIn(await caller.patch(path(task.id), { title: `Turn ${turn}` }))).revision
          tally["writes"] = (tally["writes"] ?? 0) + 1
          continue
        }
        const known = written
        const answer = await caller.get(path(task.id))
        const how = cacheOf(answer) ?? "none"
        tally[how] = (tally[how] ?? 0) + 1
        expect((await taskIn(answer)).revision).toBeGreaterThanOrEqual(known)
        await wait(turn % 10)
      }
    }
    await Promise.all(Array.from({ length: 6 }, (_, n) => client(n, 400)))
    expect(tally["writes"]).toBe(20)
    expect(tally["HIT"]).toBeGreaterThan(100)
    expect(tally["MISS"]).toBeGreaterThan(20)
  }, 120_000)
})
