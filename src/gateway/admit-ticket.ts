import { createMiddleware } from "hono/factory"
import { DomainError } from "../domain/errors.ts"
import type { AppEnv } from "../http/context.ts"
import { parseTicket } from "../lib/realtime-ticket.ts"
import { policies } from "../limits/policies.ts"
import { admitCaller } from "./admit-caller.ts"
import { chargeFailure } from "./limit-rate.ts"

/** Lets in who brings a ticket, which browsers can send with a WebSocket; everybody else as to any other route. */
export const admitTicket = () => {
  const admit = admitCaller()
  return createMiddleware<AppEnv>(async function admitTicket(c, next) {
    const text = c.req.query("ticket")
    if (text === undefined) return admit(c, next)
    const { instance } = c.var
    const ticket = await parseTicket(instance.instanceKey, text, instance.now())
    if (!ticket) {
      await chargeFailure(c, policies.anonymousByAddress)
      throw new DomainError("unauthenticated", "This ticket is not valid (any more)")
    }
    c.set("ticket", ticket)
    return next()
  })
}
