import { DomainError } from "./errors.ts"

/** The revisions that the caller will accept to change; null for any. */
export type Expected = readonly number[] | null

/** What the caller knows of a row: which revisions they insist on, or the one on which theirs is to be merged. */
export type Known = Expected | { base: number }

export const baseOf = (known: Known): number | null => (known && "base" in known ? known.base : null)

/** Throws `precondition_failed` when the row is at another revision than the caller insists on. */
export function expectRevision(known: Known, current: number): void {
  if (known && !("base" in known) && !known.includes(current)) {
    throw new DomainError("precondition_failed", `It is at revision ${current} by now`)
  }
}
