import { Validator } from "@seriousme/openapi-schema-validator"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Server, startServer } from "../support/server.ts"

type Parameter = { name: string; in: string; required?: boolean; schema: object }
type Operation = {
  operationId: string
  summary: string
  parameters: Parameter[]
  responses: Record<string, { $ref?: string }>
}
type Document = { openapi: string; paths: Record<string, Record<string, Operation>> }

let server: Server
let document: Document
let operations: { name: string; path: string; operation: Operation }[]

beforeAll(async () => {
  server = await startServer()
  const answer = await fetch(`${server.url}/openapi.json`)
  expect(answer.headers.get("content-type")).toBe("application/json")
  document = (await answer.json()) as Document
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
  )
})

afterAll(() => server?.stop())

/** The names of the operations for which something does not hold. */
const without = (holds: (operation: Operation, path: string) => boolean) =>
  operations.filter(({ operation, path }) => !holds(operation, path)).map(({ name }) => name)

function refsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, child]) =>
    name === "$ref" && typeof child === "string" ? [child] : refsIn(child),
  )
}

/** What a JSON Pointer (RFC 6901) names within the document. */
function resolve(ref: string): unknown {
  if (!ref.startsWith("#/")) return undefined
  const names = ref.slice(2).split("/")
  return names.reduce<unknown>((value, name) => {
    const key = decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~")
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined
  }, document)
}

describe("the served OpenAPI document", () => {
  it("is OpenAPI 3.1 to a validator that knows the specification", async () => {
    const validator = new Validator()
    // The validator resolves references in place, so it gets a copy.
    const { valid, errors } = await validator.validate(structuredClone(document))
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
    expect(validator.version).toBe("3.1")
  })

  it("has operations with a summary, a name of their own, a success and a refusal", () => {
    expect(operations.length).toBeGreaterThan(20)
    const names = operations.map(({ operation }) => operation.operationId)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    expect(without(({ operationId }) => /^[a-z]\w+$/i.test(operationId))).toEqual([])
    expect(without(({ summary }) => summary.trim().length > 5)).toEqual([])
    expect(without(({ responses }) => Object.keys(responses).some((status) => /^(?:2\d\d|101)$/.test(status)))).toEqual(
      [],
    )
    expect(without(({ responses }) => responses["default"]?.$ref === "#/components/responses/Problem")).toEqual([])
  })

  it("refers to nothing that it does not hold", () => {
    const refs = [...new Set(refsIn(document))]
    expect(refs).toContain("#/components/schemas/Task")
    expect(refs.filter((ref) => resolve(ref) === undefined)).toEqual([])
  })

  it("declares the parameters that its paths have, and no others", () => {
    const declared = ({ parameters }: Operation) =>
      parameters.filter((parameter) => parameter.in === "path" && parameter.required).map(({ name }) => name)
    const inPath = (path: string) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(without((operation, path) => declared(operation).join() === inPath(path).join())).toEqual([])
    expect(operations.some(({ operation }) => declared(operation).length > 0)).toBe(true)
  })
})
