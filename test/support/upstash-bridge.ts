import { createHash, timingSafeEqual } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"

// Upstash's REST protocol (upstash.com/docs/redis/features/restapi) in front of a real Redis, as far as our clients use it:
// one command or a pipeline of them, as JSON, with base64 answers. A path before them asks for a fault.

type Reply = { text: string } | { error: string } | Buffer | number | null | Reply[]
type Command = (string | number | null | object)[]

/** The faults that a client can ask for, by a path before everything else. */
const faults = new Set(["slow", "broken", "cut", "partial", "short"])
const slowMs = 3_000

/** One connection to Redis, which answers in the order in which it is asked. */
class RedisConnection {
  readonly #socket: Socket
  readonly #waiting: PromiseWithResolvers<Reply>[] = []
  #received = Buffer.alloc(0)

  constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true })
    this.#socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      for (;;) {
        const parsed = parse(this.#received, 0)
        if (!parsed) break
        this.#received = this.#received.subarray(parsed.end)
        this.#waiting.shift()?.resolve(parsed.reply)
      }
    })
    const lost = () => {
      for (const waiting of this.#waiting.splice(0)) waiting.reject(new Error("ERR the connection to Redis is lost"))
    }
    this.#socket.on("error", lost)
    this.#socket.on("close", lost)
  }

  /** In one write, so that the commands of one call come between no others. */
  send(commands: string[][]): Promise<Reply[]> {
    const parts = commands.flatMap((command) => [
      Buffer.from(`*${command.length}\r\n`),
      ...command.flatMap((word) => {
        const bytes = Buffer.from(word)
        return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]
      }),
    ])
    const answers = commands.map(() => Promise.withResolvers<Reply>())
    this.#waiting.push(...answers)
    this.#socket.write(Buffer.concat(parts))
    return Promise.all(answers.map(({ promise }) => promise))
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** A reply of RESP2 and where it ends; null while it is not all there. */
function parse(bytes: Buffer, start: number): { reply: Reply; end: number } | null {
  const lineEnd = bytes.indexOf("\r\n", start)
  if (lineEnd < 0) return null
  const line = bytes.toString("utf8", start + 1, lineEnd)
  const end = lineEnd + 2
  const kind = String.fromCharCode(bytes[start] ?? 0)
  if (kind === "+") return { reply: { text: line }, end }
  if (kind === "-") return { reply: { error: line }, end }
  if (kind === ":") return { reply: Number(line), end }
  const length = Number(line)
  if (length < 0) return { reply: null, end }
  if (kind === "$") {
    if (bytes.length < end + length + 2) return null
    return { reply: Buffer.from(bytes.subarray(end, end + length)), end: end + length + 2 }
  }
  const replies: Reply[] = []
  let at = end
  while (replies.length < length) {
    const next = parse(bytes, at)
    if (!next) return null
    replies.push(next.reply)
    at = next.end
  }
  return { reply: replies, end: at }
}

const sha1 = (text: string) => createHash("sha1").update(text).digest("hex")
const upstashOnly = /^#!lua flags=allow-key-locking\n/

/** Words for Redis. Upstash's scripts have a flag that Redis does not know, and another hash without it. */
function wordsOf(command: Command, hashes: Map<string, string>): string[] {
  const words = command.map((word) => (typeof word === "object" ? JSON.stringify(word) : String(word)))
  const name = words[0]?.toUpperCase()
  const script = words[1] ?? ""
  if (name === "EVAL" && upstashOnly.test(script)) {
    const known = script.replace(upstashOnly, "\n")
    hashes.set(sha1(script), sha1(known))
    words[1] = known
  }
  if (name === "EVALSHA") words[1] = hashes.get(script) ?? script
  return words
}

function jsonOf(reply: Reply, isBase64: boolean): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString(isBase64 ? "base64" : "utf8")
  if (Array.isArray(reply)) return reply.map((one) => jsonOf(one, isBase64))
  if (reply === null || typeof reply === "number") return reply
  if ("error" in reply) return reply.error
  return reply.text === "OK" || !isBase64 ? reply.text : Buffer.from(reply.text).toString("base64")
}

const isError = (reply: Reply): reply is { error: string } =>
  reply !== null && typeof reply === "object" && !Array.isArray(reply) && "error" in reply

const told = (reply: Reply, isBase64: boolean) => (isError(reply) ? reply : { result: jsonOf(reply, isBase64) })

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString("utf8")
}

const equal = (a: string, b: string) => timingSafeEqual(Buffer.from(sha1(a)), Buffer.from(sha1(b)))

export type Bridge = { url: string; token: string; stop(): Promise<void> }

type Asked = { route: string; fault: string | null; body: string; isBase64: boolean }

/** A fault, where the path begins with one, and what is asked after it. */
async function askedIn(request: IncomingMessage): Promise<Asked> {
  const path = (request.url ?? "/").split("/").filter(Boolean)
  const fault = faults.has(path[0] ?? "") ? (path.shift() ?? null) : null
  const isBase64 = request.headers["upstash-encoding"] === "base64"
  return { route: path[0] ?? "", fault, body: await bodyOf(request), isBase64 }
}

const failed = { error: "ERR failed on purpose" }

/** What Redis says to one command, or to many. */
async function answerTo(redis: RedisConnection, hashes: Map<string, string>, { route, fault, body, isBase64 }: Asked) {
  const given = JSON.parse(body) as Command | Command[]
  if (route === "pipeline") {
    const replies = await redis.send((given as Command[]).map((command) => wordsOf(command, hashes)))
    const views = replies.map((reply) => told(reply, isBase64))
    if (fault === "partial") return { status: 200, view: views.map((view, n) => (n % 2 === 0 ? view : failed)) }
    if (fault === "short") return { status: 200, view: views.slice(0, views.length >> 1) }
    return { status: 200, view: views }
  }
  const [reply = null] = await redis.send([wordsOf(given as Command, hashes)])
  return { status: isError(reply) ? 400 : 200, view: told(reply, isBase64) }
}

/** Serves on a free port of this machine. */
export async function startBridge(redisPort: number): Promise<Bridge> {
  const redis = new RedisConnection(redisPort)
  const token = crypto.randomUUID()
  const hashes = new Map<string, string>()
  const server = createServer(async (request, response) => {
    const reply = (status: number, view: unknown) => {
      response.writeHead(status, { "content-type": "application/json" })
      response.end(JSON.stringify(view))
    }
    try {
      const asked = await askedIn(request)
      const { fault } = asked
      if (!equal(request.headers.authorization ?? "", `Bearer ${token}`)) return reply(401, { error: "WRONGPASS" })
      if (fault === "broken") return reply(500, { error: "ERR broken on purpose" })
      if (fault === "slow") await new Promise((resolve) => setTimeout(resolve, slowMs))
      const { status, view } = await answerTo(redis, hashes, asked)
      if (fault === "cut") return response.destroy()
      reply(status, view)
    } catch (error) {
      reply(500, { error: String(error) })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    stop: () => {
      redis.close()
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
