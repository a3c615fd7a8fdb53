import pg from "pg"
import { minute, second } from "../lib/time.ts"
import { columnsOfKey } from "./constraints.ts"
import type { Connections, Database, Engine, Query } from "./engine.ts"
import { ConnectionLost, classify } from "./errors.ts"
import { postgresDialect } from "./postgres-dialect.ts"
import { replicatedEngine, restFor } from "./postgres-replica.ts"
import { type Answer, transact, type Wire } from "./postgres-transaction.ts"

const connectTimeoutMs = 5 * second

const uniqueViolation = "23505"
const int8 = 20
// Every number of ours is one that JavaScript can hold.
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === int8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
}

/** A connection: how many transactions are under way on it, since when it is being made, and when it is over. */
type Link = {
  client: pg.Client
  state: "waiting" | "open"
  busy: number
  since: number
  ended: Promise<void>
  /** Closes the socket without a word: the server has stopped answering, or nobody waits for the answer. */
  destroy(): Promise<void>
}

// No request lasts so long. Of one whose runtime was taken away in the middle, nobody hears that it has ended.
const linkLifeMs = minute

/**
 * Postgres, by its connection string, and that of a replica where there is one. A socket cannot be used by another
 * request than the one that opened it, so every request connects anew, when it first asks: to Hyperdrive, which is near
 * and keeps the real connections.
 */
export function postgresDatabase(connectionString: string, now = Date.now, replicaString?: string): Database {
  const links = new Set<Link>()
  const rest = restFor(now)
  const wireTo = (to: string) => wireOver(() => openLink(to, links, now()))
  return {
    connect(from) {
      const primary = wireTo(connectionString)
      if (!replicaString) return engineOver(primary)
      return replicatedEngine({ primary, replica: wireTo(replicaString), rest }, from ?? null)
    },
    connections: () => count(links, now()),
  }
}

const engineOver = (wire: Wire): Engine => ({
  dialect: postgresDialect,
  ready: () => wire.ready(),
  send: (queries, terms) => transact(wire, queries, terms),
  reach: () => undefined,
  bookmark: () => null,
  close: () => wire.close(),
})

function count(links: Set<Link>, now: number): Connections {
  for (const link of links) if (now - link.since > linkLifeMs) links.delete(link)
  const open = [...links].filter(({ state }) => state === "open")
  return {
    open: open.length,
    idle: open.filter(({ busy }) => busy === 0).length,
    waiting: links.size - open.length,
  }
}

function wireOver(open: () => Link): Wire {
  let current: Promise<Link> | null = null
  const abandoned: Promise<unknown>[] = []

  /** The connection at hand, or a new one. */
  function connected(): Promise<Link> {
    if (current) return current
    const link = open()
    const made = connect(link)
    // The next to ask connects anew, unless somebody has done so already. What the server said may be its last word
    // without closing the socket, and nobody would hear that after the request.
    link.client.once("error", () => {
      forget(made)
      abandoned.push(link.destroy())
    })
    void link.ended.then(() => forget(made))
    current = made
    return made
  }
  function forget(lost: Promise<Link>): void {
    if (current === lost) current = null
  }

  return {
    ready: connected,
    async send(messages, signal) {
      const attempt = connected()
      const abandon = () => {
        forget(attempt)
        abandoned.push(
          attempt.then(
            (link) => link.destroy(),
            () => undefined,
          ),
        )
      }
      signal.addEventListener("abort", abandon)
      try {
        const link = await attempt
        // Whoever has given up while it was connecting must not be surprised by what is written later.
        signal.throwIfAborted()
        const settled = await sendAll(link, messages)
        const failure = settled.find(({ status }) => status === "rejected")
        if (failure?.status === "rejected" && isOver(failure.reason)) abandon()
        return settled
      } catch (error) {
        if (isOver(error)) abandon()
        throw error
      } finally {
        signal.removeEventListener("abort", abandon)
      }
    },
    async close() {
      const last = current
      current = null
      const link = await last?.catch(() => null)
      await Promise.all([link && Promise.all([link.client.end(), link.ended]), ...abandoned])
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

/** Whether the connection is of no use after this error: the server ends it, or says nothing more. */
const isOver = (error: unknown) => ["lost", "overloaded"].includes(classify(error).kind)

function openLink(connectionString: string, links: Set<Link>, since: number): Link {
  const client = new pg.Client({
    connectionString,
    pipeline: true,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: "edgewise",
    types,
  })
  // Whoever waits for an answer is told by its own promise; without a listener the error would end the process.
  client.on("error", () => undefined)
  const ended = new Promise<void>((resolve) => client.once("end", () => resolve()))
  const link: Link = {
    client,
    state: "waiting",
    busy: 0,
    since,
    ended,
    destroy() {
      links.delete(link)
      const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection
      stream.destroy()
      return ended
    },
  }
  links.add(link)
  void ended.then(() => links.delete(link))
  return link
}

async function connect(link: Link): Promise<Link> {
  try {
    await link.client.connect()
    link.state = "open"
    return link
  } catch (error) {
    void link.destroy()
    throw told(error)
  }
}

/** Sends everything at once and then waits. */
async function sendAll(link: Link, messages: readonly Query[]): Promise<PromiseSettledResult<Answer>[]> {
  const { client } = link
  link.busy += 1
  try {
    const answers = messages.map(({ text, values }) => client.query<unknown[]>({ text, values, rowMode: "array" }))
    const settled = await Promise.allSettled(answers)
    return settled.map((outcome) =>
      outcome.status === "fulfilled" ? outcome : { ...outcome, reason: told(outcome.reason) },
    )
  } finally {
    link.busy -= 1
  }
}
