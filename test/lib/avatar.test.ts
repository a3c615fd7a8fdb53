import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { avatarSvg, avatarUrl, initialsOf, parseAvatar } from "../../src/lib/avatar.ts"
import { newId } from "../../src/lib/ids.ts"

const id = "usr_01j00000000000000000000000"
const fileOf = (name: string) => decodeURIComponent(avatarUrl(id, name).replace("/avatars/", ""))

const names: [name: string, initials: string][] = [
  ["Ada Lovelace", "AL"],
  ["  ada   king  lovelace ", "AL"],
  ["ada", "A"],
  ["(Bob) <Smith> & 'Sons'", "BS"],
  ["ßeta ǆungla", "SǄ"],
  ["Éva Ångström", "ÉÅ"],
  ["E\u0301va", "E\u0301"],
  ["王小明", "王"],
  ["김 철수", "김철"],
  ["דוד כהן", "דכ"],
  ["محمد علي", "مع"],
  ["हिन्दी", "हि"],
  ["🦄 Unicorn", "🦄U"],
  ["🇩🇪", "🇩🇪"],
  ["👩🏽‍🚀 Ana", "👩🏽‍🚀A"],
  ["👨‍👩‍👧‍👦 👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"],
  ["🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"],
  ["4ever", "4"],
  ["!!! ---", "?"],
  ["", "?"],
  ["\u200f\u202eevil", "E"],
  [`a${"\u0301".repeat(60)} b`, "AB"],
  ["\u0001\u0002", "?"],
  ["\ufffe\uffff", "?"],
]

describe("initials", () => {
  for (const [name, initials] of names) {
    it(`of ${JSON.stringify(name)} are ${initials}`, () => {
      expect(initialsOf(name)).toBe(initials)
    })
  }
})

const text = `[^<>&"'\\u0000-\\u001f\\ud800-\\udfff\\ufffe\\uffff]|[\\ud800-\\udbff][\\udc00-\\udfff]`
const svg = new RegExp(
  `^<svg xmlns="http://www\\.w3\\.org/2000/svg" [\\w =".#-]* aria-label="(?<label>(?:${text})+)"><rect [\\w =".#]*/><text [\\w =".,#-]*>(?<drawn>(?:${text})+)</text></svg>$`,
)

describe("an avatar", () => {
  it("is told by its address, whatever the name", () => {
    const strings = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.string({ unit: fc.constantFrom("<", ">", "&", '"', "'", " ", "a", "\u0301", "\u200d", "👩", "🇩", "\u202e") }),
    )
    fc.assert(
      fc.property(strings, (name) => {
        const file = fileOf(name.toWellFormed())
        const avatar = parseAvatar(file)
        expect(avatar, JSON.stringify(name)).not.toBeNull()
        if (!avatar) return
        expect(avatar.initials).toBe(initialsOf(name.toWellFormed()))
        const drawn = svg.exec(avatarSvg(avatar))?.groups
        expect(drawn, avatarSvg(avatar)).toMatchObject({ label: avatar.initials, drawn: avatar.initials })
      }),
      { numRuns: 3_000, examples: names.map(([name]) => [name]) },
    )
  })

  it("is none for any other address", () => {
    const wrong = ["", "x", "A.svg", "-1.svg", "A-12.svg", "A-01.svg", "A-1.svgz", "ABC-1.svg", "<-1.svg", "A\n-1.svg"]
    const more = ["A -1.svg", "A&-1.svg", "\u0001-1.svg", "??-1.svg", `a${"\u0301".repeat(16)}-1.svg`, "\ud800-1.svg"]
    for (const file of [...wrong, ...more]) expect(parseAvatar(file), JSON.stringify(file)).toBeNull()
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.nat({ max: 20 }), (initials, colour) => {
        const avatar = parseAvatar(`${initials}-${colour}.svg`)
        if (avatar) expect(avatarSvg(avatar)).toMatch(svg)
      }),
      { numRuns: 2_000 },
    )
  })

  it("escapes what it draws, even what no address can name", () => {
    expect(avatarSvg({ initials: `<&>"'`, colour: 0 })).toContain(">&lt;&amp;&gt;&quot;&#39;</text>")
  })

  it("has one of twelve colours by the id, and the same each time", () => {
    const urls = Array.from({ length: 300 }, () => newId("user")).map((user) => avatarUrl(user, "Ada"))
    expect(new Set(urls).size).toBe(12)
    expect(avatarUrl(id, "Ada")).toBe(avatarUrl(id, "Ada"))
  })

  it("is white on a colour that it can be read on", () => {
    const linear = (part: number) => (part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    for (let colour = 0; colour < 12; colour += 1) {
      const [, hex = ""] = /<rect [^>]*fill="#(\w{6})"/.exec(avatarSvg({ initials: "A", colour })) ?? []
      const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) =>
        linear(Number.parseInt(hex.slice(at, at + 2), 16) / 255),
      )
      expect(1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05), hex).toBeGreaterThanOrEqual(4.5)
    }
  })
})
