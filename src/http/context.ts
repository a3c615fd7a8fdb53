import type { Shown } from "../cache/responses.ts"
import type { Db } from "../db/db.ts"
import type { Ctx, IdentityCtx } from "../domain/ctx.ts"
import type { Bindings } from "../env.ts"
import type { Instance } from "../instance.ts"
import type { RealtimeTicket } from "../lib/realtime-ticket.ts"

/** As in the header X-Cache; who had it: the isolate, or a query of somebody who wanted the same. */
export type Cached = { how: "HIT" | "MISS" | "BYPASS" | "STALE"; tier?: "isolate" | "flight" }

export type AppEnv = {
  Bindings: Bindings
  Variables: {
    requestId: string
    instance: Instance
    db: Db
    /** Leaves work for after the answer, with the request's database still open. */
    later: (work: () => Promise<unknown>) => void
    /** For those who are signed in. */
    ctx: Ctx
    /** For those who are about to be. */
    identity: IdentityCtx
    /** For those who came with one instead of a token. */
    ticket?: RealtimeTicket
    /** Whether a stored answer was given again. */
    replayed?: boolean
    /** What is answered, where it can be kept. */
    shown?: Shown
    /** Where an answer to a GET came from. */
    cache?: Cached
  }
}
