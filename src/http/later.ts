import type { Context } from "hono"
import { logFailure } from "../observability/log.ts"
import type { AppEnv } from "./context.ts"

/** Does something after the answer, which neither waits for it nor fails with it. */
export function doLater(c: Context<AppEnv>, task: string, work: () => Promise<void>): void {
  const { requestId, later } = c.var
  later(() => work().catch((error: unknown) => logFailure(requestId, task, error)))
}

export const mailLater = (c: Context<AppEnv>, send: () => Promise<void>): void => doLater(c, "mail", send)
