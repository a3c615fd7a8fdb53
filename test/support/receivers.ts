import { runDurableObjectAlarm } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { Webhook as Verifier } from "standardwebhooks"
import { vi } from "vitest"
import {
  Delivery,
  DeliveryDetails,
  type DeliveryDetailsView,
  type DeliveryView,
  Webhook,
  WebhookMessage,
  type WebhookMessageView,
  WebhookSecrets,
  type WebhookView,
} from "../../src/contracts/webhooks.ts"
import type { Caller } from "./caller.ts"
import { execute } from "./database.ts"

// Receivers at the edge of the network: what is mocked is fetch, and nothing before it.

export type Received = { url: string; headers: Headers; body: string; message: WebhookMessageView }
type Answer = (received: Received) => Response | Promise<Response>

export type Receiver = {
  url: string
  /** What came, in order. */
  received: Received[]
  /** What the next ones are answered, one after the other; 204 when there is none. */
  answers: Answer[]
  types(): string[]
}

const receivers = new Map<string, Receiver>()
/** What names mean. Those of receivers mean a public address, unless a test says otherwise. */
export const names = new Map<string, { status?: number; a?: string[]; aaaa?: string[]; lookup?: () => Response }>()
/** Whatever else was asked for: nothing may go past the table above. */
export const strays: string[] = []

export function mockNetwork(): void {
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init)
    const url = new URL(request.url)
    if (url.host === "cloudflare-dns.com") return lookUp(url.searchParams)
    const receiver = receivers.get(url.host)
    if (!receiver) {
      strays.push(request.url)
      throw new Error("connection refused")
    }
    if (init?.redirect !== "manual" || request.method !== "POST") throw new Error("Not as a delivery is made")
    const body = await request.text()
    const received = {
      url: request.url,
      headers: request.headers,
      body,
      message: WebhookMessage.parse(JSON.parse(body)),
    }
    receiver.received.push(received)
    const answer = await (receiver.answers.shift() ?? (() => new Response(null, { status: 204 })))(received)
    init.signal?.throwIfAborted()
    return answer
  })
}

function lookUp(query: URLSearchParams): Response {
  const name = query.get("name") ?? ""
  const known = names.get(name)
  if (known?.lookup) return known.lookup()
  const isHere = known ?? (receivers.has(name) ? { a: ["93.184.215.14"] } : null)
  if (!isHere) return Response.json({ Status: 3 })
  const [type, found = []] = query.get("type") === "A" ? [1, isHere.a] : [28, isHere.aaaa]
  const alias = { name, type: 5, TTL: 60, data: "edge.example.net." }
  const Answer = [alias, ...found.map((data) => ({ name, type, TTL: 60, data }))]
  return Response.json({ Status: known?.status ?? 0, Answer })
}

export function newReceiver(...answers: Answer[]): Receiver {
  const host = `r${crypto.randomUUID().slice(0, 12)}.example.com`
  const receiver: Receiver = {
    url: `https://${host}/hook`,
    received: [],
    answers,
    types: () => receiver.received.map(({ message }) => message.type),
  }
  receivers.set(host, receiver)
  return receiver
}

export const answering =
  (status: number, headers: Record<string, string> = {}, body: string | null = null): Answer =>
  () =>
    new Response(body, { status, headers })

const ok = async (answer: Response): Promise<unknown> => {
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`)
  return JSON.parse(text)
}

export const webhookIn = async (answer: Response): Promise<WebhookView> => Webhook.parse(await ok(answer))

export const newWebhook = async (caller: Caller, input: Record<string, unknown>): Promise<WebhookView> =>
  webhookIn(await caller.post("/api/v1/webhooks", input))

export const getWebhook = async (caller: Caller, id: string): Promise<WebhookView> =>
  webhookIn(await caller.get(`/api/v1/webhooks/${id}`))

export async function secretsOf(caller: Caller, id: string): Promise<string[]> {
  const { data } = WebhookSecrets.parse(await ok(await caller.get(`/api/v1/webhooks/${id}/secrets`)))
  return data.map(({ secret }) => secret)
}

/** Throws what the library of Standard Webhooks throws for a message that it does not believe. */
export function verify(secret: string, { headers, body }: Received): unknown {
  return new Verifier(secret).verify(body, Object.fromEntries(headers))
}

export async function deliveriesOf(caller: Caller, id: string, query = ""): Promise<DeliveryView[]> {
  const { data } = (await ok(await caller.get(`/api/v1/webhooks/${id}/deliveries${query}`))) as { data: unknown[] }
  return data.map((each) => Delivery.parse(each))
}

export const deliveryOf = async (caller: Caller, id: string, seq: number): Promise<DeliveryDetailsView> =>
  DeliveryDetails.parse(await ok(await caller.get(`/api/v1/webhooks/${id}/deliveries/${seq}`)))

/** Until something is so, while queues carry what they carry. */
export const eventually = (check: () => unknown, timeout = 15_000) => vi.waitFor(check, { timeout, interval: 50 })

/** Makes everything due that a workspace owes, and rings the bell. */
export async function hurry({ workspaceId }: Pick<Caller, "workspaceId">): Promise<void> {
  await execute(
    "update webhook_deliveries set next_attempt_at = 1 where workspace_id = ? and next_attempt_at is not null",
    workspaceId,
  )
  await ring(workspaceId)
}

export const ring = (workspaceId: string) => runDurableObjectAlarm(env.WORKSPACE_HUB.getByName(workspaceId))
