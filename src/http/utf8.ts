import type { Context } from "hono"
import { DomainError, type FieldError, invalid } from "../domain/errors.ts"

/** As many broken fields are named; there may be as many as the body has strings. */
const namedAtMost = 20

/**
 * Refuses a body that is not UTF-8, which RFC 8259 asks of JSON: decoding would put U+FFFD where bytes were, and the
 * text that is stored would not be the one that was sent. Throws `invalid_input` with the fields that hold such bytes.
 */
export async function requireUtf8(c: Context): Promise<void> {
  const bytes = await c.req.arrayBuffer()
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    const errors = brokenFields(parse(new TextDecoder().decode(bytes)))
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

/** The first of them, in no particular order. By a list of what is left to see: a body may be nested deeper than calls. */
function brokenFields(body: unknown): FieldError[] {
  const errors: FieldError[] = []
  const left: { value: unknown; pointer: string }[] = [{ value: body, pointer: "" }]
  for (let next = left.pop(); next && errors.length < namedAtMost; next = left.pop()) {
    const { value, pointer } = next
    if (typeof value === "string" && isBroken(value)) errors.push({ pointer, detail: "is not valid UTF-8" })
    if (typeof value !== "object" || value === null) continue
    for (const [name, field] of Object.entries(value)) {
      if (isBroken(name)) errors.push({ pointer, detail: "has a name that is not valid UTF-8" })
      else left.push({ value: field, pointer: `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}` })
    }
  }
  return errors.slice(0, namedAtMost)
}
