import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type * as z from "zod"
import { type Client, createClient, EdgewiseError } from "../../src/client/client.ts"
import { openRealtime, type Realtime, type Socket } from "../../src/client/realtime.ts"
import type { EventPage, EventView } from "../../src/contracts/events.ts"
import type { NotificationPage } from "../../src/contracts/notifications.ts"
import type { EventMessageView, ServerMessageView } from "../../src/contracts/realtime.ts"
import { newWranglerDev, type WranglerDev } from "../support/wrangler-dev.ts"

// A write storm with readers attached, and the server killed under them again and again: what was committed reaches every
// reader, in order where that is promised, and nothing else ever does.

const kills = 20
const commits = 2_400
const writers = 6
const readers = 3

let server: WranglerDev

beforeAll(async () => {
  server = await newWranglerDev({ RATE_LIMITS: "relaxed", LOG_SAMPLE_RATE: "0", WEBHOOK_WAITS: "1,2,4,8,16" })
  await server.start()
})

afterAll(() => server?.remove())

/** A generator whose run can be told and repeated (Mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Person = { client: Client; inboxId: string; userId: string }
type Owner = Person & { colleague: Person }

async function register(email: string): Promise<Person> {
  const answer = await fetch(`${server.url}/api/v1/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password: "a long passphrase", name: "Storm" }),
  })
  const { accessToken, user, workspace } = (await answer.json()) as {
    accessToken: string
    user: { id: string }
    workspace: { inboxId: string }
  }
  const client = createClient({ url: server.url, token: () => accessToken })
  return { client, inboxId: workspace.inboxId, userId: user.id }
}

/** Two people in the owner's workspace. */
async function foundTeam(): Promise<Owner> {
  const owner = await register("owner@example.com")
  const colleague = await register("colleague@example.com")
  const invitation = { email: "colleague@example.com", role: "member" }
  await owner.client.request("POST", "/invitations", { body: invitation })
  const mailbox = await fetch(`${server.url}/dev/mailbox`, { headers: { accept: "application/json" } })
  const { data } = (await mailbox.json()) as { data: { kind: string; text: string }[] }
  const token = /#token=([\w.-]+)/.exec(data.find(({ kind }) => kind === "invitation")?.text ?? "")?.[1]
  const { workspace } = await colleague.client.request<{ workspace: { id: string } }>(
    "PUT",
    "/invitations/acceptance",
    { body: { token } },
  )
  const { accessToken } = await colleague.client.request<{ accessToken: string }>("POST", "/auth/switch", {
    body: { workspaceId: workspace.id },
  })
  return { ...owner, colleague: { ...colleague, client: createClient({ url: server.url, token: () => accessToken }) } }
}

/** Everything that somebody was told, newest first, as `kind title`. */
async function inboxOf({ client }: Person): Promise<string[]> {
  const told: string[] = []
  for (let next: string | null = ""; next !== null; ) {
    const page: z.output<typeof NotificationPage> = await client.request(
      "GET",
      `/notifications?limit=200${next && `&cursor=${next}`}`,
    )
    told.push(...page.data.map(({ kind, task }) => `${kind} ${task.title}`))
    next = page.next
  }
  return told
}

type Receiver = { url: string; came: { id: string; seq: number }[]; close(): Promise<void> }

/** Takes what a webhook is sent, and refuses every tenth of it at first. */
async function openReceiver(): Promise<Receiver> {
  const came: Receiver["came"] = []
  let turn = 0
  const receiver = createServer(async (request, answer) => {
    let body = ""
    for await (const chunk of request) body += chunk
    turn += 1
    if (turn % 10 === 0) {
      answer.writeHead(500).end()
      return
    }
    const { data } = JSON.parse(body) as { data: { seq: number } }
    came.push({ id: String(request.headers["webhook-id"]), seq: data.seq })
    answer.writeHead(204).end()
  })
  receiver.listen(0, "127.0.0.1")
  await once(receiver, "listening")
  return {
    url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
    came,
    async close() {
      receiver.closeAllConnections()
      receiver.close()
      await once(receiver, "close")
    },
  }
}

/** Does it until it is answered, with one key: whatever was lost on the way, it is done once. */
async function surely<Answer>(client: Client, method: string, path: string, body: unknown): Promise<Answer> {
  const headers = { "idempotency-key": crypto.randomUUID() }
  for (;;) {
    try {
      return await client.request<Answer>(method, path, { body, headers })
    } catch (error) {
      // No answer, or one of a server that is on its way down or up.
      if (error instanceof EdgewiseError && error.status > 0 && error.status < 500) throw error
      await sleep(50)
    }
  }
}

type Reader = { seen: EventMessageView[]; raw: number[]; connections: number; realtime: Realtime }

/** Follows the log with the product's client, and keeps what came over the wire beside what the client made of it. */
function follow(client: Client, since: number): Reader {
  const reader: Reader = {
    seen: [],
    raw: [],
    connections: 0,
    realtime: { look: () => undefined, close: () => undefined },
  }
  reader.realtime = openRealtime(client, {
    since: () => reader.seen.at(-1)?.seq ?? since,
    onEvent: (event) => void reader.seen.push(event),
    connect: (url) => {
      const socket = new WebSocket(url)
      reader.connections += 1
      socket.addEventListener("message", ({ data }) => {
        const message = data === "pong" ? null : (JSON.parse(String(data)) as ServerMessageView)
        if (message && "actor" in message) reader.raw.push(message.seq)
      })
      return socket as unknown as Socket
    },
    random: () => 0.2,
  })
  return reader
}

