import { setTimeout as wait } from "node:timers/promises"
import { beforeAll, describe, expect, it } from "vitest"
import { freshLife } from "../../src/cache/rev.ts"
import { d1Database } from "../../src/db/d1.ts"
import { openApp } from "../support/app.ts"
import { settled } from "../support/cached.ts"
import { type Caller, newCaller, newTask, pointersIn } from "../support/caller.ts"
import { d1 } from "../support/d1.ts"

let ada: Caller

beforeAll(async () => {
  ada = await newCaller()
})

/** An app over the real D1, and what each of its sessions began with. */
async function watched() {
  const begun: unknown[] = []
  const binding = new Proxy(d1, {
    get: (target, property) => {
      if (property !== "withSession") return Reflect.get(target, property).bind(target)
      return (from: string) => {
        begun.push(from)
        return target.withSession(from)
      }
    },
  })
  const database = d1Database(binding)
  return { begun, database, caller: ada.through(await openApp({ database })) }
}

const bookmarkOf = ({ headers }: Response) => headers.get("edgewise-bookmark") ?? ""

describe("a bookmark", () => {
  it("comes with what was written and what was read, and grows with every write", async () => {
    const written = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "One" })
    const read = await ada.get("/api/v1/projects")
    const again = await ada.post("/api/v1/tasks", { projectId: ada.inboxId, title: "Two" })
    for (const answer of [written, read, again]) expect(bookmarkOf(answer)).toMatch(/^[\da-f]{8}-/)
    expect(bookmarkOf(read) >= bookmarkOf(written)).toBe(true)
    expect(bookmarkOf(again) > bookmarkOf(written)).toBe(true)
  })

  it("is not there where nothing was asked of the database", async () => {
    expect(bookmarkOf(await ada.get("/openapi.json"))).toBe("")
  })

  it("that is brought along is what the database must have reached; else the primary answers", async () => {
    const { begun, caller } = await watched()
    const task = await newTask(caller)
    const first = await caller.get("/api/v1/me")
    const bookmark = bookmarkOf(first)
    await caller.cached().get("/api/v1/me", { "edgewise-bookmark": bookmark })
    await caller.get("/api/v1/me", { "edgewise-bookmark": bookmark, "cache-control": "no-cache" })
    await caller.patch(`/api/v1/tasks/${task.id}`, { title: "x" }, { "edgewise-bookmark": bookmark })
    expect(begun).toEqual(["first-primary", "first-primary", bookmark, "first-primary", "first-primary"])
  })

  it("is kept by the colo for whoever brings none, as far as they have seen; a later one is kept to", async () => {
    const { begun, caller } = await watched()
    const reader = caller.cached()
    const { id } = await newTask(reader)
    const path = `/api/v1/tasks/${id}`
    // The first of them tells the colo; those before it has settled ask the primary again.
    await reader.get(path)
    await settled()
    const seen = bookmarkOf(await reader.get(path))
    await wait(freshLife)
    begun.length = 0
    await reader.get(path)
    await wait(freshLife)
    const later = bookmarkOf(await caller.get("/api/v1/me"))
    await reader.get(path, { "edgewise-bookmark": later })
    await reader.patch(path, { title: "x" })
    // Nobody knows yet how far a replica must be to have what was just written.
    await reader.get(path)
    expect(begun).toEqual([seen, "first-primary", "first-primary", "first-primary", "first-primary"])
  })

  it("says nothing any more once a write was refused: why it was is asked of the primary", async () => {
    const { begun, database } = await watched()
    const engine = database.connect()
    const terms = { deadlineMs: 1_000, signal: new AbortController().signal }
    const one = { text: "select 1 as one", values: [] }
    const wrong = { text: "select json('{')", values: [] }
    await engine.send([one], { ...terms, mode: "read" })
    await engine.send([wrong], { ...terms, mode: "read" }).catch(() => undefined)
    await engine.send([one], { ...terms, mode: "write" })
    await engine.send([wrong], { ...terms, mode: "write" }).catch(() => undefined)
    await engine.send([one], { ...terms, mode: "read" })
    expect(begun).toEqual(["first-primary", "first-primary"])
  })

  it("that was made up is refused by its name, and one from the future changes nothing", async () => {
    for (const wrong of ["x", "1", "first-unconstrained", "0-0-0-0", "'; drop table tasks"]) {
      const answer = await ada.get("/api/v1/projects", { "edgewise-bookmark": wrong })
      expect(await pointersIn(answer), wrong).toEqual(["Edgewise-Bookmark"])
    }
    const future = `ffffffff-ffffffff-ffffffff-${"f".repeat(32)}`
    const answer = await ada.get("/api/v1/projects", { "edgewise-bookmark": future })
    expect([200, 503]).toContain(answer.status)
  })
})
