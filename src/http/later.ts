import type { Context } from "hono"
import { logFailure } from "../observability/log.ts"
import type { AppEnv } from "./context.ts"

/** Sends mail after the answer, which neither waits for it nor fails with it. */
export function mailLater(c: Context<AppEnv>, send: () => Promise<void>): void {
  const { requestId, later } = c.var
  later(() => send().catch((error: unknown) => logFailure(requestId, "mail", error)))
}
