import { eq } from "drizzle-orm"
import type { BatchResponse } from "drizzle-orm/batch"
import type { PreparedQuery } from "drizzle-orm/session"
import { d1Database } from "#d1"
import { type Bindings, SettingsError } from "../env.ts"
import { second } from "../lib/time.ts"
import { type Commit, type Committed, commitOnce, findCommitted, type LogEntry, refusalOf } from "./commit.ts"
import type { Dialect } from "./dialect.ts"
import { bookmarkForms, type Database, type Engine, heeding, type Query, type Terms } from "./engine.ts"
import { DbError } from "./errors.ts"
import { mapRows } from "./mapping.ts"
import { type Attempt, withRetries } from "./retry.ts"
import type { Run, Statements } from "./sql.ts"

/** What a request has cost so far. */
export type Meter = { trips: number; rowsRead: number; rowsWritten: number; ms: number }

/** `bookmark`: null where there are none. */
export type Seen = { seq: number; bookmark: string | null }

/** What a request has written to a workspace's log, and who did. `entries`: null when they would have to be read. */
export type Landed = { workspaceId: string; actorId: string; seq: number; entries: LogEntry[] | null }

/** One request's database: the words to build statements with, and the three ways to run them. */
export type Db = Dialect & {
  meter: Readonly<Meter>
  /** Several queries, one round trip, one consistent state. */
  read<const Queries extends Statements>(...queries: Queries): Promise<BatchResponse<Queries>>
  /** Writes to the directory: all or nothing, one round trip. A repeat after a lost answer must be harmless. */
  write(...statements: Statements): Promise<void>
  /** The same, and tells what the statements return. Of a repeat, that is what it found still to be done. */
  writeAndTell<const Written extends Statements>(...statements: Written): Promise<BatchResponse<Written>>
  /** Writes to a workspace, with its events and receipt: all or nothing, one round trip. Throws CommitRefused. */
  commit(commit: Commit): Promise<Committed>
  /** Resolves once there is a connection. */
  ready(): Promise<unknown>
  /** From now on every read also reads, in the same trip, where the log of this workspace ends. */
  watch(workspaceId: string): void
  /** Where that log ended, and how far the database was; of several reads, the lowest. Null: nothing was read yet. */
  seen(): Seen | null
  /** What was committed so far. */
  landed: readonly Landed[]
  /** What is asked from now on must have reached this bookmark; null: it is the primary that must answer. */
  reach(bookmark: string | null): void
  /** How far the database was that answered last; null where there are no bookmarks, or nothing was asked. */
  bookmark(): string | null
  /** Lets go of what the request held. */
  close(): Promise<void>
}

/**
 * The database of a deployment, decided here and nowhere else: Postgres where Hyperdrive is bound, else D1. Throws
 * SettingsError where there is neither.
 */
export async function databaseOf({
  HYPERDRIVE,
  HYPERDRIVE_REPLICA,
  DB,
}: Pick<Bindings, "HYPERDRIVE" | "HYPERDRIVE_REPLICA" | "DB">): Promise<Database> {
  if (HYPERDRIVE) {
    // Loaded when it is needed: where both are built in, as in tests, D1 does not wait for the driver.
    const { postgresDatabase } = await import("#postgres")
    const replica = HYPERDRIVE_REPLICA?.connectionString
    return heeding(bookmarkForms.postgres, postgresDatabase(HYPERDRIVE.connectionString, Date.now, replica))
  }
  if (DB) return heeding(bookmarkForms.d1, d1Database(DB))
  throw new SettingsError("DB: bind a D1 database as DB, or a Hyperdrive as HYPERDRIVE")
}

type Options = {
  sleep?: (ms: number) => Promise<void>
  readDeadlineMs?: number
  writeDeadlineMs?: number
  /** Nothing is written: every attempt throws ReadOnly. */
  isReadOnly?: boolean
}

