import { expect } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { explain } from "./database.ts"

// How Postgres ran a query, and what of our tables it looked at.

export type Plan = {
  "Node Type": string
  "Relation Name"?: string
  "Index Name"?: string
  "Index Cond"?: string
  "Actual Rows": number
  "Actual Loops": number
  "Rows Removed by Filter"?: number
  "Rows Removed by Index Recheck"?: number
  Plans?: Plan[]
}

const stepsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(stepsOf)]

export const planOf = async (queries: Query[]): Promise<Plan[]> => (await explain<Plan>(queries)).flatMap(stepsOf)

export const ours = (plan: Plan[]) => plan.filter((step) => step["Relation Name"] !== undefined)

/** How many rows of our tables were looked at, whether or not they were of use. */
export const looked = (plan: Plan[]): number =>
  ours(plan).reduce(
    (sum, step) =>
      sum +
      step["Actual Loops"] *
        (step["Actual Rows"] + (step["Rows Removed by Filter"] ?? 0) + (step["Rows Removed by Index Recheck"] ?? 0)),
    0,
  )

/** How a table with many rows may be read: by an index, within the workspace. */
export function expectSearchesOnly(plan: Plan[]): void {
  const many = /^(tasks|task_\w+|projects|project_members|events|comments|labels|invitations|api_keys)$/
  const scans = ours(plan).filter((step) => many.test(step["Relation Name"] ?? ""))
  expect(scans.filter((step) => !/^Index( Only)? Scan$/.test(step["Node Type"]))).toEqual([])
  expect(scans.filter((step) => !step["Index Cond"]?.includes("workspace_id"))).toEqual([])
}
