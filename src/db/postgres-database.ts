import pg from "pg"
import { second } from "../lib/time.ts"
import { columnsOfKey } from "./constraints.ts"
import type { Connections, Database, Engine, Query, Result, Terms } from "./engine.ts"
import { ConnectionLost } from "./errors.ts"
import { postgresDialect } from "./postgres-dialect.ts"

const connectTimeoutMs = 5 * second

const uniqueViolation = "23505"
const int8 = 20
// Every number of ours is one that JavaScript can hold.
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === int8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
}

/**
 * Postgres, by its connection string. A socket cannot be used by another request than the one that opened it, so every
 * request connects anew, when it first asks: to Hyperdrive, which is near and keeps the real connections.
 */
export function postgresDatabase(connectionString: string): Database {
  const connections = { open: 0, idle: 0, waiting: 0 }
  return { connections, connect: () => postgresEngine(connectionString, connections) }
}

function postgresEngine(connectionString: string, connections: Connections): Engine {
  let current: Promise<pg.Client> | null = null

  /** The client at hand, or a new one. */
  function connected(): Promise<pg.Client> {
    if (current) return current
    const made = connect(connectionString, connections, () => forget(made))
    current = made
    return made
  }
  /** The next to ask connects anew, unless somebody has done so already. */
  function forget(lost: Promise<pg.Client>): void {
    if (current === lost) current = null
  }

  return {
    dialect: postgresDialect,
    ready: connected,
    async send(queries, terms) {
      const attempt = connected()
      const abandon = () => {
        forget(attempt)
        attempt.then(destroy, () => undefined)
      }
      terms.signal.addEventListener("abort", abandon)
      try {
        return await transact(await attempt, queries, terms, connections)
      } catch (error) {
        if (isOver(error)) abandon()
        throw error
      } finally {
        terms.signal.removeEventListener("abort", abandon)
      }
    },
    async close() {
      const open = current
      current = null
      const client = await open?.catch(() => null)
      await client?.end()
    },
  }
}

/** What the server said, with the columns of a broken key. What else is said, but of an answer, is of the connection. */
function told(error: unknown): unknown {
  if (error instanceof pg.DatabaseError) {
    return error.code === uniqueViolation ? Object.assign(error, { columns: columnsOfKey(error.constraint) }) : error
  }
  return error instanceof SyntaxError ? error : new ConnectionLost(error)
}

/** Whether the connection is of no use after this error: the server said so, or says nothing more. */
const isOver = (error: unknown) =>
  error instanceof ConnectionLost || (error instanceof pg.DatabaseError && error.severity !== "ERROR")

async function connect(connectionString: string, connections: Connections, onLost: () => void): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    pipeline: true,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: "edgewise",
    types,
  })
  // Whoever waits for an answer is told by its own promise; without a listener the error would end the process.
  client.on("error", onLost)
  connections.waiting += 1
  try {
    await client.connect()
  } catch (error) {
    destroy(client)
    onLost()
    throw told(error)
  } finally {
    connections.waiting -= 1
  }
  connections.open += 1
  connections.idle += 1
  client.once("end", () => {
    connections.open -= 1
    connections.idle -= 1
    onLost()
  })
  return client
}

/** Closes the socket without a word: the server has stopped answering, or nobody waits for the answer. */
function destroy(client: pg.Client): void {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection
  stream.destroy()
}

const isolation = {
  // One state for all the queries of a page.
  read: "isolation level repeatable read read only",
  // Each statement sees what was committed before it: the first one of a commit waits for the workspace's log.
  write: "isolation level read committed",
}

/**
 * Sends everything at once and then waits: one round trip, and whatever is locked is locked for no round trip at all.
 * The server gives up a statement at the deadline too, so nothing goes on that nobody waits for.
 */
async function transact(
  client: pg.Client,
  queries: readonly Query[],
  { mode, deadlineMs }: Terms,
  connections: Connections,
): Promise<Result[]> {
  connections.idle -= 1
  try {
    const answers = [
      client.query(`begin ${isolation[mode]}; set local statement_timeout = ${Math.ceil(deadlineMs)}`),
      ...queries.map(({ text, values }) => client.query<unknown[]>({ text, values, rowMode: "array" })),
      client.query("commit"),
    ]
    const settled = await Promise.allSettled<pg.QueryResult | pg.QueryArrayResult<unknown[]>>(answers)
    const results = settled.map((outcome) => {
      // The first that fails is told: those after it only say that the transaction is aborted.
      if (outcome.status === "rejected") throw told(outcome.reason)
      return outcome.value
    })
    // A commit after a failure answers, with what it did instead.
    if (results.at(-1)?.command !== "COMMIT") throw new Error("The transaction was rolled back")
    return results.slice(1, -1).map(({ rows, rowCount, command }) => ({
      rows,
      rowsRead: rows.length,
      rowsWritten: command === "SELECT" ? 0 : (rowCount ?? 0),
    }))
  } finally {
    connections.idle += 1
  }
}
