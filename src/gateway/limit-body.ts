import { bodyLimit } from "hono/body-limit"
import { DomainError } from "../domain/errors.ts"

const kibibyte = 1_024

// A description of 64 KB fits even when every character is escaped; a hundred tasks share one statement's parameter,
// and D1 takes no parameter beyond 2 MB.
export const defaultBodyLimit = 512 * kibibyte
export const bulkBodyLimit = 1_024 * kibibyte

/** 413 for a body of more than `maxBytes`, declared or not. */
export const limitBody = (maxBytes: number) =>
  bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new DomainError("too_large", `The body may have ${maxBytes} bytes at most`)
    },
  })
