import type { Context } from "hono"
import { HTTPException } from "hono/http-exception"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { CommitRefused } from "../db/commit.ts"
import { ReadOnly } from "../db/db.ts"
import { DbError, isTrouble } from "../db/errors.ts"
import { DomainError, type ErrorCode } from "../domain/errors.ts"
import { DeadlineExceeded } from "../lib/deadline.ts"
import { isObjectTrouble } from "../lib/object-trouble.ts"
import { HasherBusy } from "../lib/passwords.ts"
import type { AppEnv } from "./context.ts"

/** The one table from refusals to RFC 9457. */
export const problems = {
  malformed: { status: 400, title: "Malformed request" },
  unauthenticated: { status: 401, title: "Not signed in" },
  forbidden: { status: 403, title: "Not allowed" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  conflict: { status: 409, title: "Conflict with the present state" },
  already_done: { status: 409, title: "Already done" },
  precondition_failed: { status: 412, title: "Stale revision" },
  skipped: { status: 424, title: "Skipped" },
  too_large: { status: 413, title: "Body too large" },
  unsupported_media_type: { status: 415, title: "Unsupported media type" },
  invalid_input: { status: 422, title: "Invalid input" },
  upgrade_required: { status: 426, title: "WebSocket only" },
  rate_limited: { status: 429, title: "Too many requests" },
  unavailable: { status: 503, title: "Temporarily unavailable" },
} as const satisfies Record<ErrorCode, { status: ContentfulStatusCode; title: string }>

const typeOf = (code: string) =>
  code === "rate_limited"
    ? "https://iana.org/assignments/http-problem-types#quota-exceeded"
    : `urn:edgewise:problem:${code}`

export const instanceOf = (requestId: string) => `urn:edgewise:request:${requestId}`

/** Answers with a problem document for whatever was thrown. */
export function onError(error: Error, c: Context<AppEnv>): Response {
  const refusal = refusalOf(error)
  const document = problemOf(c, refusal)
  if (refusal?.code === "unauthenticated") c.header("www-authenticate", challenge(c))
  if (refusal && refusal.retryAfter !== null) c.header("retry-after", String(Math.ceil(refusal.retryAfter)))
  c.header("cache-control", "no-store")
  // Through c.body, not Response.json, so that headers set before the throw (RateLimit, Allow) survive.
  return c.body(JSON.stringify(document), document.status, { "content-type": "application/problem+json" })
}

/** The document that tells of a refusal; null for what nobody foresaw. */
export function problemOf(c: Context<AppEnv>, refusal: DomainError | null) {
  const code = refusal?.code ?? "internal"
  const { status, title } = refusal ? problems[refusal.code] : { status: 500 as const, title: "Internal error" }
  return {
    type: typeOf(code),
    title,
    status,
    code,
    // The log has the rest, under the request's id.
    detail: refusal?.message ?? "Something went wrong on our side; quote the instance when you report it",
    instance: instanceOf(c.var.requestId),
    ...(refusal && refusal.errors.length > 0 && { errors: refusal.errors }),
    ...refusal?.versions,
  }
}

const retryShortly = { retryAfter: 2 }

/** What an error means to the caller; null for what nobody foresaw. */
export function refusalOf(error: unknown): DomainError | null {
  if (error instanceof DomainError) return error
  if (error instanceof HTTPException) return ofHono(error)
  if (error instanceof CommitRefused)
    return new DomainError("conflict", "It does not fit what is there by now", { cause: error })
  if (error instanceof ReadOnly) return readOnly(error)
  if (error instanceof HasherBusy || error instanceof DeadlineExceeded) return busy(error)
  if (error instanceof DbError && isTrouble(error.fault)) return busy(error)
  if (isObjectTrouble(error)) return busy(error)
  return null
}

const readOnly = (cause: unknown) =>
  new DomainError("unavailable", "This instance is read-only for the moment; nothing was written", {
    retryAfter: 60,
    cause,
  })

const busy = (cause: unknown) =>
  new DomainError(
    "unavailable",
    "Too busy at the moment; whether a write was done is unknown, so repeat it with the same Idempotency-Key",
    {
      ...retryShortly,
      cause,
    },
  )

function ofHono(error: HTTPException): DomainError | null {
  if (error.status === 400) return new DomainError("malformed", "The body is not JSON", { cause: error })
  return null
}

/** RFC 6750, section 3. */
const challenge = (c: Context) =>
  c.req.header("authorization") ? 'Bearer realm="edgewise", error="invalid_token"' : 'Bearer realm="edgewise"'
