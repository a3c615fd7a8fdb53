import type { Context } from "hono"
import { DomainError, type FieldError, invalid } from "../domain/errors.ts"

/**
 * Refuses a body that is not UTF-8, which RFC 8259 asks of JSON: decoding would put U+FFFD where bytes were, and the
 * text that is stored would not be the one that was sent. Throws `invalid_input` with the fields that hold such bytes.
 */
export async function requireUtf8(c: Context): Promise<void> {
  const bytes = await c.req.arrayBuffer()
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    const errors = brokenFields(parse(new TextDecoder().decode(bytes)), "")
    if (errors.length > 0) throw invalid(...errors)
    throw new DomainError("malformed", "The body is not UTF-8", { cause })
  }
}

/** What can be read of the body; undefined when even that is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isBroken = (text: string) => text.includes("\uFFFD")

function brokenFields(value: unknown, pointer: string): FieldError[] {
  if (typeof value === "string") return isBroken(value) ? [{ pointer, detail: "is not valid UTF-8" }] : []
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, field]) =>
    isBroken(name)
      ? [{ pointer, detail: "has a name that is not valid UTF-8" }]
      : brokenFields(field, `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`),
  )
}
