import { Hono } from "hono"
import { RealtimeQuery, Ticket } from "../contracts/realtime.ts"
import { DomainError } from "../domain/errors.ts"
import { permit } from "../domain/permissions.ts"
import { admitTicket } from "../gateway/admit-ticket.ts"
import type { AppEnv } from "../http/context.ts"
import { operation, query } from "../http/contract.ts"
import { formatTicket, ticketLife } from "../lib/realtime-ticket.ts"
import { hour, second } from "../lib/time.ts"

/** How long a socket lives at most; its client opens another one. */
const socketLife = 12 * hour

/** For those who are signed in. */
export const ticketRoutes = new Hono<AppEnv>()

ticketRoutes.post("/realtime/tickets", operation("Take a ticket for a WebSocket", Ticket, 201), async (c) => {
  const { ctx, instance } = c.var
  permit(ctx, "event:read")
  const { userId, sessionId, apiKey } = ctx.actor
  const expiresAt = ctx.now() + ticketLife
  const nonce = crypto.randomUUID()
  const who = { workspaceId: ctx.workspaceId, userId, sessionId, keyId: apiKey?.id ?? null }
  const ticket = await formatTicket(instance.instanceKey, { ...who, nonce, expiresAt })
  return c.json({ ticket, expiresIn: ticketLife / second }, 201, { "cache-control": "no-store" })
})

/** Admits by itself, because a ticket stands in the query. */
export const realtimeRoutes = new Hono<AppEnv>()

realtimeRoutes.get(
  "/realtime",
  operation("Open a WebSocket that tells what happens", null, 101, {
    description: "`/asyncapi.json` says what goes over it.",
  }),
  admitTicket(),
  query(RealtimeQuery),
  async (c) => {
    const { instance, ticket } = c.var
    const { since = null } = c.req.valid("query")
    const until = instance.now() + socketLife
    const { workspaceId, seat } = ticket
      ? { workspaceId: ticket.workspaceId, seat: seatOf(ticket) }
      : { workspaceId: c.var.ctx.workspaceId, seat: seatOfCaller(c.var.ctx) }
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      throw new DomainError("upgrade_required", "This is a WebSocket: send Upgrade: websocket")
    }
    const nonce = ticket?.nonce ?? null
    const answer = await instance.hubs.open({ workspaceId, since, nonce, seat: { ...seat, until } })
    if (answer.status === 409) throw new DomainError("unauthenticated", "This ticket has been used")
    if (answer.status === 429) {
      throw new DomainError("rate_limited", "Too many sockets are open: close some of them", { retryAfter: 60 })
    }
    if (answer.status === 503) throw new DomainError("unavailable", "The database does not answer", { retryAfter: 2 })
    // A new one, because the headers of an answer from afar cannot be changed.
    return new Response(null, { status: 101, webSocket: answer.webSocket })
  },
)

const seatOf = ({ userId, sessionId, keyId }: { userId: string; sessionId: string; keyId: string | null }) => ({
  userId,
  sessionId,
  keyId,
})

function seatOfCaller(ctx: AppEnv["Variables"]["ctx"]) {
  permit(ctx, "event:read")
  const { userId, sessionId, apiKey } = ctx.actor
  return { userId, sessionId, keyId: apiKey?.id ?? null }
}
