import type { Hono } from "hono"
import * as z from "zod"
import { Problem } from "../contracts/common.ts"
import type { AppEnv } from "./context.ts"
import { type Contract, type Described, kContract } from "./contract.ts"
import { type Json, schemaOf } from "./schemas.ts"

type Operation = {
  operationId: string
  summary: string
  tags: string[]
  parameters: Json[]
  responses: Json
  [key: string]: unknown
}

/** The OpenAPI 3.1 document, read off the app's own routes: it cannot name a route that is not there. */
export function openApi(app: Hono<AppEnv>, version: string): Json {
  const schemas: Json = {}
  const paths: Record<string, Record<string, Operation>> = {}
  const contractsByEndpoint = Map.groupBy(
    app.routes.flatMap(({ method, path, handler }) => {
      const contract = (handler as Described)[kContract]
      return contract ? [{ method, path, contract }] : []
    }),
    ({ method, path }) => `${method} ${path}`,
  )
  for (const endpoint of contractsByEndpoint.values()) {
    const [{ method, path } = { method: "", path: "" }] = endpoint
    const template = path.replaceAll(/:(\w+)/g, "{$1}")
    paths[template] ??= {}
    paths[template][method.toLowerCase()] = describe(
      method,
      template,
      endpoint.map(({ contract }) => contract),
      schemas,
    )
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Edgewise",
      version,
      description: "A task-management backend at the edge.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ accessToken: [] }, { apiKey: [] }],
    paths,
    components: {
      schemas: { ...schemas, Problem: schemaOf(Problem, "output", schemas) },
      securitySchemes: {
        accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "Or as a bearer token" },
        operatorToken: { type: "http", scheme: "bearer", description: "OPERATOR_TOKEN, of whoever runs the instance" },
      },
      responses: {
        Problem: {
          description: "A refusal (RFC 9457)",
          content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
        },
      },
    },
  }
}

function describe(method: string, path: string, contracts: Contract[], schemas: Json): Operation {
  const area = path.split("/").find((part) => part && part !== "api" && part !== "v1") ?? "system"
  const operation: Operation = {
    operationId: `${method.toLowerCase()}${path.replace("/api/v1", "").replaceAll(/[/{}.-]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    summary: "",
    tags: [area],
    parameters: [],
    responses: { default: { $ref: "#/components/responses/Problem" } },
  }
  for (const contract of contracts) add(operation, contract, schemas)
  return operation
}

function add(operation: Operation, contract: Contract, schemas: Json): void {
  if (contract.kind === "header") {
    const { name, description } = contract
    operation.parameters.push({ name, in: "header", description, schema: { type: "string" } })
  } else if (contract.kind === "operation") {
    const { summary, description, status, output, isPublic, isForOperators } = contract
    operation.summary = summary
    if (description) operation["description"] = description
    if (isPublic) operation["security"] = []
    if (isForOperators) operation["security"] = [{ operatorToken: [] }]
    const content = output && { content: { "application/json": { schema: schemaOf(output, "output", schemas) } } }
    operation.responses[String(status)] = { description: summary, ...content }
  } else if (contract.target === "json") {
    const schema = schemaOf(contract.schema, "input", schemas)
    operation["requestBody"] = { required: !contract.isOptional, content: { "application/json": { schema } } }
  } else {
    operation.parameters.push(...parametersOf(contract.schema, contract.target))
  }
}

function parametersOf(schema: z.ZodType, target: "query" | "param"): Json[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as Json
    const isInPath = target === "param"
    return {
      name,
      in: isInPath ? "path" : "query",
      required: isInPath || required.includes(name),
      ...(description ? { description } : {}),
      schema: rest,
    }
  })
}
