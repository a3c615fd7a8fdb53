import * as fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { ProjectPage, type ProjectView } from "../../src/contracts/projects.ts"
import { toBase64Url, utf8 } from "../../src/lib/bytes.ts"
import { openApp } from "../support/app.ts"
import {
  type Caller,
  costOf,
  newCaller,
  newProject,
  newTask,
  nextIn,
  pageIn,
  pointersIn,
  projectIn,
  walk,
} from "../support/caller.ts"

let ada: Caller
let live: ProjectView[]
let deletedId: string
const start = Date.now()
// A clock that stands still between the steps, so that several projects share a time.
let clock = start

async function build(): Promise<void> {
  ada = await newCaller(await openApp({ now: () => clock }))
  const made = [ada.inboxId]
  for (let n = 0; n < 11; n += 1) {
    clock = start + Math.floor(n / 4)
    made.push((await newProject(ada, { name: `Project ${n}` })).id)
  }
  clock = start + 60_000
  for (const id of made.slice(2, 5)) await ada.patch(`/api/v1/projects/${id}`, { name: "Renamed" })
  const gone = made.slice(7, 9)
  for (const id of gone) await ada.delete(`/api/v1/projects/${id}`)
  deletedId = gone[0] ?? ""
  const kept = made.filter((id) => !gone.includes(id))
  live = await Promise.all(kept.map(async (id) => projectIn(await ada.get(`/api/v1/projects/${id}`))))
}

beforeAll(build)

const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0)

const lists: [sort: string, order: (a: ProjectView, b: ProjectView) => number][] = [
  ["created", (a, b) => compare(a.id, b.id)],
  ["-created", (a, b) => compare(b.id, a.id)],
  ["updated", (a, b) => compare(a.updatedAt, b.updatedAt) || compare(a.id, b.id)],
  ["-updated", (a, b) => compare(b.updatedAt, a.updatedAt) || compare(b.id, a.id)],
]

describe("GET /projects", () => {
  for (const [sort, order] of lists) {
    it(`by ${sort} pages through each project once, in order`, async () => {
      const pages = await walk(ada, `/api/v1/projects?sort=${sort}&limit=3`)
      expect(pages.flatMap(({ data }) => data)).toEqual(live.toSorted(order))
      expect(pages.map(({ data }) => data.length)).toEqual([3, 3, 3, 1])
    })
  }

  it("has ties to break, and nothing that is deleted", async () => {
    expect(new Set(live.map(({ updatedAt }) => updatedAt)).size).toBeLessThan(live.length - 2)
    const [page] = await walk(ada, "/api/v1/projects?limit=200")
    expect(page?.data.map(({ id }) => id)).not.toContain(deletedId)
  })

  it("is sorted by creation unless asked otherwise, in the form of the contract", async () => {
    const answer = await ada.get("/api/v1/projects")
    expect(ProjectPage.parse(await answer.json())).toEqual({
      data: live.toSorted((a, b) => compare(a.id, b.id)),
      next: null,
    })
    expect(nextIn(answer)).toBeNull()
  })

  it("costs one round trip, first page or later", async () => {
    const first = await ada.get("/api/v1/projects?limit=2&sort=-updated")
    expect(costOf(first).trips).toBe(1)
    expect(costOf(await ada.get(nextIn(first) ?? "")).trips).toBe(1)
  })

  const wrong: [query: string, pointer: string][] = [
    ["limit=0", "?limit"],
    ["limit=201", "?limit"],
    ["limit=abc", "?limit"],
    ["sort=due", "?sort"],
    ["sort=name", "?sort"],
    ["status=todo", "?status"],
    ["fields=name", "?fields"],
    ["cursor=!", "?cursor"],
    ["limit=1&limit=2", "?limit"],
    ["sort=created&sort=updated", "?sort"],
  ]
  for (const [query, pointer] of wrong) {
    it(`is refused with the parameter named: ${query}`, async () => {
      expect(await pointersIn(await ada.get(`/api/v1/projects?${query}`))).toEqual([pointer])
    })
  }

  it("takes a cursor of its own sort and workspace alone", async () => {
    const cursorOf = async (caller: Caller, path: string) => (await pageIn(await caller.get(path))).next
    const eve = await newCaller()
    await newProject(eve)
    await newTask(ada)
    await newTask(ada)
    const foreign = [
      await cursorOf(eve, "/api/v1/projects?limit=1"),
      await cursorOf(ada, "/api/v1/projects?limit=1&sort=-created"),
      await cursorOf(ada, "/api/v1/projects?limit=1&sort=updated"),
      await cursorOf(ada, "/api/v1/tasks?limit=1"),
    ]
    for (const cursor of foreign) {
      expect(cursor).toEqual(expect.any(String))
      expect(await pointersIn(await ada.get(`/api/v1/projects?cursor=${cursor}`))).toEqual(["?cursor"])
    }
  })

  it("refuses any other text as a cursor, and never fails at it", async () => {
    const json = fc.oneof(fc.jsonValue(), fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.double())))
    const cursors = fc.oneof(
      fc.string({ unit: "binary" }),
      json.map((value) => toBase64Url(utf8(JSON.stringify(value)))),
    )
    await fc.assert(
      fc.asyncProperty(cursors, fc.constantFrom(...lists.map(([sort]) => sort)), async (cursor, sort) => {
        const answer = await ada.get(`/api/v1/projects?${new URLSearchParams({ cursor, sort })}`)
        expect(await pointersIn(answer)).toEqual(["?cursor"])
      }),
      { numRuns: 150 },
    )
  })

  it("answers 304 until something changes", async () => {
    const etagOf = async () => (await ada.get("/api/v1/projects")).headers.get("etag") ?? ""
    const before = await etagOf()
    const same = await ada.get("/api/v1/projects", { "if-none-match": before })
    expect([same.status, await same.text()]).toEqual([304, ""])

    const { id } = await newProject(ada)
    expect((await ada.get("/api/v1/projects", { "if-none-match": before })).status).toBe(200)
    const between = await etagOf()
    await ada.delete(`/api/v1/projects/${id}`)
    expect(new Set([before, between, await etagOf()]).size).toBe(3)
  })

  it("never shares an ETag between two workspaces", async () => {
    const callers = await Promise.all(Array.from({ length: 6 }, () => newCaller()))
    const answers = await Promise.all(callers.map((caller) => caller.get("/api/v1/projects")))
    expect(new Set(answers.map(({ headers }) => headers.get("etag"))).size).toBe(6)
  })
})
