/** Every way in which the system refuses. http/problem.ts says what each is on the wire. */
export type ErrorCode =
  | "malformed"
  | "invalid_input"
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "conflict"
  | "skipped"
  | "already_done"
  | "precondition_failed"
  | "too_large"
  | "unsupported_media_type"
  | "upgrade_required"
  | "rate_limited"
  | "unavailable"

/** `pointer` is a JSON Pointer into the body, or `?name` for a query parameter, or a header's name. */
export type FieldError = { pointer: string; detail: string }

/** Two versions of one row that cannot both hold: the fields that both sides have changed, and what each wants. */
export type Versions = {
  base: number
  current: Record<string, unknown>
  yours: Record<string, unknown>
  overlapping: string[]
}

type Details = {
  errors?: FieldError[]
  /** When another try may succeed, in seconds from now. */
  retryAfter?: number
  versions?: Versions
  cause?: unknown
}

export class DomainError extends Error {
  override name = "DomainError"
  readonly code: ErrorCode
  readonly errors: FieldError[]
  readonly retryAfter: number | null
  readonly versions: Versions | null

  constructor(code: ErrorCode, detail: string, { errors = [], retryAfter, versions, cause }: Details = {}) {
    super(detail, { cause })
    this.code = code
    this.errors = errors
    this.retryAfter = retryAfter ?? null
    this.versions = versions ?? null
  }
}

export const notFound = (what: string) => new DomainError("not_found", `There is no such ${what}`)

export const invalid = (...errors: FieldError[]) =>
  new DomainError("invalid_input", "The request is well-formed, but some of it is not as it must be", { errors })

export const invalidApiKey = (cause?: unknown) => new DomainError("unauthenticated", "Invalid API key", { cause })

export const noLongerMember = (cause: unknown) =>
  new DomainError("forbidden", "You are no longer a member of this workspace", { cause })
