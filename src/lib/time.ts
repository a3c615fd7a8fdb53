export const second = 1_000
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour

/** Epoch milliseconds as RFC 3339 in UTC. */
export const rfc3339 = (ms: number): string => new Date(ms).toISOString()

export const rfc3339OrNull = (ms: number | null): string | null => (ms === null ? null : rfc3339(ms))

/** The first millisecond of a calendar date (`YYYY-MM-DD`) in UTC. */
export const startOfDate = (date: string): number => Date.parse(`${date}T00:00:00.000Z`)

/** The last millisecond of a calendar date (`YYYY-MM-DD`) in UTC. */
export const endOfDate = (date: string): number => startOfDate(date) + day - 1
