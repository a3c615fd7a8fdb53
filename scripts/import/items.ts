import { readFile } from "node:fs/promises"
import * as z from "zod"
import { line, markdown } from "../../src/contracts/common.ts"
import { LabelName } from "../../src/contracts/labels.ts"
import { labelKey } from "../../src/lib/label-names.ts"

/** A task as the file wants it, and the project that it belongs to. */
export type Item = {
  project: string
  title: string
  description: string
  priority: number
  /** The names of its labels. */
  labels: string[]
  /** The last line that its description had when kind and release stood there, before there were labels. */
  formerOrigin: string
}

/** Thrown for a file that cannot be imported; its message lists what is wrong, line by line. */
export class BadFile extends Error {
  override name = "BadFile"
}

const longestDescription = 65_536

const Line = z.strictObject({
  project: line(200),
  title: line(500),
  description: markdown(longestDescription).nullish(),
  release: LabelName.refine((release) => releaseLabel(release).length <= 50, {
    error: "must have at most 49 characters",
  }).nullish(),
  kind: LabelName.nullish(),
  number: z.int().nullish(),
})

type Line = z.output<typeof Line>

const priorities: Record<string, number> = { major: 3, minor: 2, patch: 1 }

/** Reads the whole file before anything is sent. Throws BadFile with every line that cannot be imported. */
export async function readItems(file: string): Promise<Item[]> {
  const lines = (await readText(file)).split("\n")
  const results = lines.flatMap((text, index) => (text.trim() === "" ? [] : [parseLine(text, index + 1)]))
  const problems = results.flatMap((result) => ("problems" in result ? result.problems : []))
  if (problems.length > 0) throw new BadFile(list(file, problems))
  const items = results.flatMap((result) => ("item" in result ? result.item : []))
  if (items.length === 0) throw new BadFile(`${file} holds no lines`)
  return items
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new BadFile(error.code === "ENOENT" ? `There is no file ${file}` : `${file} cannot be read: ${error.message}`)
  })
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw new BadFile(`${file} is not UTF-8`)
  }
}

const shown = 20

function list(file: string, problems: string[]): string {
  const more = problems.length > shown ? [`… and ${problems.length - shown} more`] : []
  return [`${file} cannot be imported, and nothing was written:`, ...problems.slice(0, shown), ...more].join("\n  ")
}

function parseLine(text: string, number: number): { item: Item } | { problems: string[] } {
  const at = (problem: string) => `line ${number}: ${problem}`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { problems: [at("is not JSON")] }
  }
  const parsed = Line.safeParse(value)
  if (!parsed.success) return { problems: parsed.error.issues.flatMap((issue) => explain(issue, value)).map(at) }
  const item = itemOf(parsed.data)
  if (Buffer.byteLength(item.description) <= longestDescription) return { item }
  return { problems: [at(`description: must leave room for its last line within ${longestDescription} bytes`)] }
}

function explain(issue: z.core.$ZodIssue, value: unknown): string[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => `${key}: is not known here`)
  const [field] = issue.path
  if (field === undefined) return ["must be one JSON object"]
  const isMissing = typeof value === "object" && value !== null && !Object.hasOwn(value, field)
  return [`${String(field)}: ${isMissing ? "is missing" : issue.message}`]
}

/** `0.2.7` → `v0.2.7`; what does not begin with a digit stays as it is. */
const releaseLabel = (release: string) => (/^\d/.test(release) ? `v${release}` : release)

function itemOf({ project, title, description, release, kind, number }: Line): Item {
  const origin = typeof number === "number" ? `#${number}` : ""
  const named = [kind ?? [], release ? releaseLabel(release) : []].flat()
  return {
    project,
    title,
    description: [description, origin].filter(Boolean).join("\n\n"),
    priority: priorities[kind ?? ""] ?? 0,
    // A label that is named twice is one.
    labels: [...new Map(named.map((name) => [labelKey(name), name])).values()],
    formerOrigin: [release && `Release ${release}`, kind, origin].filter(Boolean).join(" · "),
  }
}
