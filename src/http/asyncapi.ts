import type * as z from "zod"
import {
  AckMessage,
  EventMessage,
  LookMessage,
  PresenceMessage,
  ReadyMessage,
  ResyncMessage,
} from "../contracts/realtime.ts"
import { WebhookMessage } from "../contracts/webhooks.ts"
import { type Json, schemaOf } from "./schemas.ts"

type Channel = {
  address: string | null
  description: string
  /** What the server sends, and what it takes. */
  sends: Record<string, z.ZodType>
  takes: Record<string, z.ZodType>
}

const channels: Record<string, Channel> = {
  realtime: {
    address: "/api/v1/realtime",
    description:
      "A WebSocket. Take a ticket (POST /api/v1/realtime/tickets) and open it with `?ticket=`, or send an Authorization header. `?since=` tells first what came after that number of the log. Say `ping` to be answered with `pong`. Acknowledge what you receive: of more than 1,048,576 characters that are not acknowledged the socket ends with 4408. It also ends with 4400 (not a message), 4401 (credentials ended: come back with a new ticket), 4403 (not a member any more) and 4429 (too many messages).",
    sends: { Event: EventMessage, Ready: ReadyMessage, Resync: ResyncMessage, Presence: PresenceMessage },
    takes: { Ack: AckMessage, Look: LookMessage },
  },
  webhooks: {
    address: null,
    description:
      "A POST to the URL of a webhook (POST /api/v1/webhooks), signed as Standard Webhooks says: `webhook-id` stays the same over all attempts, `webhook-timestamp` and `webhook-signature` are made anew for each.",
    sends: { Webhook: WebhookMessage },
    takes: {},
  },
}

/** The AsyncAPI 3.0 document of what is not request and response, from the schemas that check it. */
export function asyncApi(version: string): Json {
  const described = Object.entries(channels)
  const schemas: Json = {}
  const messages: Json = Object.assign(
    {},
    ...described.map(([, { sends, takes }]) => messagesOf({ ...sends, ...takes }, schemas)),
  )
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Edgewise",
      version,
      description: "What Edgewise tells without being asked.",
      license: { name: "MIT" },
    },
    defaultContentType: "application/json",
    servers: {
      deployment: {
        host: "{host}",
        protocol: "wss",
        variables: { host: { default: "127.0.0.1:8787", description: "Where the API is" } },
      },
    },
    channels: Object.fromEntries(described.map(([name, channel]) => [name, channelOf(name, channel)])),
    operations: Object.assign({}, ...described.map(([name, channel]) => operationsOf(name, channel))),
    components: { messages, schemas },
  }
}

const refTo = (...path: string[]) => ({ $ref: `#/${path.join("/")}` })

function channelOf(name: string, { address, description, sends, takes }: Channel): Json {
  const names = Object.keys({ ...sends, ...takes })
  return {
    title: name,
    address,
    description,
    messages: Object.fromEntries(names.map((message) => [message, refTo("components", "messages", message)])),
  }
}

const operationsOf = (name: string, { sends, takes }: Channel): Json => ({
  [`${name}Sends`]: operation("send", name, Object.keys(sends)),
  ...(Object.keys(takes).length > 0 && { [`${name}Takes`]: operation("receive", name, Object.keys(takes)) }),
})

const operation = (action: "send" | "receive", channel: string, messages: string[]): Json => ({
  action,
  channel: refTo("channels", channel),
  messages: messages.map((message) => refTo("channels", channel, "messages", message)),
})

const messagesOf = (messages: Record<string, z.ZodType>, schemas: Json): Json =>
  Object.fromEntries(
    Object.entries(messages).map(([name, schema]) => [name, { name, payload: schemaOf(schema, "output", schemas) }]),
  )
