import type { BatchResponse } from "drizzle-orm/batch"
import { drizzle } from "drizzle-orm/d1"
import { second } from "../lib/time.ts"
import { type Commit, type Committed, commitOnce, findCommitted, refusalOf } from "./commit.ts"
import { DbError } from "./errors.ts"
import { type RetryRules, withRetries } from "./retry.ts"
import type { Run, Sql, Statements } from "./sql.ts"

/** What a request has cost so far. */
export type Meter = { trips: number; rowsRead: number; rowsWritten: number; ms: number }

export type Db = {
  sql: Sql
  meter: Readonly<Meter>
  /** Several queries, one round trip, one consistent state. */
  read<const Queries extends Statements>(...queries: Queries): Promise<BatchResponse<Queries>>
  /** Writes to the directory: all or nothing, one round trip. A repeat after a lost answer must be harmless. */
  write(...statements: Statements): Promise<void>
  /** Writes to a workspace, with its events and receipt: all or nothing, one round trip. Throws CommitRefused. */
  commit(commit: Commit): Promise<Committed>
}

type Options = { sleep?: (ms: number) => Promise<void>; readDeadlineMs?: number; writeDeadlineMs?: number }

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Opens the database for one request. Throws DbError from everything it does. */
export function openDb(
  binding: D1Database,
  { sleep = wait, readDeadlineMs = 5 * second, writeDeadlineMs = 10 * second }: Options = {},
): Db {
  const meter: Meter = { trips: 0, rowsRead: 0, rowsWritten: 0, ms: 0 }
  const client = drizzle(metered(binding, meter))
  const sql = client as unknown as Sql
  const rules = (deadlineMs: number): RetryRules => ({ attempts: 3, deadlineMs, sleep })
  const run: Run = (batch) => client.batch(batch as never) as never

  return {
    sql,
    meter,
    read: (...queries) => withRetries(rules(readDeadlineMs), () => run(queries)),
    write: async (...statements) => {
      await withRetries(rules(writeDeadlineMs), () => run(statements))
    },
    commit: (commit) =>
      withRetries(rules(writeDeadlineMs), async (attempt) => {
        try {
          return await commitOnce(sql, run, commit)
        } catch (error) {
          const refusal = refusalOf(error)
          if (!refusal) throw error
          // An earlier attempt whose answer was lost may be what stands in the way of this one.
          const landed = attempt > 1 ? await findCommitted(sql, run, commit) : null
          if (landed) return landed
          throw refusal
        }
      }),
  }
}

/** The binding with its one door open: `batch`, which tells what it read and wrote. */
function metered(binding: D1Database, meter: Meter): D1Database {
  const real = new WeakMap<object, D1PreparedStatement>()
  const sealed = (statement: D1PreparedStatement): D1PreparedStatement => {
    const seal = { bind: (...values: unknown[]) => sealed(statement.bind(...values)) } as D1PreparedStatement
    real.set(seal, statement)
    return seal
  }
  const unsealed = (seal: D1PreparedStatement) => {
    const statement = real.get(seal)
    if (!statement) throw new TypeError("A statement of another database")
    return statement
  }
  const door = {
    prepare: (query: string) => sealed(binding.prepare(query)),
    async batch<T>(seals: D1PreparedStatement[]): Promise<D1Result<T>[]> {
      const start = Date.now()
      meter.trips += 1
      try {
        const results = await binding.batch<T>(seals.map(unsealed))
        for (const { meta } of results) {
          meter.rowsRead += meta.rows_read
          meter.rowsWritten += meta.rows_written
        }
        return results
      } finally {
        meter.ms += Date.now() - start
      }
    },
  }
  return door as unknown as D1Database
}

export const isUnique = (error: unknown): boolean => error instanceof DbError && error.fault.kind === "unique"