async function wholeLog(client: Client): Promise<EventView[]> {
  const events: EventView[] = []
  for (let after = 0; ; ) {
    const page: z.output<typeof EventPage> = await client.request("GET", `/events?after=${after}&limit=200`)
    events.push(...page.data)
    if (page.data.length === 0) return events
    after = page.next
  }
}

/** Every fifth task is the colleague's. */
const isAssigned = (n: number) => n % 5 === 0

/** Writes until everything is written, several at a time: what was answered, by title. */
function storm({ client, inboxId, colleague }: Owner) {
  const answered = new Map<string, string>()
  let claimed = 0
  const write = async () => {
    while (claimed < commits) {
      claimed += 1
      const title = `Task ${claimed}`
      const assigneeIds = isAssigned(claimed) ? [colleague.userId] : []
      const body = { projectId: inboxId, title, assigneeIds }
      const task = await surely<{ id: string }>(client, "POST", "/tasks", body)
      answered.set(title, task.id)
    }
  }
  return { answered, done: Promise.all(Array.from({ length: writers }, write)) }
}

/** Kills the server at moments that are spread over the storm, and starts it again each time. */
async function killAgainAndAgain(answered: ReadonlyMap<string, string>): Promise<void> {
  const random = randomFrom(20_261_125)
  for (const index of Array.from({ length: kills }).keys()) {
    const from = Math.floor((commits * index) / (kills + 1)) + Math.floor(random() * 40)
    while (answered.size < from) await sleep(2)
    await sleep(random() * 30)
    await server.kill()
    await server.start()
  }
}

async function caughtUp(following: Reader[], end: number): Promise<void> {
  for (let waited = 0; following.some(({ seen }) => (seen.at(-1)?.seq ?? 0) < end); waited += 100) {
    if (waited > 90_000) return
    await sleep(100)
  }
}

describe("a server that is killed in the middle of its work", () => {
  it(`loses nothing that it has answered for, through ${kills} kills`, async ({ annotate }) => {
    const owner = await foundTeam()
    const { client } = owner
    const receiver = await openReceiver()
    await client.request("POST", "/webhooks", { body: { url: receiver.url, events: ["task.created"] } })
    const start = (await wholeLog(client)).length
    const following = Array.from({ length: readers }, () => follow(client, start))
    const { answered, done } = storm(owner)
    await killAgainAndAgain(answered)
    await done

    const log = await wholeLog(client)
    const end = log.at(-1)?.seq ?? 0
    await caughtUp(following, end)
    for (const { realtime } of following) realtime.close()

    // What was answered is there, once.
    const created = log.filter(({ type }) => type === "task.created")
    const byTitle = Map.groupBy(created, ({ data }) => String(data.after?.["title"]))
    expect(answered.size).toBe(commits)
    for (const [title, id] of answered) expect(byTitle.get(title)?.map(({ subjectId }) => subjectId)).toEqual([id])
    expect(created).toHaveLength(commits)
    expect(log.map(({ seq }) => seq)).toEqual(Array.from({ length: end }, (_, n) => n + 1))

    // Every reader has every entry, in order, once; and what it has is what was committed.
    const expected = log.slice(start).map(({ seq, subjectId, type }) => `${seq} ${type} ${subjectId}`)
    for (const { seen } of following) {
      expect(seen.map(({ seq, subject, type }) => `${seq} ${type} ${subject.id}`)).toEqual(expected)
    }
    // The colleague was told of each of their tasks, once, in the order of the log.
    const told = created
      .map(({ data }) => String(data.after?.["title"]))
      .filter((title) => isAssigned(Number(title.replace("Task ", ""))))
      .map((title) => `assigned ${title}`)
      .toReversed()
    for (let waited = 0; waited < 60_000; waited += 200) {
      if ((await inboxOf(owner.colleague)).length >= told.length) break
      await sleep(200)
    }
    expect(await inboxOf(owner.colleague)).toEqual(told)
    // The webhook's receiver has each of them, and nothing else; what came twice had the same id.
    const owed = new Set(created.map(({ seq }) => seq))
    for (
      let waited = 0;
      waited < 300_000 && new Set(receiver.came.map(({ seq }) => seq)).size < owed.size;
      waited += 200
    ) {
      await sleep(200)
    }
    await receiver.close()
    expect(new Set(receiver.came.map(({ seq }) => seq))).toEqual(owed)
    expect(new Set(receiver.came.map(({ id }) => id)).size).toBe(owed.size)
    const delivered = { delivered: owed.size, deliveredAgain: receiver.came.length - owed.size }
    const repeated = following.map(({ raw }) => raw.length - new Set(raw).size)
    const connections = following.map((reader) => reader.connections)
    expect(Math.min(...connections)).toBeGreaterThan(kills / 2)
    await annotate(
      JSON.stringify({
        kills,
        notified: told.length,
        ...delivered,
        commits: end - start,
        answered: answered.size,
        repeated,
        connections,
      }),
    )
  }, 900_000)
})
