import { byteLength } from "./bytes.ts"

type Cut = { value: unknown /** JSON Pointers to the texts that end early. */; pointers: string[] }

/** The shortest that a text is cut to: what is larger even so has its size from something else. */
const shortest = 64

/** A value with its longest texts cut, until its JSON has at most `maxBytes` bytes, if texts are what makes it long. */
export function cutTexts(value: unknown, maxBytes: number): Cut {
  for (let longest = maxBytes; ; longest = Math.floor(longest / 2)) {
    const pointers: string[] = []
    const cut = cutEach(value, longest, "", pointers)
    if (longest <= shortest || byteLength(JSON.stringify({ cut, pointers })) <= maxBytes)
      return { value: cut, pointers }
  }
}

function cutEach(value: unknown, longest: number, pointer: string, pointers: string[]): unknown {
  if (typeof value === "string") {
    if (value.length <= longest) return value
    pointers.push(pointer)
    // Not between the halves of a character.
    return `${value.slice(0, longest).replace(/[\ud800-\udbff]$/, "")}…`
  }
  if (Array.isArray(value)) return value.map((item, index) => cutEach(item, longest, `${pointer}/${index}`, pointers))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      const step = name.replaceAll("~", "~0").replaceAll("/", "~1")
      return [name, cutEach(field, longest, `${pointer}/${step}`, pointers)]
    }),
  )
}
