import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { execute, explain } from "../support/database.ts"
import { alias, asked, buildRelatedWorkspace, task } from "../support/related-workspace.ts"
import { nthTask } from "../support/seed.ts"

beforeAll(async () => {
  await buildRelatedWorkspace()
  await execute("analyze")
})

type Plan = {
  "Node Type": string
  "Relation Name"?: string
  "Index Name"?: string
  "Index Cond"?: string
  "Actual Rows": number
  "Actual Loops": number
  "Rows Removed by Filter"?: number
  Plans?: Plan[]
}

const stepsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(stepsOf)]

/** The steps that read our large tables, each by an index within the workspace; how many rows they looked at in all. */
async function expectSearches(statements: Query[]): Promise<{ indexes: string[]; looked: number }> {
  const steps = (await explain<Plan>(statements)).flatMap(stepsOf)
  const many = /^(tasks|task_relations|task_aliases|task_followers|projects|favourites)$/
  const ours = steps.filter((step) => many.test(step["Relation Name"] ?? ""))
  const run = ours.filter((step) => step["Actual Loops"] > 0)
  expect(run.filter((step) => !/^Index( Only)? Scan$/.test(step["Node Type"]))).toEqual([])
  expect(run.filter((step) => !step["Index Cond"]?.includes("workspace_id"))).toEqual([])
  const looked = run.reduce(
    (sum, step) => sum + step["Actual Loops"] * (step["Actual Rows"] + (step["Rows Removed by Filter"] ?? 0)),
    0,
  )
  return { indexes: run.map((step) => step["Index Name"] ?? ""), looked }
}

describe("among 20,000 related tasks", () => {
  it("the relations of one are found from both ends by their own indexes", async () => {
    const { body, statements } = await asked((ada) => ada.get(`/api/v1/tasks/${task}/relations`))
    expect(body.data).toHaveLength(2)
    const { indexes, looked } = await expectSearches(statements)
    expect(indexes).toContain("task_relations_other")
    expect(indexes.some((name) => /^task_relations_workspace_id/.test(name))).toBe(true)
    expect(looked).toBeLessThanOrEqual(20)
  })

  it("a task is found by a key that it once had, with what its viewer asks for", async () => {
    const { body, statements } = await asked((ada) =>
      ada.get(`/api/v1/tasks/${alias}?include=progress,following,project`),
    )
    expect(body).toMatchObject({ id: nthTask(1), progress: { total: 3, done: 0 }, isFollowed: false })
    expect((await expectSearches(statements)).looked).toBeLessThanOrEqual(20)
  })
})

describe("among 20,000 tasks in their order", () => {
  it("a task is put beside another one by what stands next to it", async () => {
    await asked((ada) => ada.patch(`/api/v1/tasks/${nthTask(10)}`, { position: "Zz" }))
    const { statements } = await asked((ada) =>
      ada.put(`/api/v1/tasks/${nthTask(19_000)}/position`, { after: nthTask(10) }),
    )
    const { indexes, looked } = await expectSearches(statements.filter(({ text }) => /^\s*select/i.test(text)))
    expect(indexes).toContain("tasks_project_position")
    expect(looked).toBeLessThanOrEqual(30)
  })
})

describe("among 5,000 favourites of others", () => {
  it("one's own are read by the page", async () => {
    for (const limit of [1, 50, 200]) {
      const { body, statements } = await asked((ada) => ada.get(`/api/v1/me/favourites?limit=${limit}`))
      expect(body.data).toHaveLength(limit)
      const next = await asked((ada) => ada.get(`/api/v1/me/favourites?limit=${limit}&cursor=${body.next}`))
      for (const queries of [statements, next.statements]) {
        const { indexes, looked } = await expectSearches(queries)
        expect(indexes.some((name) => /^favourites_/.test(name))).toBe(true)
        // The page, the look ahead to fill it, and their projects twice.
        expect(looked).toBeLessThanOrEqual(1_000 + 2 * (limit + 1) + 20)
      }
    }
  })
})
