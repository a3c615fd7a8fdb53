import type { Database, Engine, Query, Result } from "../../src/db/engine.ts"
import { database, dialect } from "./database.ts"

/** One transaction on its way to the database. */
export type Batch = {
  /** The SQL of each statement. */
  sql: string[]
  queries: readonly Query[]
  /** Sends it, or something else instead. */
  run: (queries?: readonly Query[]) => Promise<Result[]>
}

/** A real database with something between it and the Worker: `meet` decides what becomes of each transaction. */
export function between(meet: (batch: Batch) => Promise<Result[]>, real = database): Database {
  const meeting = (engine: Engine): Engine => ({
    ...engine,
    send: (queries, terms) =>
      meet({
        sql: queries.map(({ text }) => text),
        queries,
        run: (others = queries) => engine.send(others, terms),
      }),
  })
  return { connections: real.connections, connect: (from) => meeting(real.connect(from)) }
}

export const isCommit = ({ sql }: Batch): boolean =>
  sql.some((text) => /^\s*insert into "?(events|receipts)"?/i.test(text))

/** What fails when it is run, and not when it is parsed. */
const failing: Query = { text: { d1: "select json('{')", postgres: "select 1 / 0" }[dialect.name], values: [] }

/** Puts a statement that fails at run time in the place of the `index`-th of every commit. */
export const failingAt = (index: number): Database =>
  between((batch) => {
    if (!isCommit(batch)) return batch.run()
    return batch.run(batch.queries.map((query, at) => (at === index ? failing : query)))
  })

const lostConnection = () => new Error("D1_ERROR: Network connection lost.")

/** Loses the connection for the first `times` commits: before they are run, or after. */
export function losing(when: "before" | "after", times: number, isMeant = isCommit): Database {
  let left = times
  return between(async (batch) => {
    if (!isMeant(batch) || left === 0) return batch.run()
    left -= 1
    if (when === "after") await batch.run()
    throw lostConnection()
  })
}

/** Every transaction fails with this message. */
export const refusing = (message: string): Database => between(() => Promise.reject(new Error(message)))
