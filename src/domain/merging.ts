import { and, asc, eq, gt, type SQL } from "drizzle-orm"
import type { Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"
import { baseOf, type Known } from "./revisions.ts"

// A change that was written against an older row is merged with what has happened since: field by field, and sets
// element by element. Only where both sides want something else of one field, nobody but the writer can decide.

type View = Record<string, unknown>
/** A change of the row as the log has it: which revision it made, and the changed fields as they were before, as JSON. */
export type Since = { revision: number; before: string | null }
/** The fields that are sets, with how many elements each may have. */
type Sets = Record<string, number>

/** As many changes are looked at; a base that lies further back is as good as none. */
export const mergedAtMost = 100

/** What has happened to a row since the caller's base, to be read beside it; nothing where they name none. */
export function selectSince({ db, workspaceId }: Ctx, subjectId: string | SQL, known: Known) {
  const base = baseOf(known)
  if (base === null) return []
  const { events } = db.tables
  return [
    db.sql
      .select({ revision: events.revision, before: db.jsonAt(events.data, ["before"]).as("before") })
      .from(events)
      .where(and(eq(events.workspaceId, workspaceId), eq(events.subjectId, subjectId), gt(events.revision, base)))
      .orderBy(asc(events.revision))
      .limit(mergedAtMost + 1),
  ]
}

/** How a row looked at a revision, by undoing what has happened since; null when not all of that is known. */
export function viewAt(base: number, current: View & { revision: number }, since: readonly Since[]): View | null {
  const isWhole = since.length === current.revision - base && since.length <= mergedAtMost
  if (!isWhole || since.some(({ revision }, index) => revision !== base + 1 + index)) return null
  const undone = since.toReversed().map(({ before }) => JSON.parse(before ?? "{}") as View)
  return Object.assign({}, current, ...undone)
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/**
 * The fields of `yours` as they are to be written over `current`, and those that cannot be merged. What yours left as
 * it was at the base follows the others; an unknown base leaves only what is the same on both sides undisputed.
 */
export function merge(base: View | null, current: View, yours: View, sets: Sets = {}) {
  const merged: View = {}
  const overlapping: string[] = []
  for (const [name, value] of Object.entries(yours)) {
    const limit = sets[name]
    if (isSame(value, current[name])) merged[name] = value
    else if (base === null) overlapping.push(name)
    else if (limit !== undefined) {
      const set = mergeSets(base[name] as string[], current[name] as string[], value as string[])
      if (set.length <= limit) merged[name] = set
      else overlapping.push(name)
    } else if (isSame(base[name], current[name])) merged[name] = value
    else if (!isSame(base[name], value)) overlapping.push(name)
  }
  return { merged, overlapping }
}

/** Who was added by either side is in, and who was taken out by either is not. */
function mergeSets(base: readonly string[], current: readonly string[], yours: readonly string[]): string[] {
  const kept = current.filter((id) => yours.includes(id) || !base.includes(id))
  return [...new Set([...kept, ...yours.filter((id) => !base.includes(id))])].sort()
}

/**
 * What is to be changed of the row as it stands; `yours` in the form of the view. Throws `conflict`, with both versions,
 * for what overlaps.
 */
export function rebase<Fields extends object>(
  known: Known,
  current: View & { revision: number },
  since: readonly Since[],
  yours: Fields,
  sets: Sets = {},
): Fields {
  const base = baseOf(known)
  if (base === null || base === current.revision) return yours
  const wanted = Object.fromEntries(Object.entries(yours).filter(([, value]) => value !== undefined))
  const { merged, overlapping } = merge(viewAt(base, current, since), current, wanted, sets)
  if (overlapping.length === 0) return merged as Fields
  throw new DomainError("conflict", `Others have changed this since revision ${base}`, {
    errors: overlapping.map((name) => ({ pointer: `/${name}`, detail: "is something else by now" })),
    versions: { base, current, yours: wanted, overlapping },
  })
}
