import { DomainError } from "./errors.ts"

/** The revisions that the caller will accept to change; null for any. */
export type Expected = readonly number[] | null

/** Throws `precondition_failed` when the row is at another revision than the caller knows. */
export function expectRevision(expected: Expected, current: number): void {
  if (expected && !expected.includes(current)) {
    throw new DomainError("precondition_failed", `It is at revision ${current} by now`)
  }
}
