import { setTimeout as sleep } from "node:timers/promises"
import { sqliteDialect } from "../../src/db/d1.ts"
import type { Database, Engine, Query, Result } from "../../src/db/engine.ts"
import { reasonOf, retryAfterMs } from "../import/api.ts"

export type RemoteD1 = {
  /** Of Cloudflare's API, up to and with the version. */
  baseUrl: string
  token: string
  accountId: string
  databaseId: string
}

type Options = RemoteD1 & { signal: AbortSignal; onWait: (why: string) => void }

type Told = { results?: object[]; meta?: { rows_read?: number; rows_written?: number } }
type Answer = { success?: boolean; result?: Told[]; errors?: { code?: number; message?: string }[] }

const attempts = 8
const callDeadlineMs = 60_000

/** Milliseconds within which a statement either has its answer or has run out of attempts. */
export const remoteDeadlineMs = 10 * 60_000

/** A deployed D1, through Cloudflare's API: what the binding is to a Worker. */
export function remoteD1(options: Options): Database {
  const engine: Engine = {
    dialect: sqliteDialect,
    async send(queries, { signal }) {
      const told = await ask(options, bodyOf(queries), AbortSignal.any([options.signal, signal]))
      return told.map(
        ({ results = [], meta }): Result => ({
          rows: results,
          rowsRead: meta?.rows_read ?? 0,
          rowsWritten: meta?.rows_written ?? 0,
        }),
      )
    },
    ready: () => Promise.resolve(),
    reach: () => undefined,
    bookmark: () => null,
    close: () => Promise.resolve(),
  }
  return { connect: () => engine, connections: null }
}

const single = ({ text, values }: Query) => ({ sql: text, params: values })

const bodyOf = (queries: readonly Query[]): object => {
  const [first, ...rest] = queries
  return first && rest.length === 0 ? single(first) : { batch: queries.map(single) }
}

/** Asks until there is an answer that another try would not change: every statement of a copy may be repeated. */
async function ask(options: Options, body: object, signal: AbortSignal): Promise<Told[]> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await askOnce(options, body, signal)
    if (!("why" in outcome)) return outcome.told
    if (attempt === attempts) throw new Error(outcome.why)
    const ms = outcome.wait ?? Math.random() * Math.min(16_000, 500 * 2 ** (attempt - 1))
    if (ms >= 1_000) options.onWait(`${outcome.why}; next try in ${Math.ceil(ms / 1_000)} s`)
    await sleep(ms, undefined, { signal })
  }
}

type Outcome = { told: Told[] } | { wait: number | null; why: string }

async function askOnce(options: Options, body: object, signal: AbortSignal): Promise<Outcome> {
  const { baseUrl, accountId, databaseId, token } = options
  let response: Response
  let text: string
  try {
    response = await fetch(`${baseUrl}/accounts/${accountId}/d1/database/${databaseId}/query`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(callDeadlineMs)]),
    })
    text = await response.text()
  } catch (error) {
    signal.throwIfAborted()
    return { wait: null, why: `${baseUrl} does not answer (${reasonOf(error)})` }
  }
  const answer = parse(text)
  if (response.ok && answer.success) return { told: answer.result ?? [] }
  const reasons = (answer.errors ?? []).map(({ message, code }) => `${message ?? "no reason given"} (code ${code})`)
  const why = `answered with ${response.status}: ${reasons.join(", ") || "no reason given"}`
  if (response.status === 429 || response.status >= 500) return { wait: retryAfterMs(response.headers), why }
  throw new Error(why)
}

function parse(text: string): Answer {
  try {
    return JSON.parse(text) as Answer
  } catch {
    return {}
  }
}
