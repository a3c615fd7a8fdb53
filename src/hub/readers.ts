import type { Bindings } from "../env.ts"
import type { Reader, ReaderCtx } from "../events/reader.ts"
import { inboxReader } from "../events/to-inbox.ts"

/** Who reads behind a write, but for the sockets of the hub itself. */
export const readersOf = (env: Bindings): { inbox: Reader; webhooks: Reader } => ({
  inbox: inboxReader(env),
  webhooks: { name: "webhooks", read: () => Promise.resolve() },
})

/** Queues what is owed by now. Resolves with the time at which something is owed next; null: nothing is. */
export const sweepOwed = async (_ctx: ReaderCtx, _env: Bindings): Promise<number | null> => null
