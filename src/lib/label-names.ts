import { fnv1a } from "./hash.ts"

/** A label's name as it is compared: `Bug`, `bug` and `ＢＵＧ` are one. */
export const labelKey = (name: string): string =>
  // Again at the end: a small letter may be one with the mark that follows it, where its capital is not.
  name.normalize("NFKC").trim().toLowerCase().normalize("NFKC")

// Told apart from each other, and dark enough for white text.
const palette = [
  "#b91c1c",
  "#c2410c",
  "#a16207",
  "#4d7c0f",
  "#15803d",
  "#0f766e",
  "#0e7490",
  "#1d4ed8",
  "#4338ca",
  "#7e22ce",
  "#be185d",
  "#475569",
] as const

/** The colour of a label that is given none: the same name always gets the same. */
export const colorOf = (name: string): string =>
  palette[Number.parseInt(fnv1a(labelKey(name)), 36) % palette.length] ?? palette[0]
