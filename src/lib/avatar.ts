import { escaped } from "./escape.ts"
import { colourOf, palette } from "./palette.ts"

// An avatar is told by its address alone: the initials and one of the colours. So it needs no token, can be kept for
// ever, and says nothing about anybody beyond their initials.

export type Avatar = { initials: string; colour: number }

/** In UTF-16 units, for both initials: what is drawn out of many code points is not told. */
const longest = 16
const unknown = "?"

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" })
const graphemes = (text: string): string[] => [...segmenter.segment(text)].map(({ segment }) => segment)

/** A letter, a digit or a picture, with what belongs to it. Whatever XML cannot hold stands in no such grapheme. */
const isInitial = (grapheme: string) =>
  /^[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}][^\p{Cc}\p{Cs}\p{Co}\p{Cn}<>&"']*$/u.test(grapheme)

function initialOf(word: string): string | undefined {
  const first = graphemes(word).find(isInitial)
  // ß becomes SS: one of them will do.
  const [upper] = graphemes(first?.toUpperCase() ?? "")
  const initial = upper && isInitial(upper) ? upper : first
  return initial && initial.length > longest ? String.fromCodePoint(initial.codePointAt(0) ?? 0) : initial
}

/** The first grapheme of the first and of the last word that have one. */
export function initialsOf(name: string): string {
  const initials = name.split(/\s+/u).flatMap((word) => initialOf(word) ?? [])
  const [first = unknown, last = ""] = initials.length > 1 ? [initials[0], initials.at(-1)] : initials
  // Two may grow together, as halves of a flag do.
  const both = `${first}${last}`
  return both.length <= longest && graphemes(both).every(isInitial) ? both : first
}

/** The path of somebody's avatar. */
export const avatarUrl = (id: string, name: string): string =>
  `/avatars/${encodeURIComponent(initialsOf(name))}-${colourOf(id)}.svg`

/** What the name of a file says; null for one that avatarUrl does not make. */
export function parseAvatar(file: string): Avatar | null {
  const [, initials = "", number = ""] = /^(.{1,16})-(\d{1,2})\.svg$/su.exec(file) ?? []
  const colour = Number(number)
  if (initials.length > longest || String(colour) !== number || colour >= palette.length) return null
  const parts = graphemes(initials)
  const isTold = initials === unknown || (parts.length > 0 && parts.length <= 2 && parts.every(isInitial))
  return isTold ? { initials, colour } : null
}

export function avatarSvg({ initials, colour }: Avatar): string {
  const text = escaped(initials)
  const font = `font-family="system-ui,sans-serif" font-size="40" fill="#fff" text-anchor="middle"`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 96 96" role="img" aria-label="${text}"><rect width="96" height="96" fill="${palette[colour] ?? palette[0]}"/><text x="48" y="48" dy=".36em" ${font}>${text}</text></svg>`
}
