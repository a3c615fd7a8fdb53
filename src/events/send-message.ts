import type { AttemptView } from "../contracts/webhooks.ts"
import type { Attempted } from "../domain/webhook-attempts.ts"
import { byteLength, utf8 } from "../lib/bytes.ts"

/** How much of a request and of an answer the log keeps. */
const keptBytes = 1_024
/** How much of an answer is read at all. */
const readBytes = 65_536
/** The headers of an answer that say something about it. */
const keptHeaders = ["content-type", "retry-after", "location", "server"]
const longestHeader = 200

type Sent = { url: string; headers: Record<string, string>; body: string }
type Options = { send: typeof fetch; timeoutMs: number; now: () => number }

/** Makes the request and tells what came of it; never throws. Redirects are not followed: they were not looked up. */
export async function sendMessage({ url, headers, body }: Sent, { send, timeoutMs, now }: Options): Promise<Attempted> {
  const request = { url, headers, bytes: byteLength(body), body: beginningOf(utf8(body)) }
  const start = now()
  const signal = AbortSignal.timeout(timeoutMs)
  const attempted = { request, isFinal: false, status: null, response: null, retryAfter: null, error: null }
  try {
    const answer = await send(url, { method: "POST", headers, body, redirect: "manual", signal })
    const response = { headers: headersOf(answer), body: beginningOf(await readBeginning(answer.body)) }
    const { status } = answer
    return { ...attempted, status, response, retryAfter: answer.headers.get("retry-after"), durationMs: now() - start }
  } catch (error) {
    const why = signal.aborted ? `No answer in ${timeoutMs} ms` : `No connection: ${messageOf(error)}`
    return { ...attempted, error: why, durationMs: now() - start }
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : "unknown").slice(0, longestHeader)

/** What was read until it ended, broke off or was enough: the status alone decides. */
async function readBeginning(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  if (!body) return new Uint8Array()
  const kept = new Uint8Array(keptBytes)
  let read = 0
  const reader = body.getReader()
  try {
    while (read < readBytes) {
      const { done, value } = await reader.read()
      if (done) break
      if (read < keptBytes) kept.set(value.subarray(0, keptBytes - read), read)
      read += value.byteLength
    }
  } catch {
    // The answer was there; that its body was not is no failure of the delivery.
  }
  await reader.cancel().catch(() => null)
  return kept.subarray(0, Math.min(read, keptBytes))
}

/** As text that every database takes: NUL is not among it. */
const beginningOf = (bytes: Uint8Array): string =>
  new TextDecoder().decode(bytes.subarray(0, keptBytes)).replaceAll("\0", "\ufffd")

const headersOf = ({ headers }: Response): NonNullable<AttemptView["response"]>["headers"] =>
  Object.fromEntries(
    keptHeaders.flatMap((name) => {
      const value = headers.get(name)?.slice(0, longestHeader)
      return value ? [[name, value]] : []
    }),
  )
