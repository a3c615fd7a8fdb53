import * as z from "zod"
import { byteLength } from "../lib/bytes.ts"
import { type IdKind, idPattern, idPrefixes } from "../lib/ids.ts"

/** Text that every part of the system can store and send: no NUL, no half of a surrogate pair. */
const isStorable = (value: string) => value.isWellFormed() && !value.includes("\0")

const storable = () =>
  z.string().refine(isStorable, { error: "must not contain NUL or unpaired surrogates", abort: true })

const characters = (value: string) => [...value].length

/** Text of `min` to `max` characters (Unicode code points, as JSON Schema counts them). */
export const text = (min: number, max: number) =>
  storable()
    .refine((value) => characters(value) >= min, {
      error: min === 1 ? "must not be empty" : `must have at least ${min} characters`,
    })
    .refine((value) => characters(value) <= max, { error: `must have at most ${max} characters` })
    .meta({ minLength: min, maxLength: max })

/** A line that people read in lists: trimmed, not empty. */
export const line = (max: number) => z.string().trim().pipe(text(1, max))

/** Markdown of at most `maxBytes` bytes in UTF-8. */
export const markdown = (maxBytes: number) =>
  storable()
    .refine((value) => byteLength(value) <= maxBytes, { error: `must have at most ${maxBytes} bytes in UTF-8` })
    .meta({ description: `Markdown, at most ${maxBytes} bytes in UTF-8` })

/** An id in a body or a query: what is not one is 422. */
export const id = (kind: IdKind) => z.string().regex(idPattern(kind), { error: `must be the id of a ${kind}` })

/** An id that whoever makes the thing may choose. */
export const chosenId = (kind: IdKind) =>
  id(kind)
    .optional()
    .meta({
      description: `A TypeID (${idPrefixes[kind]}_ and a UUIDv7) of your own, so that you can name it before it is there; made here when omitted`,
    })

/** Refuses an id that is chosen twice in one list. */
export function refuseTwinIds({ value, issues }: z.core.ParsePayload<{ id?: string | undefined }[]>): void {
  const chosen = value.map(({ id }) => id)
  for (const [index, named] of chosen.entries()) {
    if (named !== undefined && chosen.indexOf(named) < index) {
      issues.push({ code: "custom", input: named, path: [index, "id"], message: "is there twice" })
    }
  }
}

/** An id in a path: what is not one names nothing, so the verb says 404. */
export const pathId = (kind: IdKind) => z.string().meta({ description: `Id of a ${kind}` })

export const Time = z.iso.datetime().meta({ description: "RFC 3339, in UTC" })

// Years of four digits from 1000 on: what every client parses.
const sinceYear1000 = (value: string) => value >= "1000"
const yearError = { error: "must be in the year 1000 or later" }

/** RFC 3339 with any offset. */
export const instant = () =>
  z.iso
    .datetime({ offset: true, error: "must be a time in RFC 3339, such as 2026-01-31T09:00:00Z" })
    .refine(sinceYear1000, yearError)

export const calendarDate = () =>
  z.iso.date({ error: "must be a date, such as 2026-01-31" }).refine(sinceYear1000, yearError)

export const Revision = z.int().min(1).meta({ description: "Grows by one with each change of the row" })

/** The revision that a change was written against, for it to be merged with what has happened since. */
export const Base = Revision.optional().meta({
  description:
    "The revision that you changed: what others have changed since then is kept, field by field. Not with revision or If-Match",
})

export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: "Stable; what a program should look at" }),
    detail: z.string(),
    instance: z.string().meta({ description: "urn:edgewise:request:<request id>" }),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    base: Revision.optional().meta({ description: "With a conflict of two versions: what yours was written against" }),
    current: z.record(z.string(), z.unknown()).optional().meta({ description: "The row as it stands" }),
    yours: z.record(z.string(), z.unknown()).optional().meta({ description: "The fields as you wanted them" }),
    overlapping: z.array(z.string()).optional().meta({ description: "The fields that others have changed, too" }),
  })
  .meta({
    id: "Problem",
    description: "RFC 9457. `errors[].pointer` is a JSON Pointer into the body, or `?name` for a query parameter",
  })

export const page = <Item extends z.ZodType>(item: Item) =>
  z.object({
    data: z.array(item),
    next: z.string().nullable().meta({
      description: "Cursor of the next page, null at the end. A page may be short or empty and still have a next one",
    }),
  })

export const Limit = z.coerce
  .number({ error: "must be a number" })
  .int()
  .min(1)
  .max(200)
  .default(50)
  .meta({ description: "Rows per page, 1 to 200" })

export const Cursor = z.string().max(1_000).meta({ description: "`next` of the page before" })

/** `a,b,c` as a list of known words. */
export const words = <const Word extends string>(known: readonly [Word, ...Word[]]) =>
  z
    .string()
    .transform((value) => value.split(","))
    .pipe(z.array(z.enum(known)).min(1))
    .transform((list) => [...new Set(list)])
    .meta({ description: `Comma-separated: ${known.join(", ")}` })

type Direction<Word extends string> = Word | `-${Word}`

/** A word of the list, or with a minus sign before it for descending order. */
export const sortBy = <const Word extends string>(known: readonly [Word, ...Word[]]) =>
  z.enum(known.flatMap((word) => [word, `-${word}`]) as unknown as [Direction<Word>, ...Direction<Word>[]])
