import { bodyLimit } from "hono/body-limit"
import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"

const kibibyte = 1_024

// A description of 64 KB fits even when every character is escaped; a hundred tasks share one statement's parameter,
// and D1 takes no parameter beyond 2 MB.
export const defaultBodyLimit = 512 * kibibyte
export const bulkBodyLimit = 1_024 * kibibyte

const limitTo = (maxBytes: number) =>
  bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new DomainError("too_large", `The body may have ${maxBytes} bytes at most`)
    },
  })

/** 413 for a body of more bytes than its path may have, declared or not. `bulk`: the paths of many things at once. */
export const limitBody = (bulk: string[]) => {
  const [most, more] = [limitTo(defaultBodyLimit), limitTo(bulkBodyLimit)]
  return createMiddleware((c, next) => (bulk.includes(c.req.path) ? more(c, next) : most(c, next)))
}
