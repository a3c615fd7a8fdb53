import type { Bindings } from "../env.ts"
import type { Reader, ReaderCtx } from "../events/reader.ts"
import { inboxReader } from "../events/to-inbox.ts"
import { sweepDeliveries, toWebhooks } from "../events/to-webhooks.ts"

/** Who reads behind a write, but for the sockets of the hub itself. */
export const readersOf = (env: Bindings): { inbox: Reader; webhooks: Reader } => ({
  inbox: inboxReader(env),
  webhooks: toWebhooks(env.DELIVERIES, env.LETTERS),
})

/** Queues what is owed by now. Resolves with the time at which something is owed next; null: nothing is. */
export const sweepOwed = (ctx: ReaderCtx, env: Bindings): Promise<number | null> => sweepDeliveries(ctx, env.DELIVERIES)
