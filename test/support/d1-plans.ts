import { expect } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { rowsOf } from "./database.ts"

// How SQLite is going to run a query.

export async function planOf(statements: Query[]): Promise<string[]> {
  const explained = await Promise.all(
    statements.map(({ text, values }) => rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values)),
  )
  return explained.flatMap((steps) => steps.map(({ detail }) => detail))
}

// Subqueries in the order in which another search yields them, and JSON parameters.
const harmless = /^SCAN (entry|page|assignee|label|owned|\(subquery-\d+\)|json_each VIRTUAL TABLE.*|CONSTANT ROW)$/

export function expectSearchesOnly(plan: string[]): void {
  expect(plan.filter((step) => step.startsWith("SCAN ") && !harmless.test(step))).toEqual([])
  expect(plan.filter((step) => /TEMP B-TREE|AUTOMATIC/.test(step))).toEqual([])
  // Nothing is looked for outside the workspace.
  const searches = plan.filter((step) => step.startsWith("SEARCH "))
  expect(searches.filter((step) => !/ USING (COVERING )?INDEX \w+ \(workspace_id=\?/.test(step))).toEqual([])
}
