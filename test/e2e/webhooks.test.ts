import { once } from "node:events"
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Webhook as Verifier } from "standardwebhooks"
import { afterAll, beforeAll, expect, it, vi } from "vitest"
import { DeliveryDetails, WebhookMessage, WebhookSecrets } from "../../src/contracts/webhooks.ts"
import { type Server, startServer } from "../support/server.ts"

// A real server, a real queue, a real receiver: which fails in four ways and then takes it.

type Came = { at: number; headers: Record<string, string>; body: string }

let server: Server
let receiver: HttpServer
const came: Came[] = []

const answers: ((answer: ServerResponse, request: IncomingMessage) => void)[] = [
  (answer) => answer.writeHead(500).end("broken"),
  // Silent for longer than the server waits.
  () => undefined,
  (_answer, request) => request.socket.destroy(),
  (answer) => answer.writeHead(429, { "retry-after": "3" }).end(),
]

beforeAll(async () => {
  receiver = createServer(async (request, answer) => {
    let body = ""
    for await (const chunk of request) body += chunk
    came.push({ at: Date.now(), headers: request.headers as Record<string, string>, body })
    const next = answers.shift() ?? ((last: ServerResponse) => last.writeHead(200).end("thanks"))
    next(answer, request)
  })
  receiver.listen(0, "127.0.0.1")
  await once(receiver, "listening")
  server = await startServer({ vars: { WEBHOOK_TIMEOUT: "1", WEBHOOK_WAITS: "1,1,1,1,1" } })
})

afterAll(async () => {
  await server?.stop()
  receiver?.closeAllConnections()
  receiver?.close()
})

const send = async (path: string, method: string, token: string | null, body?: object) => {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  expect(answer.ok, `${method} ${path}: ${text}`).toBe(true)
  return text ? JSON.parse(text) : null
}

it("a receiver that fails in four ways gets the message all the same, signed anew each time", async () => {
  const account = { email: "hook@example.com", password: "a long passphrase", name: "Ada" }
  const { accessToken: token, workspace } = await send("/auth/register", "POST", null, account)
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
  const { id } = await send("/webhooks", "POST", token, { url, events: ["task.created"] })
  await send(`/webhooks/${id}/secrets`, "POST", token)
  const secrets = WebhookSecrets.parse(await send(`/webhooks/${id}/secrets`, "GET", token)).data
  expect(secrets).toHaveLength(2)
  const task = await send("/tasks", "POST", token, { projectId: workspace.inboxId, title: "Tell them" })

  await vi.waitFor(() => expect(came).toHaveLength(5), { timeout: 60_000, interval: 100 })
  for (const { headers, body } of came) {
    for (const { secret } of secrets) {
      const message = WebhookMessage.parse(new Verifier(secret).verify(body, headers))
      expect(message).toMatchObject({ type: "task.created", data: { subjectId: task.id } })
    }
  }
  const timestamps = came.map(({ headers }) => Number(headers["webhook-timestamp"]))
  expect(new Set(came.map(({ headers }) => headers["webhook-id"])).size).toBe(1)
  expect(timestamps).toEqual(timestamps.toSorted((a, b) => a - b))
  expect(new Set(timestamps).size).toBeGreaterThan(2)
  expect((came[4]?.at ?? 0) - (came[3]?.at ?? 0)).toBeGreaterThanOrEqual(3_000)

  const { seq } = WebhookMessage.parse(JSON.parse(came[0]?.body ?? "")).data
  const path = `/webhooks/${id}/deliveries/${seq}`
  const details = await vi.waitFor(async () => {
    const delivery = DeliveryDetails.parse(await send(path, "GET", token))
    expect(delivery).toMatchObject({ status: "delivered", attempts: 5, lastStatus: 200, nextAttemptAt: null })
    return delivery
  })
  const transcript = details.log.map(({ attempt, status, error }) => `${attempt}: ${status ?? error}`).toReversed()
  expect(transcript).toEqual([
    "1: 500",
    "2: No answer in 1000 ms",
    // Between the Worker and this machine stands a proxy of wrangler's, which turns a broken connection into 500.
    expect.stringMatching(/^3: (?:No connection: .*|500)$/),
    "4: 429",
    "5: 200",
  ])

  await send(`${path}/replays`, "POST", token)
  await vi.waitFor(() => expect(came).toHaveLength(6), { timeout: 30_000, interval: 100 })
  expect(came[5]?.headers["webhook-id"]).toBe(came[0]?.headers["webhook-id"])
})
