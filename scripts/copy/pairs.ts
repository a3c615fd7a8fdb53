/** What two sequences have at a place of their common order. */
export type Pair<A, B> = { left: A | null; right: B | null }

type Step<T> = IteratorResult<T, unknown>
type Compare<A, B> = (a: A, b: B) => number

/**
 * Walks two sequences of the same order side by side: what is equal comes together, everything else alone. Neither is
 * ever held as a whole.
 */
export async function* pairsOf<A, B>(
  left: AsyncGenerator<A>,
  right: AsyncGenerator<B>,
  compare: Compare<A, B>,
): AsyncGenerator<Pair<A, B>> {
  let [a, b] = await Promise.all([left.next(), right.next()])
  while (!(a.done && b.done)) {
    const order = orderOf(a, b, compare)
    yield { left: order <= 0 ? standing(a) : null, right: order >= 0 ? standing(b) : null }
    if (order <= 0) a = await left.next()
    if (order >= 0) b = await right.next()
  }
}

/** Negative when the left one comes first. What has ended comes after everything. */
function orderOf<A, B>(a: Step<A>, b: Step<B>, compare: Compare<A, B>): number {
  if (a.done) return 1
  return b.done ? -1 : compare(a.value, b.value)
}

const standing = <T>(step: Step<T>): T | null => (step.done ? null : step.value)
