import { describe, inject, it } from "vitest"

// Stands for the tests against a real Redis on a machine without one: reported by name, and never silent.
describe("every test of limits on Upstash", () => {
  it.skip(`needs ${inject("redisMissing")}`)
})
