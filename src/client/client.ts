import type * as z from "zod"
import type { Problem as ProblemSchema } from "../contracts/common.ts"

type Problem = z.output<typeof ProblemSchema>

/** Thrown for every answer that is not a success. `code` is stable; `status` 0 means that no answer came. */
export class EdgewiseError extends Error {
  override name = "EdgewiseError"
  readonly status: number
  readonly code: string
  readonly problem: Problem | null

  constructor(status: number, problem: Problem | null, cause?: unknown) {
    super(problem?.detail ?? `The server answered ${status}`, { cause })
    this.status = status
    this.code = problem?.code ?? "unknown"
    this.problem = problem
  }
}

type Options = {
  /** Where the API is, such as `https://tasks.example.com`. */
  url: string
  /**
   * An access token or an API key, asked for each request. After a 401 it is asked once more, and told that the one
   * before has expired.
   */
  token: (isExpired: boolean) => string | Promise<string>
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

type Init = { body?: unknown; headers?: Record<string, string> }

export type Client = {
  url: string
  /** The JSON of a successful answer; undefined for an empty one. Throws EdgewiseError. */
  request<Answer>(method: string, path: string, init?: Init): Promise<Answer>
}

/**
 * Calls the API, and sees to it that what it has written or read once is never older afterwards: it sends the bookmark
 * of the last answer with every request.
 */
export function createClient({ url, token, fetch: send = (target, init) => fetch(target, init) }: Options): Client {
  const origin = url.replace(/\/$/, "")
  let bookmark: string | null = null

  async function attempt(method: string, path: string, { body, headers = {} }: Init, isExpired: boolean) {
    const answer = await send(`${origin}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await token(isExpired)}`,
        ...(bookmark !== null && { "edgewise-bookmark": bookmark }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    bookmark = answer.headers.get("edgewise-bookmark") ?? bookmark
    return answer
  }

  return {
    url: origin,
    async request<Answer>(method: string, path: string, init: Init = {}): Promise<Answer> {
      let answer = await attempt(method, path, init, false)
      if (answer.status === 401) answer = await attempt(method, path, init, true)
      const text = await answer.text()
      if (!answer.ok) throw new EdgewiseError(answer.status, problemIn(answer, text))
      return (text === "" ? undefined : JSON.parse(text)) as Answer
    },
  }
}

const problemIn = (answer: Response, text: string): Problem | null =>
  answer.headers.get("content-type")?.startsWith("application/problem+json") ? (JSON.parse(text) as Problem) : null
