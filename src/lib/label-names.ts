import { colourOf, palette } from "./palette.ts"

/** A label's name as it is compared: `Bug`, `bug` and `ＢＵＧ` are one. */
export const labelKey = (name: string): string =>
  // Again at the end: a small letter may be one with the mark that follows it, where its capital is not.
  name.normalize("NFKC").trim().toLowerCase().normalize("NFKC")

/** The colour of a label that is given none: the same name always gets the same. */
export const colorOf = (name: string): string => palette[colourOf(labelKey(name))] ?? palette[0]
