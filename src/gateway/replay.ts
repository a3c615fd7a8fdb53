import type { Context } from "hono"
import { createMiddleware } from "hono/factory"
import type { Idempotency } from "../domain/ctx.ts"
import { DomainError, invalid } from "../domain/errors.ts"
import { findReplay, type Replay } from "../domain/receipts.ts"
import { tagOfRow } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { created } from "../http/created.ts"
import { onError } from "../http/problem.ts"
import { sha256 } from "../lib/hmac.ts"

const headersOfRefusals = ["content-type", "cache-control", "retry-after", "www-authenticate"]
const writes = new Set(["POST", "PUT", "PATCH", "DELETE"])

/**
 * Idempotency-Key: hands the key to the verb, whose commit keeps the receipt. Nothing is looked up before; only when
 * the request is refused, for whatever reason, its receipt is looked for, and the first answer given again.
 */
export const replay = () =>
  createMiddleware<AppEnv>(async function replay(c, next) {
    const key = writes.has(c.req.method) ? parseKey(c.req.header("idempotency-key")) : null
    if (!key) return next()
    const request = [c.req.method, new URL(c.req.url).pathname, await bodyOf(c)]
    const idempotency: Idempotency = { key, fingerprint: await sha256(request.join("\n")) }
    c.set("ctx", { ...c.var.ctx, idempotency })
    await next()
    if (!c.error) return
    const answer = await answerAgain(c, idempotency)
    if (answer) c.res = answer
  })

/** As bytes first: whoever reads the body as text would keep its broken bytes from whoever checks it. */
const bodyOf = async (c: Context) => new TextDecoder().decode(await c.req.arrayBuffer())

async function answerAgain(c: Context<AppEnv>, idempotency: Idempotency): Promise<Response | null> {
  let found: Replay | null
  try {
    found = await findReplay(c.var.ctx, idempotency)
  } catch (error) {
    // A reused key is the caller's mistake; a lookup that failed itself leaves the refusal as it was.
    if (!(error instanceof DomainError)) return null
    c.error = error
    return onError(error, c)
  }
  if (!found) return null
  c.error = undefined
  for (const name of headersOfRefusals) c.header(name, undefined)
  c.header("idempotency-replayed", "true")
  c.set("replayed", true)
  return respond(c, found)
}

function respond(c: Context<AppEnv>, { kind, body }: Replay): Response {
  switch (kind) {
    case "created":
      return created(c, body as { id: string; revision: number })
    case "created_many":
      return c.json(body, 201)
    case "made":
      return c.json(body, 201)
    case "changed": {
      const view = body as { revision: number }
      if ("revision" in view) c.header("etag", tagOfRow(view))
      return c.json(body, 200)
    }
    case "empty":
      return c.body(null, 204)
  }
}

/** The draft's quoted string, or the bare text that most clients send. 1 to 255 printable ASCII characters. */
function parseKey(header: string | undefined): string | null {
  if (header === undefined) return null
  const text = header.trim()
  const key = /^"(.*)"$/.exec(text)?.[1] ?? text
  if (/^[\x20-\x7e]{1,255}$/.test(key)) return key
  throw invalid({ pointer: "Idempotency-Key", detail: "must have 1 to 255 printable ASCII characters" })
}
