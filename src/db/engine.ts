import type { Dialect } from "./dialect.ts"

/** A statement as it goes to the database. */
export type Query = { text: string; values: unknown[] }

/**
 * What came back: the rows as the driver gives them, and what the statement cost. D1 tells the rows that it
 * billed, indexes included; Postgres tells only how many rows were given back or changed.
 */
export type Result = { rows: readonly object[]; rowsRead: number; rowsWritten: number }

export type Terms = {
  mode: "read" | "write"
  /** Milliseconds after which nobody waits for the answer any more. */
  deadlineMs: number
  /** Tells that the deadline has passed: whatever is held for the answer is let go. */
  signal: AbortSignal
  /** Told of every trip beyond the first: a replica had no answer, and the primary is asked as well. */
  onTrip?: () => void
}

/**
 * One request's way to a database. `send` runs all queries or none, as one transaction in one round trip, and throws
 * what the driver throws. `close` lets go of what the request held; the engine can be used again after it.
 */
export type Engine = {
  dialect: Dialect
  /** Resolves once there is a connection. */
  ready(): Promise<unknown>
  send(queries: readonly Query[], terms: Terms): Promise<Result[]>
  /** What is asked from now on must have reached this bookmark; null: it is the primary that must answer. */
  reach(bookmark: string | null): void
  /** How far the database was that answered last, for whoever must see at least that; null where nobody can tell. */
  bookmark(): string | null
  close(): Promise<void>
}

/** What the bookmarks of each database look like. */
export const bookmarkForms: Record<Dialect["name"], RegExp> = {
  d1: /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/,
  postgres: /^[0-9a-f]{16}$/,
}

/** The connections of an isolate, as far as the driver tells. */
export type Connections = {
  /** Made and not closed yet. */
  open: number
  /** Open with nothing under way. */
  idle: number
  /** Being made: somebody waits for it. */
  waiting: number
}

/** A deployment's database. An isolate opens it once; every request connects. */
export type Database = {
  /** `from`: the bookmark that the answers must have reached. Without one they are the primary's. */
  connect(from?: string | null): Engine
  /** Counts them; null where there are none to count: D1 is a binding. */
  connections: (() => Connections) | null
}

/** The same database, to which a bookmark of another form is none: callers may have it from before a move. */
export function heeding(form: RegExp, { connect, connections }: Database): Database {
  const heeded = (bookmark?: string | null) => (bookmark && form.test(bookmark) ? bookmark : null)
  return {
    connections,
    connect(from) {
      const engine = connect(heeded(from))
      return { ...engine, reach: (bookmark) => engine.reach(heeded(bookmark)) }
    },
  }
}