/** Thrown instead of writing, while the deployment's database is being moved. */
export class ReadOnly extends Error {
  override name = "ReadOnly"
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Opens the database for one request. Throws DbError from everything it does. */
export function openDb(
  engine: Engine,
  { sleep = wait, readDeadlineMs = 5 * second, writeDeadlineMs = 10 * second, isReadOnly = false }: Options = {},
): Db {
  const { dialect } = engine
  const meter: Meter = { trips: 0, rowsRead: 0, rowsWritten: 0, ms: 0 }
  const read = { mode: "read", deadlineMs: readDeadlineMs } as const
  const write = { mode: "write", deadlineMs: writeDeadlineMs } as const
  const landed: Landed[] = []
  let watched: string | null = null
  let seen: Seen | null = null
  /** Tries three times, each with a way to run statements that is told of the deadline. */
  async function trying<T>(terms: Omit<Terms, "signal">, attempt: (run: Run, n: number) => Promise<T>): Promise<T> {
    if (isReadOnly && terms.mode === "write") throw new ReadOnly("Nothing is written for the moment")
    return withRetries({ attempts: 3, deadlineMs: terms.deadlineMs, sleep }, ({ n, signal }: Attempt) =>
      attempt(runner(engine, meter, { ...terms, signal }), n),
    )
  }

  return {
    ...dialect,
    meter,
    async read(...queries) {
      if (watched === null) return trying(read, (run) => run(queries))
      const end = endOfLog(dialect, watched)
      const answers: readonly unknown[] = await trying(read, (run) => run([...queries, end]))
      const [head] = answers.at(-1) as { seq: number }[]
      const seq = head?.seq ?? 0
      if (!seen || seq < seen.seq) seen = { seq, bookmark: engine.bookmark() }
      return answers.slice(0, -1) as never
    },
    write: async (...statements) => {
      await trying(write, (run) => run(statements))
    },
    writeAndTell: (...statements) => trying(write, (run) => run(statements)),
    async commit(commit) {
      const committed = await trying(write, async (run, n) => {
        try {
          return await commitOnce(dialect, run, commit)
        } catch (error) {
          const refusal = refusalOf(error)
          if (!refusal) throw error
          // An earlier attempt whose answer was lost may be what stands in the way of this one.
          const found = n > 1 ? await findCommitted(dialect, run, commit) : null
          if (found) return found
          throw refusal
        }
      })
      const { seq, entries } = committed
      landed.push({ workspaceId: commit.workspaceId, actorId: commit.actor.id, seq, entries })
      return committed
    },
    watch(workspaceId) {
      watched = workspaceId
    },
    seen: () => seen,
    landed,
    ready: () => engine.ready(),
    reach: (bookmark) => engine.reach(bookmark),
    bookmark: () => engine.bookmark(),
    close: () => engine.close(),
  }
}

const endOfLog = ({ sql, tables: { heads } }: Dialect, workspaceId: string) =>
  sql.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId))

// What drizzle's own drivers do with a batch; its types keep it to themselves.
type Buildable = { _prepare(): PreparedQuery }

/** Runs what the builder built, and counts what it cost. */
function runner(engine: Engine, meter: Meter, terms: Terms): Run {
  const onTrip = () => {
    meter.trips += 1
  }
  return async (batch) => {
    const built = (batch as unknown as Buildable[]).map((statement) => statement._prepare())
    const queries = built.map((statement): Query => {
      const { sql, params } = statement.getQuery()
      return { text: sql, values: params }
    })
    const start = Date.now()
    onTrip()
    try {
      const results = await engine.send(queries, { ...terms, onTrip })
      for (const { rowsRead, rowsWritten } of results) {
        meter.rowsRead += rowsRead
        meter.rowsWritten += rowsWritten
      }
      return built.map((statement, index) => mapRows(statement, results[index]?.rows)) as never
    } finally {
      meter.ms += Date.now() - start
    }
  }
}

export const isUnique = (error: unknown): boolean => error instanceof DbError && error.fault.kind === "unique"
