import { type Client, createClient } from "../../src/client/client.ts"
import type { Socket } from "../../src/client/realtime.ts"
import { ServerMessage, type ServerMessageView } from "../../src/contracts/realtime.ts"
import type { TestApp } from "./app.ts"
import type { Caller } from "./caller.ts"

/** The product's client as this caller, over the app and without a network. */
export const clientOf = ({ app, accessToken }: Caller): Client =>
  createClient({
    url: "https://edgewise.test",
    token: () => accessToken,
    fetch: (url, init) => app.fetch(url.replace("https://edgewise.test", ""), init),
  })

/** What the client opens sockets with. */
export const connectTo =
  (app: TestApp) =>
  async (url: string): Promise<Socket> => {
    const { pathname, search } = new URL(url)
    const answer = await app.fetch(`${pathname}${search}`, { headers: { upgrade: "websocket" } })
    if (!answer.webSocket) throw new Error(`No socket: ${answer.status} ${await answer.text()}`)
    answer.webSocket.accept()
    return answer.webSocket as unknown as Socket
  }

/** A socket by hand: what came over it, in order, and how it ended. */
export type Line = {
  socket: WebSocket
  messages: ServerMessageView[]
  closed: { code: number; reason: string } | null
  /** Resolves once `isThere` holds of what came; throws when that takes too long. */
  until(isThere: (line: Line) => boolean, ms?: number): Promise<void>
  events(): Extract<ServerMessageView, { actor: object }>[]
}

export async function openLine(caller: Caller, query = ""): Promise<Line> {
  const answer = await caller.get(`/api/v1/realtime${query}`, { upgrade: "websocket" })
  const { webSocket: socket } = answer
  if (!socket) throw new Error(`No socket: ${answer.status} ${await answer.text()}`)
  socket.accept()
  const waiting = new Set<() => void>()
  const changed = () => {
    for (const look of waiting) look()
  }
  const line: Line = {
    socket,
    messages: [],
    closed: null,
    events: () => line.messages.filter((message) => "actor" in message),
    until: (isThere, ms = 10_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`Not within ${ms} ms; came: ${JSON.stringify([line.messages, line.closed])}`))
        }, ms)
        const look = () => {
          if (!isThere(line)) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
  }
  socket.addEventListener("message", ({ data }) => {
    if (data === "pong") return
    line.messages.push(ServerMessage.parse(JSON.parse(String(data))))
    changed()
  })
  socket.addEventListener("close", ({ code, reason }) => {
    line.closed = { code, reason }
    changed()
  })
  return line
}

/** A line that is told live from now on. */
export async function liveLine(caller: Caller, query = ""): Promise<Line> {
  const line = await openLine(caller, query)
  await line.until(({ messages }) => messages.some(({ type }) => type === "ready"))
  return line
}

export const typesOn = (line: Line): string[] => line.events().map(({ type }) => type)
