/** Does something for each, a few at once. Tells what failed, and keeps nobody from theirs. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<unknown>,
): Promise<unknown[]> {
  const errors: unknown[] = []
  const left = items.values()
  const worker = async () => {
    for (const item of left) await work(item).catch((error: unknown) => errors.push(error))
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return errors
}

type Bounds<T> = { total: number; perKey: number; keyOf: (item: T) => string }

/**
 * Does the work for each item: at most `total` at once, and `perKey` of one key, so that a slow one does not keep the
 * others waiting. `work` must not throw.
 */
export async function eachInParallel<T>(
  items: readonly T[],
  { total, perKey, keyOf }: Bounds<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items]
  const running = new Map<string, number>()
  const isFree = (item: T) => (running.get(keyOf(item)) ?? 0) < perKey
  // A lane that finds nothing it may do ends: those that run will look again when they are done.
  const lane = async () => {
    for (let index = waiting.findIndex(isFree); index !== -1; index = waiting.findIndex(isFree)) {
      const [item] = waiting.splice(index, 1) as [T]
      const key = keyOf(item)
      running.set(key, (running.get(key) ?? 0) + 1)
      await work(item)
      running.set(key, (running.get(key) ?? 0) - 1)
    }
  }
  await Promise.all(Array.from({ length: total }, lane))
}
