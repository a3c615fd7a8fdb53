import { beforeAll, describe, expect, it } from "vitest"
import { execute } from "../support/database.ts"
import {
  aside,
  buildHiddenWorkspace,
  cursorAmongPeople,
  examined,
  listsOfTheUnnamed,
  read,
  type Viewers,
} from "../support/hidden-workspace.ts"
import { expectSearchesOnly, looked, ours, planOf } from "../support/postgres-plans.ts"

// The same lists as in access-plans.d1.test.ts, held to the plan that was run and to the rows that it looked at.

let viewers: Viewers

beforeAll(async () => {
  viewers = await buildHiddenWorkspace()
  await execute("analyze")
})

describe("to whoever is not named", () => {
  for (const role of ["member", "guest"] as const) {
    for (const path of listsOfTheUnnamed) {
      it(`20,000 hidden rows cost a bounded look: ${role}, ${path}`, async () => {
        const { trips, next, statements } = await read(viewers[role], path)
        expect(trips).toBe(1)
        expect(next).not.toBeNull()
        const plan = await planOf(statements)
        expectSearchesOnly(plan)
        expect(looked(plan)).toBeLessThanOrEqual(examined + 200 + aside)
      })
    }
  }
})

describe("lists of people", () => {
  const lists = [
    { path: () => "members", keys: /^members_workspace_id_user_id_pk$/, perRow: 1 },
    // Of people who are all named to one project, the index by user has them in the same order.
    {
      path: () => `projects/${viewers.crowded}/members`,
      keys: /^project_members_(workspace_id_project_id|user)/,
      perRow: 3,
    },
  ]
  for (const { path, keys, perRow } of lists) {
    it(`read their page, by a key of their own: ${keys.source}`, async () => {
      const cursor = await cursorAmongPeople(viewers.owner, path())
      for (const place of ["", `&cursor=${cursor}`]) {
        for (const limit of [1, 50]) {
          const { data, statements } = await read(viewers.owner, `${path()}?limit=${limit}${place}`)
          expect(data).toHaveLength(limit)
          const plan = await planOf(statements)
          expectSearchesOnly(plan)
          expect(ours(plan).some((step) => keys.test(step["Index Name"] ?? ""))).toBe(true)
          expect(looked(plan)).toBeLessThanOrEqual(perRow * (limit + 1) + aside)
        }
      }
    })
  }
})
