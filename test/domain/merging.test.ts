import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { difference } from "../../src/domain/events.ts"
import { merge, mergedAtMost, rebase, viewAt } from "../../src/domain/merging.ts"

// Rows of a few fields with few values, so that both sides often touch the same.

type View = { revision: number; title: string; priority: number; due: { date: string } | null; labelIds: string[] }
type Patch = Partial<Omit<View, "revision">>

const labelIds = fc.subarray(["a", "b", "c", "d"]).map((ids) => ids.sort())
const fields = {
  title: fc.constantFrom("x", "y", "z"),
  priority: fc.integer({ min: 0, max: 2 }),
  due: fc.constantFrom(null, { date: "2026-01-01" }, { date: "2026-01-02" }),
  labelIds,
}
const first = fc.record({ revision: fc.integer({ min: 1, max: 9 }), ...fields })
const patch: fc.Arbitrary<Patch> = fc.record(fields, { requiredKeys: [] })
const sets = { labelIds: 4 }

/** Applies a patch and logs it, as a verb does. */
function write(view: View, change: Patch) {
  const after = { ...view, ...change, revision: view.revision + 1 }
  const { before } = difference(view, after)
  return { view: after, entry: { revision: after.revision, before: JSON.stringify(before) } }
}

function play(base: View, changes: Patch[]) {
  const since: { revision: number; before: string | null }[] = []
  let view = base
  for (const change of changes) {
    const written = write(view, change)
    view = written.view
    since.push(written.entry)
  }
  return { current: view, since }
}

const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b)

type Sides = { base: View; current: View; mine: Patch }

/** Who decides about a field that is no set. */
function fateOf(name: keyof Patch, { base, current, mine }: Sides): "mine" | "theirs" | "disputed" {
  if (!differs(mine[name], base[name])) return "theirs"
  const isTheirs = differs(current[name], base[name])
  return isTheirs && differs(mine[name], current[name]) ? "disputed" : "mine"
}

describe("a row at an earlier revision", () => {
  it("is found by undoing what has happened since", () => {
    fc.assert(
      fc.property(first, fc.array(patch, { maxLength: 6 }), (base, changes) => {
        const { current, since } = play(base, changes)
        expect({ ...viewAt(base.revision, current, since), revision: base.revision }).toEqual(base)
      }),
    )
  })

  it("is unknown when the log has a gap, does not reach back, or reaches back too far", () => {
    const base: View = { revision: 3, title: "x", priority: 0, due: null, labelIds: [] }
    const { current, since } = play(base, [{ title: "y" }, { title: "z" }, { priority: 1 }])
    expect(viewAt(3, current, since)).not.toBeNull()
    for (const part of [since.slice(1), since.slice(0, -1), [since[0], since[2]], []]) {
      expect(viewAt(3, current, part as typeof since)).toBeNull()
    }
    expect(viewAt(2, current, since)).toBeNull()
    expect(viewAt(9, current, [])).toBeNull()
    const many = play(
      base,
      Array.from({ length: mergedAtMost + 1 }, (_, n) => ({ priority: n % 3 })),
    )
    expect(viewAt(3, many.current, many.since)).toBeNull()
  })
})

describe("a change that is merged", () => {
  const cases = fc.record({ base: first, theirs: fc.array(patch, { maxLength: 4 }), mine: patch })

  it("keeps what only one side has changed, of each side, and nothing else", () => {
    fc.assert(
      fc.property(cases, ({ base, theirs, mine }) => {
        const { current } = play(base, theirs)
        const { merged, overlapping } = merge(base, current, mine, sets)
        const plain = (Object.keys(mine) as (keyof Patch)[]).filter((name) => name !== "labelIds")
        expect(overlapping).toEqual(plain.filter((name) => fateOf(name, { base, current, mine }) === "disputed"))
        for (const name of plain.filter((each) => !overlapping.includes(each))) {
          const result = { ...current, ...merged }[name]
          expect(result).toEqual(fateOf(name, { base, current, mine }) === "mine" ? mine[name] : current[name])
        }
        expect(Object.keys(merged).filter((name) => !(name in mine))).toEqual([])
      }),
    )
  })

  it("adds to a set what either side adds and takes out what either takes out", () => {
    fc.assert(
      fc.property(first, labelIds, labelIds, (base, theirs, mine) => {
        const current = { ...base, labelIds: theirs }
        const { merged, overlapping } = merge(base, current, { labelIds: mine }, sets)
        expect(overlapping).toEqual([])
        const has = (ids: string[], id: string) => ids.includes(id)
        const expected = ["a", "b", "c", "d"].filter((id) =>
          has(base.labelIds, id) ? has(theirs, id) && has(mine, id) : has(theirs, id) || has(mine, id),
        )
        expect(merged["labelIds"]).toEqual(expected)
      }),
    )
  })

  it("comes out the same, whoever of two is first", () => {
    fc.assert(
      fc.property(first, patch, patch, (base, mine, theirs) => {
        const apply = (view: View, change: Patch) => ({ ...view, ...merge(base, view, change, sets).merged })
        const one = merge(base, { ...base, ...theirs }, mine, sets)
        const other = merge(base, { ...base, ...mine }, theirs, sets)
        expect(one.overlapping.toSorted()).toEqual(other.overlapping.toSorted())
        if (one.overlapping.length > 0) return
        expect(apply({ ...base, ...theirs }, mine)).toEqual(apply({ ...base, ...mine }, theirs))
      }),
    )
  })

  it("is disputed where a set would have too many elements, or where nobody knows the base", () => {
    const base = { labelIds: ["a"] }
    expect(merge(base, { labelIds: ["a", "b"] }, { labelIds: ["a", "c"] }, { labelIds: 2 }).overlapping).toEqual([
      "labelIds",
    ])
    expect(merge(null, { title: "x", priority: 1 }, { title: "x", priority: 2 })).toEqual({
      merged: { title: "x" },
      overlapping: ["priority"],
    })
  })

  it("is left as it is without a base, and at the base", () => {
    const current = { revision: 4, title: "x" }
    for (const known of [null, [4], { base: 4 }]) {
      expect(rebase(known, current, [], { title: "y" })).toEqual({ title: "y" })
    }
  })
})
