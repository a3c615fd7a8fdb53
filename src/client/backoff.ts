/** Full jitter: anything from nothing to twice as long as the time before, so that those who lost the server together come back apart. */
export function pauseBefore(attempt: number, random: () => number, { base = 500, cap = 30_000 } = {}): number {
  return random() * Math.min(cap, base * 2 ** attempt)
}
