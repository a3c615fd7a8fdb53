import type { Query, Result, Terms } from "./engine.ts"

/** What a server said to one message: rows as arrays of columns. */
export type Answer = { rows: readonly object[]; rowCount: number | null; command: string }

/** One request's way to one server. */
export type Wire = {
  /** Resolves once there is a connection. */
  ready(): Promise<unknown>
  /** Sends everything at once, and tells what became of each when all are answered. Throws ConnectionLost. */
  send(messages: readonly Query[], signal: AbortSignal): Promise<PromiseSettledResult<Answer>[]>
  close(): Promise<void>
}

const isolation = {
  // One state for all the queries of a page.
  read: "isolation level repeatable read read only",
  // Each statement sees what was committed before it: the first one of a commit waits for the workspace's log.
  write: "isolation level read committed",
}

export const message = (text: string): Query => ({ text, values: [] })

/** The server gives up a statement at the deadline too, so nothing goes on that nobody waits for. */
export const untilDeadline = ({ deadlineMs }: Terms) => `set local statement_timeout = ${Math.ceil(deadlineMs)}`

export const begin = (terms: Terms): Query => message(`begin ${isolation[terms.mode]}; ${untilDeadline(terms)}`)

export const commit = message("commit")

/** Everything in one round trip, and whatever is locked is locked for no round trip at all. */
export async function transact(wire: Wire, queries: readonly Query[], terms: Terms): Promise<Result[]> {
  return resultsOf(answersOf(await wire.send([begin(terms), ...queries, commit], terms.signal)))
}

export function answersOf(settled: readonly PromiseSettledResult<Answer>[]): Answer[] {
  return settled.map((outcome) => {
    // The first that fails is told: those after it only say that the transaction is aborted.
    if (outcome.status === "rejected") throw outcome.reason
    return outcome.value
  })
}

/** Of a transaction, from its beginning to its end. */
export function resultsOf(answers: readonly Answer[]): Result[] {
  // A commit after a failure answers, with what it did instead.
  if (answers.at(-1)?.command !== "COMMIT") throw new Error("The transaction was rolled back")
  return answers.slice(1, -1).map(({ rows, rowCount, command }) => ({
    rows,
    rowsRead: rows.length,
    rowsWritten: command === "SELECT" ? 0 : (rowCount ?? 0),
  }))
}
