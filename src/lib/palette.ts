import { fnv1a } from "./hash.ts"

/** Colours that can be told apart. White text on each of them has a contrast of 4.5 at least (WCAG 2.2, 1.4.3). */
export const palette = [
  "#b42318",
  "#b54708",
  "#8a5a00",
  "#4d7c0f",
  "#15803d",
  "#0f766e",
  "#0e7490",
  "#1d4ed8",
  "#4338ca",
  "#7e22ce",
  "#a21caf",
  "#be185d",
] as const

/** Which of the colours a text is given: always the same. */
export const colourOf = (text: string): number => Number.parseInt(fnv1a(text), 36) % palette.length
