import { beforeAll, describe, expect, it } from "vitest"
import type { Query } from "../../src/db/engine.ts"
import { rowsOf } from "../support/database.ts"
import { acceptanceOfUnknown, buildManyInvitations, listings } from "../support/many-invitations.ts"

beforeAll(buildManyInvitations)

async function planOf(statements: Query[]): Promise<string[]> {
  const explained = await Promise.all(
    statements.map(({ text, values }) => rowsOf<{ detail: string }>(`explain query plan ${text}`, ...values)),
  )
  return explained.flatMap((steps) => steps.map(({ detail }) => detail))
}

const isHarmless = (step: string) => /^(SCAN j VIRTUAL TABLE|(CORRELATED )?SCALAR SUBQUERY|SEARCH )/.test(step)

describe("lists of invitations among many", () => {
  it("read their page by their index, and sort nothing", async () => {
    for await (const { path, statements, data, trips, rowsRead, limit } of listings()) {
      expect(data, path).toHaveLength(limit)
      const isMine = path.includes("/me/")
      expect(trips).toBe(isMine ? 2 : 1)
      const plan = await planOf(statements)
      expect(plan.filter((step) => !isHarmless(step))).toEqual([])
      const searches = plan.filter((step) => step.startsWith("SEARCH invit"))
      const wanted = isMine
        ? [
            /^SEARCH invitees USING .*autoindex_invitees_1 /,
            /^SEARCH invitations USING .* \(workspace_id=\? AND (id|email)=\?\)/,
          ]
        : [/^SEARCH invitations USING .*invitations_pending \(workspace_id=\?/]
      expect(searches, plan.join("\n")).toHaveLength(wanted.length)
      for (const [n, search] of searches.entries()) expect(search).toMatch(wanted[n] ?? /^$/)
      // An entry, its invitation and its workspace; and what names the person.
      expect(rowsRead, path).toBeLessThanOrEqual((limit + 1) * (isMine ? 4 : 2) + 5)
    }
  })

  it("are looked into by address for one id", async () => {
    const plan = await planOf(await acceptanceOfUnknown())
    expect(plan.filter((step) => !isHarmless(step))).toEqual([])
    expect(
      plan.some((step) => /^SEARCH invitees USING COVERING INDEX .*\(email=\?/.test(step)),
      plan.join("\n"),
    ).toBe(true)
  })
})
