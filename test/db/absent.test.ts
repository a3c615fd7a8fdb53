import { describe, expect, it } from "vitest"
import { d1Database, postgresDatabase } from "../../src/db/absent.ts"

describe("a Worker that was built for the other database", () => {
  it("says which binding is wrong, and with what to deploy", () => {
    expect(() => postgresDatabase("postgres://x")).toThrow(/^HYPERDRIVE: .* wrangler.postgres.toml$/)
    expect(() => d1Database({} as D1Database)).toThrow(/^DB: .* wrangler.toml$/)
  })
})
