import { beforeAll, describe, expect, it } from "vitest"
import { expectSearchesOnly, planOf } from "../support/d1-plans.ts"
import {
  aside,
  buildHiddenWorkspace,
  cursorAmongPeople,
  examined,
  listsOfTheUnnamed,
  read,
  type Viewers,
} from "../support/hidden-workspace.ts"

let viewers: Viewers

beforeAll(async () => {
  viewers = await buildHiddenWorkspace()
})

describe("to whoever is not named", () => {
  for (const role of ["member", "guest"] as const) {
    for (const path of listsOfTheUnnamed) {
      it(`20,000 hidden rows cost a bounded look: ${role}, ${path}`, async () => {
        const { rowsRead, trips, next, statements } = await readAs(role, path)
        expect(trips).toBe(1)
        expect(rowsRead).toBeLessThanOrEqual(examined + 200 + aside)
        expect(next).not.toBeNull()
        expectSearchesOnly(await planOf(statements))
      })
    }
  }

  it("and the bound leads on to the end", async () => {
    let pages = 0
    for (let path: string | null = "projects?limit=200"; path; pages += 1) {
      const { next } = await readAs("member", path)
      path = next === null ? null : `projects?limit=200&cursor=${next}`
    }
    expect(pages).toBeLessThan(20)
  })
})

async function readAs(role: "member" | "guest", path: string) {
  const { read: rowsRead, ...rest } = await read(viewers[role], path)
  return { rowsRead, ...rest }
}

describe("lists of people", () => {
  it("read their page, by their own key: members", async () => {
    const cursor = await cursorAmongPeople(viewers.member, "members")
    for (const place of ["", `&cursor=${cursor}`]) {
      for (const limit of [1, 200]) {
        const { data, statements, ...cost } = await read(viewers.member, `members?limit=${limit}${place}`)
        expect(data).toHaveLength(limit)
        expect(cost.read).toBeLessThanOrEqual(limit + 1 + aside)
        const plan = await planOf(statements)
        expectSearchesOnly(plan)
        expect(plan.some((step) => step.includes("sqlite_autoindex_members_1"))).toBe(true)
      }
    }
  })

  it("read their page, by their own key: those named to a project", async () => {
    const path = `projects/${viewers.crowded}/members`
    const cursor = await cursorAmongPeople(viewers.owner, path)
    for (const place of ["", `&cursor=${cursor}`]) {
      for (const limit of [1, 200]) {
        const { data, statements, ...cost } = await read(viewers.owner, `${path}?limit=${limit}${place}`)
        expect(data).toHaveLength(limit)
        expect(cost.read).toBeLessThanOrEqual(3 * (limit + 1) + aside)
        const plan = await planOf(statements)
        expectSearchesOnly(plan)
        expect(plan.some((step) => step.includes("sqlite_autoindex_project_members_1"))).toBe(true)
      }
    }
  })
})
