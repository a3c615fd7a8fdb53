import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { mergePatch } from "../../src/lib/merge-patch.ts"

/** The pseudocode of RFC 7386, section 2, line by line. */
function reference(target: unknown, patch: unknown): unknown {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    Object.prototype.toString.call(value) === "[object Object]"
  if (!isObject(patch)) return patch
  const merged: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  if (isObject(target)) Object.assign(merged, target)
  for (const name of Object.keys(patch)) {
    if (patch[name] === null) Reflect.deleteProperty(merged, name)
    else merged[name] = reference(merged[name], patch[name])
  }
  return merged
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

// Few names, so that the two documents meet.
const documents = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(null, true, 0, "", "text"),
    fc.array(tie("value"), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "toString"), tie("value"), { maxKeys: 4 }),
  ),
})).value

describe("a merge patch", () => {
  // Appendix A.
  const examples: [original: string, patch: string, result: string][] = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', "{}"],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', "null", "null"],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
    ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ]
  for (const [original, patch, result] of examples) {
    it(`makes ${result} of ${original} and ${patch}`, () => {
      expect(mergePatch(JSON.parse(original), JSON.parse(patch))).toEqual(JSON.parse(result))
    })
  }

  it("does what the RFC's own pseudocode does, and changes neither document", () => {
    fc.assert(
      fc.property(documents, documents, (target, patch) => {
        const [before, asked] = [JSON.stringify(target), JSON.stringify(patch)]
        expect(plain(mergePatch(target, patch))).toEqual(plain(reference(target, patch)))
        expect([JSON.stringify(target), JSON.stringify(patch)]).toEqual([before, asked])
      }),
      { numRuns: 2_000 },
    )
  })

  it("does the same when it is done again", () => {
    fc.assert(
      fc.property(documents, documents, (target, patch) => {
        const once = mergePatch(target, patch)
        expect(mergePatch(once, patch)).toEqual(once)
      }),
      { numRuns: 1_000 },
    )
  })

  it("gives no document another prototype", () => {
    const merged = mergePatch({}, JSON.parse('{"__proto__":{"admin":true}}')) as Record<string, unknown>
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
    expect(merged["admin"]).toBeUndefined()
    expect(Object.keys(merged)).toEqual(["__proto__"])
  })
})
