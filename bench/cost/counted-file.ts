import { readFile } from "node:fs/promises"
import { relative } from "node:path"
import * as z from "zod"
import { type CountedFile, kinds, ways } from "../mix.ts"

/** Thrown for a file that cannot be priced. */
export class BadCounts extends Error {
  override name = "BadCounts"
}

const amount = z.number().nonnegative()
const Counted = z.object({
  trips: amount,
  rowsRead: amount,
  rowsWritten: amount,
  cacheCalls: amount,
  cpuMs: amount,
  logBytes: amount,
})

const Shares = z
  .record(z.enum(ways), z.number().min(0).max(1))
  .refine((shares) => Math.abs(ways.reduce((sum, way) => sum + shares[way], 0) - 1) < 0.001, "must sum to 1")

const reads = ["task", "project-tasks", "projects"] as const

const Counts = z
  .object({
    kinds: z.record(z.enum(kinds), z.partialRecord(z.enum(ways), Counted)),
    reads: z.record(z.enum(reads), Shares),
    limiterCalls: amount,
    bytesPerTask: z.number().positive(),
  })
  .superRefine((file, { addIssue }) => {
    for (const kind of kinds) {
      const shares =
        kind in file.reads ? file.reads[kind as (typeof reads)[number]] : { uncached: 1, fresh: 0, "304": 0 }
      // What nobody has counted must not be priced as nothing. A refresh is priced as a task that is not cached.
      for (const way of ways.filter((way) => shares[way] > 0 || way === "uncached")) {
        if (!file.kinds[kind][way]) addIssue({ code: "custom", path: ["kinds", kind, way], message: "is not counted" })
      }
      if (!(kind in file.reads) && file.kinds[kind].uncached?.trips === 0) {
        addIssue({ code: "custom", path: ["kinds", kind, "uncached", "trips"], message: "a write takes one at least" })
      }
    }
  })

const howTo = "npm run bench -- operations counts the operations and writes it."

/** Throws BadCounts for a file that is missing or holds something else. */
export async function readCounted(file: string): Promise<CountedFile> {
  const name = relative(".", file)
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new BadCounts(error.code === "ENOENT" ? `${name} is not there. ${howTo}` : error.message)
  })
  return parseCounted(text, name)
}

export function parseCounted(text: string, file: string): CountedFile {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new BadCounts(`${file} is not JSON. ${howTo}`)
  }
  const parsed = Counts.safeParse(json)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => `  ${path.join(".")}: ${message}`)
  throw new BadCounts(`${file} is not what was counted. ${howTo}\n${issues.join("\n")}`)
}
