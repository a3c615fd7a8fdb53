import { zValidator } from "@hono/zod-validator"
import type { Context, MiddlewareHandler } from "hono"
import type * as z from "zod"
import { DomainError, type FieldError } from "../domain/errors.ts"
import { requireUtf8 } from "./utf8.ts"

// What an endpoint takes and gives is said by the middleware that checks it; http/openapi.ts reads it off the routes.

export const kContract: unique symbol = Symbol("contract")

export type Contract =
  | {
      kind: "operation"
      summary: string
      status: number
      output: z.ZodType | null
      isPublic: boolean
      isCached: boolean
      isForOperators: boolean
      description?: string
    }
  | { kind: "input"; target: "json" | "query" | "param"; schema: z.ZodType; isOptional: boolean }
  | { kind: "header"; name: string; description: string }

export type Described = { [kContract]?: Contract }

const tagged = <T extends object>(handler: T, contract: Contract): T & Described =>
  Object.assign(handler, { [kContract]: contract })

/** What a handler says of its endpoint, if it is the `operation` that every endpoint has. */
export function operationOf(handler: object): Extract<Contract, { kind: "operation" }> | null {
  const contract = (handler as Described)[kContract]
  return contract?.kind === "operation" ? contract : null
}

type OperationOptions = { isPublic?: boolean; description?: string; isCached?: boolean; isForOperators?: boolean }

/** Names an operation and its success. `output` null: the answer has no body. */
export function operation(
  summary: string,
  output: z.ZodType | null = null,
  status = output ? 200 : 204,
  { isPublic = false, isCached = false, isForOperators = false, description }: OperationOptions = {},
) {
  const passThrough: MiddlewareHandler = (_c, next) => next()
  return tagged(passThrough, {
    kind: "operation",
    summary,
    status,
    output,
    isPublic,
    isCached,
    isForOperators,
    ...(description && { description }),
  })
}

/**
 * An operation that tells only what stands in the active workspace's rows, so that the same caller is told the same as
 * long as its log does not grow. What it tells must not depend on the clock, on the directory, or on anything that is
 * written without an event.
 */
export const cachedOperation = (summary: string, output: z.ZodType, options: OperationOptions = {}) =>
  operation(summary, output, 200, { ...options, isCached: true })

/** A request header that an endpoint understands. */
export function header(name: string, description: string) {
  const passThrough: MiddlewareHandler = (_c, next) => next()
  return tagged(passThrough, { kind: "header", name, description })
}

/** The JSON body. 415 for another media type, 400 for what is not JSON, 422 for what is not UTF-8 or not of the schema. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  const validate = zValidator("json", schema, (result) => refuse(result, "/"))
  const handler: typeof validate = async (c, next) => {
    requireJson(c)
    await requireUtf8(c)
    return validate(c, next)
  }
  return tagged(handler, { kind: "input", target: "json", schema, isOptional: false })
}

/** A JSON body that may be left out altogether, which means `{}`. */
export function optionalBody<Schema extends z.ZodType>(schema: Schema) {
  const given = body(schema)
  const handler: typeof given = async (c, next) => {
    const isAbsent = c.req.raw.body === null || c.req.header("content-length") === "0"
    if (!isAbsent) return given(c, next)
    c.req.addValidatedData("json", schema.parse({}) as object)
    return next()
  }
  return tagged(handler, { kind: "input", target: "json", schema, isOptional: true })
}

export function query<Schema extends z.ZodType>(schema: Schema) {
  const handler = zValidator("query", schema, (result) => refuse(result, "?"))
  return tagged(handler, { kind: "input", target: "query", schema, isOptional: true })
}

export function params<Schema extends z.ZodType>(schema: Schema) {
  const handler = zValidator("param", schema, (result) => refuse(result, "/"))
  return tagged(handler, { kind: "input", target: "param", schema, isOptional: false })
}

const jsonMediaType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i

function requireJson(c: Context): void {
  if (jsonMediaType.test(c.req.header("content-type") ?? "")) return
  throw new DomainError("unsupported_media_type", "Send application/json (or application/merge-patch+json)")
}

type Result = { success: true } | { success: false; error: { issues: readonly z.core.$ZodIssue[] } }

function refuse(result: Result, prefix: "/" | "?"): void {
  if (result.success) return
  const errors = result.error.issues.flatMap((issue) => fieldErrors(issue, prefix))
  throw new DomainError("invalid_input", "The request is well-formed, but some of it is not as it must be", { errors })
}

function fieldErrors(issue: z.core.$ZodIssue, prefix: "/" | "?"): FieldError[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ pointer: pointerTo([...issue.path, key], prefix), detail: "is not known here" }))
  }
  return [{ pointer: pointerTo(issue.path, prefix), detail: issue.message }]
}

/** RFC 6901 for bodies; `?name` for query parameters. */
const pointerTo = (path: readonly PropertyKey[], prefix: "/" | "?") =>
  prefix === "?"
    ? `?${String(path[0] ?? "")}`
    : path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")
