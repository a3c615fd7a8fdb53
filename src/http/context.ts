import type { Db } from "../db/db.ts"
import type { Ctx, IdentityCtx } from "../domain/ctx.ts"
import type { Bindings } from "../env.ts"
import type { Instance } from "../instance.ts"

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
    /** Whether a stored answer was given again. */
    replayed?: boolean
  }
}
