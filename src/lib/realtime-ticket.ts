import { fromBase64Url, toBase64Url, utf8 } from "./bytes.ts"
import { equalSecrets, hmac } from "./hmac.ts"
import { second } from "./time.ts"

/** How long a ticket is good for. */
export const ticketLife = 30 * second

/** Who a ticket lets in, and where. `nonce`: what makes it one of its kind, so that it is used once. */
export type RealtimeTicket = {
  workspaceId: string
  userId: string
  sessionId: string
  keyId: string | null
  nonce: string
  /** Epoch milliseconds. */
  expiresAt: number
}

/** A ticket that nothing needs to be stored for until it is used. */
export async function formatTicket(instanceKey: CryptoKey, ticket: RealtimeTicket): Promise<string> {
  const body = toBase64Url(utf8(JSON.stringify(ticket)))
  return `ewt_${body}.${await macOf(instanceKey, body)}`
}

/** Null for whatever is not a live ticket of this instance. Whether it was used before, its workspace's hub knows. */
export async function parseTicket(instanceKey: CryptoKey, text: string, now: number): Promise<RealtimeTicket | null> {
  const [, body = "", mac = ""] = /^ewt_([\w-]{1,1000})\.([\w-]{43})$/.exec(text) ?? []
  if (!body || !equalSecrets(mac, await macOf(instanceKey, body))) return null
  const bytes = fromBase64Url(body)
  const ticket = bytes && (JSON.parse(new TextDecoder().decode(bytes)) as RealtimeTicket)
  return ticket && ticket.expiresAt > now ? ticket : null
}

const macOf = (instanceKey: CryptoKey, body: string) => hmac(instanceKey, JSON.stringify(["realtime ticket", body]))
