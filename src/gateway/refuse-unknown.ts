import type { Context, Hono } from "hono"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { operationOf } from "../http/contract.ts"

/** 404 for a path that no route has; 405 with Allow for one that other methods have. */
export function refuseUnknown(app: Hono<AppEnv>) {
  let endpoints: { method: string; pattern: RegExp }[] | undefined
  return function refuseUnknown(c: Context<AppEnv>): never {
    endpoints ??= app.routes
      .filter(({ handler }) => operationOf(handler))
      .map(({ method, path }) => ({
        method,
        pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+")}$`),
      }))
    const allowed = endpoints.filter(({ pattern }) => pattern.test(c.req.path)).map(({ method }) => method)
    if (allowed.length === 0) throw new DomainError("not_found", "There is nothing at this path")
    c.header("allow", [...new Set(allowed)].join(", "))
    throw new DomainError("method_not_allowed", `${c.req.method} is not possible here`)
  }
}
