import { type SQL, sql } from "drizzle-orm"
import type { Place } from "../db/scan.ts"
import { fromBase64Url, toBase64Url, utf8 } from "../lib/bytes.ts"
import { fnv1a } from "../lib/hash.ts"
import { invalid } from "./errors.ts"

export type Direction = "asc" | "desc"

/** What a list may examine in all, the page itself not counted. */
export const examinedRows = 1_000

/** `-due` → due, descending. */
export function parseSort<Sort extends string>(sort: Sort | `-${Sort}`): { by: Sort; direction: Direction } {
  return sort.startsWith("-")
    ? { by: sort.slice(1) as Sort, direction: "desc" }
    : { by: sort as Sort, direction: "asc" }
}

// A cursor says for which list it was made; for another it is refused rather than misread.

export function formatCursor(list: string, { k, id }: Place): string {
  return toBase64Url(utf8(JSON.stringify([fnv1a(list), k, id])))
}

/** The place that a cursor names. `keyType` is the type of the list's sort key. */
export function parseCursor(list: string, keyType: "string" | "number", cursor: string | undefined): Place | null {
  if (cursor === undefined) return null
  const bytes = fromBase64Url(cursor)
  const parts = bytes && parseJson(new TextDecoder().decode(bytes))
  if (!Array.isArray(parts) || parts.length !== 3) throw broken("is not a cursor")
  const [mark, k, id] = parts as unknown[]
  if (mark !== fnv1a(list)) throw broken("belongs to another list")
  if (typeof k !== keyType || typeof id !== "string") throw broken("is not a cursor")
  const place = { k: k as Place["k"], id }
  if (!isPlain(place.k) || !isPlain(id)) throw broken("is not a cursor")
  return place
}

const broken = (detail: string) => invalid({ pointer: "?cursor", detail })

/** What every database takes for a sort key. */
const isPlain = (part: string | number) =>
  typeof part === "string" ? part.isWellFormed() && !part.includes("\0") : Number.isSafeInteger(part)

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What a list is ordered by. The id breaks ties in the same direction; `key` is null when the id alone orders. */
export type Order = { key: SQL | null; id: SQL; direction: Direction }

/** The rows beyond a place, in the direction of the list. */
export function beyond({ key, id, direction }: Order, place: Place | null): SQL {
  if (!place) return sql`true`
  const operator = direction === "asc" ? sql`>` : sql`<`
  return key ? sql`(${key}, ${id}) ${operator} (${place.k}, ${place.id})` : sql`${id} ${operator} ${place.id}`
}

export function orderBy({ key, id, direction }: Order): SQL {
  const way = direction === "asc" ? sql`asc` : sql`desc`
  return key ? sql`${key} ${way}, ${id} ${way}` : sql`${id} ${way}`
}

type PlacedRow = { k: string | number; id: string; isBoundary: number }

/** Cuts what a scan brought into a page and the place where the next one starts. */
export function cutPage<Row extends PlacedRow>(
  rows: Row[],
  limit: number,
  direction: Direction,
): { rows: Row[]; next: Place | null } {
  const sign = direction === "asc" ? 1 : -1
  const found = rows.filter((row) => !row.isBoundary).sort((a, b) => sign * comparePlaces(a, b))
  const kept = found.slice(0, limit)
  const last = found.length > limit ? kept.at(-1) : rows.find((row) => row.isBoundary)
  return { rows: kept, next: last ? { k: last.k, id: last.id } : null }
}

const comparePlaces = (a: Place, b: Place) => compare(a.k, b.k) || compare(a.id, b.id)
const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0)

/** Cuts rows that a plain query brought, one more than the page has, and names the place after them. */
export function cutRows<Found>(
  rows: Found[],
  limit: number,
  list: string,
  placeOf: (row: Found) => Place,
): { rows: Found[]; next: string | null } {
  const kept = rows.slice(0, limit)
  const last = rows.length > limit ? kept.at(-1) : undefined
  return { rows: kept, next: last ? formatCursor(list, placeOf(last)) : null }
}

/** The place of a row in a list that its id alone orders. */
export const placeOfId = (id: string): Place => ({ k: id, id })
