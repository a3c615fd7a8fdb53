import type { Context, Input } from "hono"
import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { second } from "../lib/time.ts"
import { addressKey, type Verdict } from "../limits/limiter.ts"
import type { Policy } from "../limits/policies.ts"
import { clientAddress } from "./identify-device.ts"

/** What a request is counted under. `Validated` is what an earlier middleware has checked. */
type KeyOf<Validated extends Input> = (c: Context<AppEnv, string, Validated>) => string | Promise<string>

/**
 * Refuses what goes beyond a policy, and says how much is left in the form of the IETF draft
 * (draft-ietf-httpapi-ratelimit-headers). Fails closed: without its engine nobody signs in.
 */
export const limitRate = <Validated extends Input = Input>(policy: Policy, keyOf: KeyOf<Validated>) =>
  createMiddleware<AppEnv, string, Validated>(async function limitRate(c, next) {
    const { instance, later } = c.var
    const verdict = await instance.limiter.take(policy, await keyOf(c), later).catch((cause: unknown) => {
      throw new DomainError("unavailable", "The rate limiter does not answer", { retryAfter: 5, cause })
    })
    heed(c, verdict)
    await next()
  })

/** Tells the caller what the limiter said. Throws `rate_limited` when that is no. */
export function heed(c: Context<AppEnv>, verdict: Verdict): void {
  tellLimit(c, verdict, { append: true })
  if (verdict.isAllowed) return
  const { name, quota, windowMs } = verdict.policy
  throw new DomainError("rate_limited", `${name}: ${quota} requests in ${windowMs / second} seconds`, {
    retryAfter: verdict.resetMs / second,
  })
}

export const limitAddress = (policy: Policy) =>
  limitRate(policy, (c) => addressKey(clientAddress(c.req.header("cf-connecting-ip"))))

/** Counts those who fail, and only those: nobody pays for it with what works. Throws `rate_limited` beyond the policy. */
export async function chargeFailure(c: Context<AppEnv>, policy: Policy): Promise<void> {
  const address = addressKey(clientAddress(c.req.header("cf-connecting-ip")))
  const { instance, later } = c.var
  // Without the limiter's engine the refusal stands all the same.
  const verdict = await instance.limiter.take(policy, address, later).catch(() => null)
  if (verdict) heed(c, verdict)
}

/** `append`: beside what other policies have told. */
export function tellLimit(c: Context<AppEnv>, verdict: Verdict, options: { append?: boolean } = {}): void {
  const { policy, remaining, resetMs } = verdict
  const { name, quota, windowMs } = policy
  const reset = Math.ceil(resetMs / second)
  c.header("ratelimit-policy", `"${name}";q=${quota};w=${windowMs / second}`, options)
  // The last three say the same in the words of the draft's seventh version, which more clients know; whoever reads
  // structured fields passes over parameters that it does not know.
  const known = `limit=${quota};remaining=${remaining};reset=${reset}`
  c.header("ratelimit", `"${name}";r=${remaining};t=${reset};${known}`, options)
}
