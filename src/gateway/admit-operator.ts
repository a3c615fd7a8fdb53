import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { equalSecrets } from "../lib/hmac.ts"
import { policies } from "../limits/policies.ts"
import { bearerToken } from "./authenticate.ts"
import { chargeFailure } from "./limit-rate.ts"

/** Lets in whoever runs the instance, by its own token. A deployment that has none has nothing here. */
export const admitOperator = () =>
  createMiddleware<AppEnv>(async function admitOperator(c, next) {
    const { OPERATOR_TOKEN: expected } = c.var.instance.settings
    if (expected === undefined) throw new DomainError("not_found", "There is nothing at this path")
    const token = bearerToken(c.req.header("authorization"))
    if (token === null || !equalSecrets(token, expected)) {
      await chargeFailure(c, policies.anonymousByAddress)
      throw new DomainError("unauthenticated", "Send the operator's token (Authorization: Bearer …)")
    }
    c.header("cache-control", "no-store")
    await next()
  })
