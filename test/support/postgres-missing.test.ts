import { describe, inject, it } from "vitest"

// Stands for the whole suite on a machine where the embedded server cannot start: reported by name, and never silent.
describe("every test of the worker, on Postgres", () => {
  it.skip(`needs the embedded server, which did not start here: ${inject("postgresMissing")}`)
})
