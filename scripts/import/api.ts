import { setTimeout as sleep } from "node:timers/promises"
import type { SignedInView, TokensView } from "../../src/contracts/auth.ts"

/** The API of one server, as somebody who is signed in. Every answer is awaited through busy and broken moments. */
export type Api = {
  /** Every row of a list, page by page. */
  list<Row>(path: string): Promise<Row[]>
  /** Null for what is not there. */
  find<View>(path: string): Promise<View | null>
  /** `isReplay`: an earlier request with this key has done it. */
  create<View>(path: string, body: unknown, key: string): Promise<{ view: View; isReplay: boolean }>
}

export type Account = {
  email: string
  password: string
  /** Whether the password has just been made, so that nobody can be registered with it yet. */
  isNew: boolean
}

type Options = { url: string; account: Account; signal: AbortSignal; onWait: (why: string) => void }

type Problem = { code?: string; detail?: string; instance?: string; errors?: { pointer: string; detail: string }[] }

/** A refusal, in the server's words. */
export class Refused extends Error {
  override name = "Refused"
  readonly status: number

  constructor(method: string, path: string, status: number, problem: Problem) {
    const fields = (problem.errors ?? []).map(({ pointer, detail }) => `\n  ${pointer}: ${detail}`).join("")
    super(
      `${method} ${path} was answered with ${status}: ${problem.detail ?? "no reason given"}${fields}\n  ${problem.instance ?? ""}`.trimEnd(),
    )
    this.status = status
  }
}

/** Thrown when there is no getting through. */
export class Unreachable extends Error {
  override name = "Unreachable"
}

type Request = { method: string; path: string; headers?: Record<string, string>; body?: unknown }
type Answer = { status: number; headers: Headers; body: unknown }

const attempts = 8
const requestDeadlineMs = 60_000
const renewBeforeMs = 30_000
const busy = new Set([429, 502, 503, 504])

/** Signs in, after registering the account when there is none. */
export async function openApi(options: Options): Promise<Api> {
  await mustAnswer(options)
  let session = await signIn(options)

  async function renew(): Promise<void> {
    const { refreshToken } = session
    const answer = await send(options, { method: "POST", path: "/api/v1/auth/refresh", body: { refreshToken } })
    session = answer.status === 200 ? expiring(answer.body as TokensView) : await signIn(options)
  }

  /** As the account. A token that has run out, or that the server does not know any more, is renewed once. */
  async function call(request: Request): Promise<Answer> {
    if (Date.now() > session.expiresAt - renewBeforeMs) await renew()
    const first = await send(options, authorized(request))
    if (first.status !== 401) return first
    await renew()
    return send(options, authorized(request))
  }

  const authorized = (request: Request): Request => ({
    ...request,
    headers: { ...request.headers, authorization: `Bearer ${session.accessToken}` },
  })

  return {
    async list<Row>(path: string) {
      const rows: Row[] = []
      let cursor: string | null = null
      do {
        const query: string = cursor === null ? "" : `${path.includes("?") ? "&" : "?"}cursor=${cursor}`
        const request = { method: "GET", path: `${path}${query}` }
        const page = accept(request, await call(request), 200) as { data: Row[]; next: string | null }
        rows.push(...page.data)
        cursor = page.next
      } while (cursor !== null)
      return rows
    },
    async find<View>(path: string) {
      const request = { method: "GET", path }
      const answer = await call(request)
      return answer.status === 404 ? null : (accept(request, answer, 200) as View)
    },
    async create<View>(path: string, body: unknown, key: string) {
      const request = { method: "POST", path, body, headers: { "idempotency-key": key } }
      const answer = await call(request)
      const view = accept(request, answer, 201) as View
      return { view, isReplay: answer.headers.get("idempotency-replayed") === "true" }
    },
  }
}

/** Asked once, without patience: most often nobody has started the server. */
async function mustAnswer({ url, signal }: Options): Promise<void> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(10_000)])
  const answer = await fetch(`${url}/health/live`, { signal: patience }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new Unreachable(`${url} does not answer (${reasonOf(error)}). Start it with: npm run dev`)
  })
  const { status } = parse(await answer.text()) as { status?: unknown }
  if (status !== "alive") throw new Unreachable(`${url} is not an Edgewise server`)
}

// ---- signing in ----

type Session = TokensView & { expiresAt: number }

const expiring = (tokens: TokensView): Session => ({ ...tokens, expiresAt: Date.now() + tokens.expiresIn * 1_000 })

async function signIn(options: Options): Promise<Session> {
  const { email, password, isNew } = options.account
  const login: Request = { method: "POST", path: "/api/v1/auth/login", body: { email, password } }
  if (!isNew) {
    const answer = await send(options, login)
    if (answer.status !== 401) return expiring(accept(login, answer, 200) as SignedInView)
  }
  const register: Request = {
    method: "POST",
    path: "/api/v1/auth/register",
    body: { email, password, name: "Import" },
  }
  const registered = await send(options, register)
  if (registered.status !== 409) return expiring(accept(register, registered, 201) as SignedInView)
  // Perhaps it was us, and the answer got lost on its way.
  const again = await send(options, login)
  if (again.status === 200) return expiring(again.body as SignedInView)
  throw new Unreachable(`${email} is registered at ${options.url} with another password: give --password`)
}

// ---- requests ----

function accept(request: Request, { status, body }: Answer, expected: number): unknown {
  if (status === expected) return body
  throw new Refused(request.method, request.path.split("?")[0] ?? "", status, body as Problem)
}

/**
 * Sends until there is an answer that another try would not change. Writes carry a key or create what can exist only
 * once, so that repeating one whose answer was lost is harmless.
 */
async function send(options: Options, request: Request): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await sendOnce(options, request)
    if (!("wait" in outcome)) return outcome
    if (attempt === attempts) throw new Unreachable(`${options.url} cannot be worked with: ${outcome.why}`)
    const ms = outcome.wait ?? Math.random() * Math.min(8_000, 250 * 2 ** (attempt - 1))
    if (ms > 2_000) options.onWait(`${outcome.why}; next try in ${Math.ceil(ms / 1_000)} s`)
    await sleep(ms, undefined, { signal: options.signal })
  }
}

/** The answer, or why to wait, and for how long when the server says so. */
async function sendOnce(
  { url, signal }: Options,
  { method, path, headers, body }: Request,
): Promise<Answer | { wait: number | null; why: string }> {
  try {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        "edgewise-source": "import",
        ...headers,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestDeadlineMs)]),
    })
    const text = await answer.text()
    const answered = { status: answer.status, headers: answer.headers, body: parse(text) }
    if (!busy.has(answer.status)) return answered
    const { detail } = answered.body as Problem
    return {
      wait: retryAfterMs(answer.headers),
      why: `answered with ${answer.status} (${detail ?? "no reason given"})`,
    }
  } catch (error) {
    signal.throwIfAborted()
    return { wait: null, why: `no answer (${reasonOf(error)})` }
  }
}

/** RFC 9110, 10.2.3: seconds or a date. */
export function retryAfterMs(headers: Headers): number | null {
  const value = headers.get("retry-after")
  if (value === null) return null
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isFinite(ms) ? Math.max(ms, 0) : null
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  return cause instanceof Error && "code" in cause ? String(cause.code) : error.message
}
