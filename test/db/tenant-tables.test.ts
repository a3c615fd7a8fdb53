import { type PgTable, getTableConfig as pgConfig } from "drizzle-orm/pg-core"
import { describe, expect, it } from "vitest"
import * as postgres from "../../src/db/postgres.ts"
import { tenantTables } from "../../src/db/tenant-tables.ts"
import { configs, ofWorkspaces } from "../support/whole-workspace.ts"

const names = tenantTables.map(([name]) => name)
const onPostgres = Object.entries(postgres).map(([name, table]) => ({ ...pgConfig(table as PgTable), name }))

describe("the tables of a workspace", () => {
  it("are all that have a workspace's id, but for those of the directory", () => {
    const expected = ofWorkspaces.map(({ name }) => name).filter((name) => !["memberships", "invitees"].includes(name))
    expect([...names].sort()).toEqual(expected.sort())
    expect(new Set(names).size).toBe(names.length)
    const elsewhere = configs.map(({ name }) => name).filter((name) => !(names as string[]).includes(name))
    expect(elsewhere.sort()).toEqual(
      ["identities", "invitees", "jobs", "memberships", "userEvents", "users", "workspaces"].sort(),
    )
  })

  it("are told with their primary keys, as both databases have them", () => {
    for (const [name, key] of tenantTables) {
      const columns = ["workspaceId", ...key].map((field) =>
        field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      )
      for (const all of [configs, onPostgres]) {
        const config = all.find((each) => each.name === name)
        const composite = config?.primaryKeys.flatMap((primary) => primary.columns.map((column) => column.name)) ?? []
        const single = config?.columns.filter(({ primary }) => primary).map((column) => column.name) ?? []
        expect([...composite, ...single], name).toEqual(columns)
      }
    }
  })

  it("stand before the tables that they refer to", () => {
    for (const { name: child, foreignKeys } of ofWorkspaces) {
      for (const foreign of foreignKeys) {
        const [column] = foreign.reference().foreignColumns
        const parent = configs.find(({ columns }) => columns.some((each) => each === column))?.name
        const at = (name?: string) => (names as string[]).indexOf(name ?? "")
        expect(at(child), `${child} before ${parent}`).toBeLessThan(at(parent))
      }
    }
    expect(names.at(-1)).toBe("profiles")
  })
})
