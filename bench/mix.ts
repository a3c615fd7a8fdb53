// The reference mix: two weeks of a public task service's production logs, 3.5 million requests, most of them from
// integrations that do not pause between two. Writes are a third each of what was told only together.

export const kinds = ["task", "project-tasks", "projects", "create", "patch", "close"] as const
export type Kind = (typeof kinds)[number]

/** Shares of all requests; they sum to 1. */
export const referenceMix: Record<Kind, number> = {
  task: 0.65,
  "project-tasks": 0.23,
  projects: 0.09,
  create: 0.01,
  patch: 0.01,
  close: 0.01,
}

/** How a request is answered: by the database, from what an isolate has kept, or with 304 from there. Writes only by the database. */
export const ways = ["uncached", "fresh", "304"] as const
export type Way = (typeof ways)[number]

/** What one request costs in operations that are billed, counted and not timed, but for `cpuMs`. */
export type Counted = {
  trips: number
  rowsRead: number
  rowsWritten: number
  /** Calls of the Cache API: match and put. */
  cacheCalls: number
  /** CPU of the whole local runtime, simulators of D1 and cache included: an upper bound of what is billed. */
  cpuMs: number
  /** Bytes of its line in the log, if it is logged. */
  logBytes: number
}

/** `bench/counted.json`: what `npm run bench -- operations` counted last. */
export type CountedFile = {
  kinds: Record<Kind, Partial<Record<Way, Counted>>>
  /** Shares of the reads of the reference mix, played with its pauses; per kind. They sum to 1. */
  reads: Record<"task" | "project-tasks" | "projects", Record<Way, number>>
  /** Calls to the Durable Object that counts, per request of the mix: large quotas are leased. */
  limiterCalls: number
  /** Bytes that one task takes in the database, with its event and indexes. */
  bytesPerTask: number
}
