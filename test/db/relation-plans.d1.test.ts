import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { rowsOf } from "../support/database.ts"
import { alias, asked, buildRelatedWorkspace, task } from "../support/related-workspace.ts"
import { nthProject, nthTask } from "../support/seed.ts"

beforeAll(buildRelatedWorkspace)

async function planOf(statements: Query[]): Promise<string[]> {
  const explained = await Promise.all(
    statements.map(({ text, values }) => rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values)),
  )
  return explained.flatMap((steps) => steps.map(({ detail }) => detail))
}

// Subqueries, the rows of a recursion, JSON parameters.
const harmless =
  /^SCAN (entry|page|assignee|label|relation|a|b|q|c|up|down|w|beyond|way|below|above|blind|j|\(subquery-\d+\)|json_each VIRTUAL TABLE.*|c VIRTUAL TABLE.*|j VIRTUAL TABLE.*|CONSTANT ROW|\d+ CONSTANT ROWS?)$/

/** Each table by an index, within the workspace. */
async function expectSearches(statements: Query[]): Promise<string[]> {
  const steps = await planOf(statements)
  // Of what a recursion has found, a thousand rows at most, SQLite may make an index of its own.
  const plan = steps.filter((step) => !/^SEARCH (w|way|beyond|up|down|below|blind) USING AUTOMATIC/.test(step))
  expect(plan.filter((step) => step.startsWith("SCAN ") && !harmless.test(step)).join("\n")).toBe("")
  expect(plan.filter((step) => /AUTOMATIC/.test(step)).join("\n")).toBe("")
  const searches = plan.filter((step) => step.startsWith("SEARCH "))
  expect(searches.filter((step) => !/ USING (COVERING )?INDEX \w+ \(workspace_id=\?/.test(step)).join("\n")).toBe("")
  return searches
}

describe("among 20,000 related tasks", () => {
  it("the relations of one are found from both ends by their own indexes", async () => {
    const { body, cost, statements } = await asked((ada) => ada.get(`/api/v1/tasks/${task}/relations`))
    expect(body.data).toHaveLength(2)
    expect(cost.trips).toBe(1)
    expect(cost.read).toBeLessThanOrEqual(20)
    const searches = (await expectSearches(statements)).join("\n")
    expect(searches).toContain("sqlite_autoindex_task_relations_1 (workspace_id=? AND task_id=?)")
    expect(searches).toContain("task_relations_other (workspace_id=? AND other_id=?)")
  })

  it("relating follows what there is, and reads no more", async () => {
    const { cost, statements } = await asked((ada) =>
      ada.put(`/api/v1/tasks/${nthTask(19_990)}/relations/blocks/${nthTask(19_995)}`),
    )
    expect(cost.trips).toBe(2)
    expect(cost.read).toBeLessThanOrEqual(120)
    await expectSearches(statements.filter(({ text }) => !/^\s*insert into "?heads/i.test(text)))
  })

  it("a task is found by a key that it once had, with what its viewer asks for", async () => {
    const { body, cost, statements } = await asked((ada) =>
      ada.get(`/api/v1/tasks/${alias}?include=progress,following,project`),
    )
    expect(body).toMatchObject({ id: nthTask(1), progress: { total: 3, done: 0 }, isFollowed: false })
    expect(cost.read).toBeLessThanOrEqual(20)
    await expectSearches(statements)
  })

  it("a task is put beside another one by what stands next to it", async () => {
    await asked((ada) => ada.patch(`/api/v1/tasks/${nthTask(10)}`, { position: "Zz" }))
    const { cost, statements } = await asked((ada) =>
      ada.put(`/api/v1/tasks/${nthTask(19_000)}/position`, { after: nthTask(10) }),
    )
    expect([cost.trips, cost.read <= 100]).toEqual([2, true])
    const reading = statements.filter(({ text }) => !/^\s*insert into "?heads/i.test(text))
    expect((await expectSearches(reading)).join("\n")).toContain(
      "tasks_project_position (workspace_id=? AND project_id=?",
    )
  })

  it("a task is hung elsewhere by climbing from its new parent", async () => {
    const { cost, statements } = await asked((ada) =>
      ada.patch(`/api/v1/tasks/${nthTask(19_999)}`, { parentId: nthTask(19_000) }),
    )
    expect(cost.trips).toBe(2)
    expect(cost.read).toBeLessThanOrEqual(100)
    await expectSearches(statements.filter(({ text }) => !/^\s*insert into "?heads/i.test(text)))
  })

  it("a task is created beside thousands of projects that it does not read", async () => {
    const input = { projectId: nthProject(9), title: "New" }
    const { cost } = await asked((ada) => ada.post("/api/v1/tasks", { ...input, assigneeIds: [ada.userId] }))
    expect(cost.trips).toBe(1)
    expect(cost.read).toBeLessThanOrEqual(60)
  })

  it("a task moves with what hangs under it, and nothing else is read", async () => {
    const { cost, statements } = await asked((ada) =>
      ada.put(`/api/v1/tasks/${nthTask(6_000)}/project`, { projectId: nthProject(7) }),
    )
    expect(cost.trips).toBe(2)
    expect(cost.read).toBeLessThanOrEqual(200)
    expect(cost.written).toBeLessThanOrEqual(80)
    await expectSearches(statements.filter(({ text }) => !/^\s*insert into "?heads/i.test(text)))
  })
})

describe("among 5,000 favourites of others", () => {
  it("one's own are read by the page", async () => {
    for (const limit of [1, 50, 200]) {
      const { body, cost, statements } = await asked((ada) => ada.get(`/api/v1/me/favourites?limit=${limit}`))
      expect(body.data).toHaveLength(limit)
      expect(cost.trips).toBe(1)
      expect(cost.read).toBeLessThanOrEqual(4 * (limit + 1) + 20)
      const next = await asked((ada) => ada.get(`/api/v1/me/favourites?limit=${limit}&cursor=${body.next}`))
      expect(next.cost.read).toBeLessThanOrEqual(4 * (limit + 1) + 20)
      const searches = await expectSearches([...statements, ...next.statements])
      expect(searches.join("\n")).toContain(
        "sqlite_autoindex_favourites_1 (workspace_id=? AND user_id=? AND project_id>?)",
      )
    }
  })
})
