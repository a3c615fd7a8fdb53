import { createServer as createHttpServer } from "node:http"
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net"

export type SlowProxy = { port: number; control: string; stop(): Promise<void> }

const listening = (server: { address(): AddressInfo | string | null }) => (server.address() as AddressInfo).port

/** An ErrorResponse of Postgres' protocol: "terminating connection due to administrator command". */
const lastWord = Buffer.from("E\0\0\0\x20SFATAL\0C57P01\0Mterminating\0\0", "latin1")

/**
 * Stands between a client and a server, so far from both that every byte takes `delayMs` each way, and counts round
 * trips: how often the server answered something that was sent after its last answer. `GET control` tells the trips of
 * each connection since the last time, oldest first; `POST control` tells every client in the
 * server's name that it is over, and keeps the socket; `DELETE control` breaks every connection.
 */
export async function startSlowProxy(target: number, delayMs: number): Promise<SlowProxy> {
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  let trips: { count: number }[] = []

  const proxy = createServer((client) => {
    const server = dial(target, "127.0.0.1")
    const trip = { count: 0 }
    let isAsked = false
    clients.add(client)
    client.on("close", () => clients.delete(client))
    trips.push(trip)
    const later = (work: () => void) => setTimeout(work, delayMs)
    client.on("data", (data) => {
      isAsked = true
      later(() => server.write(data))
    })
    server.on("data", (data) => {
      if (isAsked) trip.count += 1
      isAsked = false
      later(() => client.write(data))
    })
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(from)
      from.setNoDelay()
      from.on("error", () => to.destroy())
      from.on("end", () => later(() => to.end()))
      from.on("close", () => sockets.delete(from))
    }
  })
  const control = createHttpServer((request, response) => {
    if (request.method === "POST") for (const client of clients) client.write(lastWord)
    if (request.method === "DELETE") for (const client of clients) client.resetAndDestroy()
    response.end(JSON.stringify(trips.map(({ count }) => count)))
    trips = []
  })
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  await new Promise<void>((resolve) => control.listen(0, "127.0.0.1", resolve))
  return {
    port: listening(proxy),
    control: `http://127.0.0.1:${listening(control)}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      control.closeAllConnections()
      await Promise.all([proxy, control].map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}
