import { createHash } from "node:crypto"
import type { Item } from "./items.ts"

/** What one request creates. `place` is where the batch stands in its project, however much of it is there already. */
export type Batch = { place: number; items: Item[] }

const mostTasks = 100
// Below the 1 MiB that the API takes.
const mostBytes = 900_000
// Ids and punctuation that a task's JSON has besides its text.
const overhead = 100

/** Cuts the tasks of one project into requests. The same file is always cut in the same places. */
export function cutBatches(items: Item[]): Batch[] {
  const batches: Batch[] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item)) + overhead
    const last = batches.at(-1)
    if (last && last.items.length < mostTasks && bytes + size <= mostBytes) {
      last.items.push(item)
      bytes += size
    } else {
      batches.push({ place: batches.length, items: [item] })
      bytes = size
    }
  }
  return batches
}

type Told = { title: string; description: string }

// The last line says where a task comes from, and survives edits of what stands above it.
const identityOf = ({ title, description }: Told) => `${title}\n${description.trimEnd().split("\n").at(-1)}`

/** How an item may be found again, also as it was imported before kind and release were labels. */
const identitiesOf = (item: Item) => [
  identityOf(item),
  ...(item.formerOrigin === "" ? [] : [`${item.title}\n${item.formerOrigin}`]),
]

/** The batches without what is there already, and how many of the tasks there are not in the file. */
export function withoutThere(batches: Batch[], there: Told[]): { missing: Batch[]; others: number } {
  const counts = new Map<string, number>()
  for (const task of there) counts.set(identityOf(task), (counts.get(identityOf(task)) ?? 0) + 1)
  let others = there.length
  const isMissing = (item: Item) => {
    const identity = identitiesOf(item).find((known) => counts.get(known))
    if (identity === undefined) return true
    counts.set(identity, (counts.get(identity) ?? 0) - 1)
    others -= 1
    return false
  }
  const missing = batches
    .map(({ place, items }) => ({ place, items: items.filter(isMissing) }))
    .filter(({ items }) => items.length > 0)
  return { missing, others }
}

/** An Idempotency-Key that is the same whenever the same content is sent. */
export const keyOf = (...content: unknown[]): string =>
  `import-${createHash("sha256").update(JSON.stringify(content)).digest("base64url")}`
