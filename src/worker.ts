import type { Hono } from "hono"
import { createApp } from "./app.ts"
import { publishedWaits } from "./domain/webhook-outcomes.ts"
import { type Bindings, SettingsError } from "./env.ts"
import { deliverBatch } from "./events/deliver.ts"
import { runJobs } from "./events/jobs/run.ts"
import type { DeliveryMessage, LetterMessage } from "./events/reader.ts"
import { sendLetters } from "./events/send-letters.ts"
import type { AppEnv } from "./http/context.ts"
import { instanceOf } from "./http/problem.ts"
import { type Instance, openInstance } from "./instance.ts"
import { newId } from "./lib/ids.ts"
import { second } from "./lib/time.ts"
import { logFailure } from "./observability/log.ts"

export { UserHub } from "./hub/user-hub.ts"
export { WorkspaceHub } from "./hub/workspace-hub.ts"
export { RateLimiter } from "./limits/rate-limiter.ts"
export { Mailbox } from "./mail/mailbox.ts"

let app: Hono<AppEnv> | undefined
let instance: Instance | undefined

export default {
  async fetch(request, env, ctx) {
    try {
      // The first requests of an isolate may each open it; none waits for another's promise.
      instance ??= await openInstance(env)
      app ??= createApp(instance)
    } catch (error) {
      if (error instanceof SettingsError) return misconfigured(error)
      throw error
    }
    return app.fetch(request, env, ctx)
  },

  async queue(batch, env) {
    instance ??= await openInstance(env)
    switch (batch.queue) {
      case "edgewise-deliveries":
        return deliverBatch(batch as MessageBatch<DeliveryMessage>, deliveringBy(instance))
      case "edgewise-letters":
        return sendLetters(batch as MessageBatch<LetterMessage>, { ...instance, hubs: env.USER_HUB })
      default:
        logFailure(batch.queue, "queue", new Error(`${batch.messages.length} messages were given up`))
    }
  },

  async scheduled(_controller, env) {
    instance ??= await openInstance(env)
    await runJobs(instance)
  },
} satisfies ExportedHandler<Bindings>

function deliveringBy({ settings, ...parts }: Instance) {
  const { READ_ONLY, VERSION, WEBHOOK_TIMEOUT, WEBHOOK_WAITS } = settings
  const waits = WEBHOOK_WAITS?.map((wait) => wait * second) ?? publishedWaits
  const timeoutMs = WEBHOOK_TIMEOUT * second
  return { ...parts, agent: `Edgewise/${VERSION}`, timeoutMs, waits, isReadOnly: READ_ONLY }
}

/** A deployment with wrong settings serves nothing; which ones they are stands in the log, not in the answer. */
function misconfigured(error: SettingsError): Response {
  const requestId = newId("request")
  console.error(JSON.stringify({ level: "error", requestId, error: `${error.name}: ${error.message}` }))
  const problem = {
    type: "urn:edgewise:problem:unavailable",
    title: "Misconfigured",
    status: 503,
    code: "unavailable",
    detail: "This deployment is misconfigured; its log says which setting is wrong",
    instance: instanceOf(requestId),
  }
  return new Response(JSON.stringify(problem), {
    status: 503,
    headers: { "content-type": "application/problem+json", "retry-after": "60", "cache-control": "no-store" },
  })
}
