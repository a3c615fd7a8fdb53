import { evictDurableObject, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import { openRealtime, type State } from "../../src/client/realtime.ts"
import { Ticket } from "../../src/contracts/realtime.ts"
import type { Landed } from "../../src/db/db.ts"
import type { WorkspaceHub } from "../../src/hub/workspace-hub.ts"
import { openApp } from "../support/app.ts"
import { type Caller, eventsOf, newCaller, newProject, newTask, problemIn, sharedApp } from "../support/caller.ts"
import { execute } from "../support/database.ts"
import { joined, signedInTo } from "../support/people.ts"
import { clientOf, connectTo, type Line, liveLine, openLine, typesOn } from "../support/sockets.ts"

const ticketFor = async (caller: Caller): Promise<string> => {
  const answer = await caller.post("/api/v1/realtime/tickets")
  return Ticket.parse(await answer.json()).ticket
}

const hubOf = ({ workspaceId }: Caller) => env.WORKSPACE_HUB.getByName(workspaceId)
const hasSeq = (seq: number) => (line: Line) => line.events().some((event) => event.seq === seq)
const lastSeq = async (caller: Caller) => (await eventsOf(caller)).at(-1)?.seq ?? 0

const privateProject = async (owner: Caller, name = "Secret") => newProject(owner, { name, visibility: "private" })

describe("POST /realtime/tickets", () => {
  it("gives a ticket that opens one socket and no second", async () => {
    const ada = await newCaller()
    const ticket = await ticketFor(ada)
    const open = () => ada.app.fetch(`/api/v1/realtime?ticket=${ticket}`, { headers: { upgrade: "websocket" } })

    const first = await open()
    expect(first.status).toBe(101)
    first.webSocket?.accept()
    await problemIn(await open(), 401)
  })

  it("gives one that is soon worth nothing", async () => {
    const ada = await newCaller()
    const ticket = await ticketFor(ada)
    const later = await openApp({ now: () => Date.now() + 31_000 })
    const answer = await later.fetch(`/api/v1/realtime?ticket=${ticket}`, { headers: { upgrade: "websocket" } })
    await problemIn(answer, 401)
  })

  it("refuses a ticket with any character changed", async () => {
    const { app } = await newCaller()
    const ticket = await ticketFor(await newCaller())
    for (const at of [5, 20, ticket.length - 10]) {
      const changed = `${ticket.slice(0, at)}${ticket[at] === "A" ? "B" : "A"}${ticket.slice(at + 1)}`
      await problemIn(await app.fetch(`/api/v1/realtime?ticket=${changed}`, { headers: { upgrade: "websocket" } }), 401)
    }
  })
})

describe("GET /realtime", () => {
  it("is for those who are signed in, and for WebSockets", async () => {
    const ada = await newCaller()
    await problemIn(await ada.app.fetch("/api/v1/realtime", { headers: { upgrade: "websocket" } }), 401)
    await problemIn(await ada.get("/api/v1/realtime"), 426)
    await problemIn(await ada.get("/api/v1/realtime?since=x", { upgrade: "websocket" }), 422)
  })

  it("tells at once what others do, as the log has it", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const line = await liveLine(bob)
    const task = await newTask(ada)
    await ada.put(`/api/v1/tasks/${task.id}/closure`)
    await line.until(() => typesOn(line).includes("task.closed"))

    expect(typesOn(line)).toEqual(["task.created", "task.closed"])
    const [created, closed] = line.events()
    expect(created).toMatchObject({
      subject: { id: task.id, kind: "task", key: task.key, revision: 1 },
      actor: { id: ada.userId, role: "owner" },
      data: { before: null, after: { title: task.title } },
    })
    const told = (await eventsOf(bob)).slice(-2)
    expect([created?.seq, closed?.seq]).toEqual(told.map(({ seq }) => seq))
    expect(closed?.data).toEqual(told[1]?.data)
  })

  it("tells first what was missed, and then what comes, without gap or duplicate", async () => {
    const ada = await newCaller()
    for (let n = 0; n < 150; n += 1) await newTask(ada, { title: `Missed ${n}` })
    const end = await lastSeq(ada)
    const writing = (async () => {
      for (let n = 0; n < 60; n += 1) await newTask(ada, { title: `Live ${n}` })
    })()
    // Each goes live at another moment of somebody's write.
    const lines: Line[] = []
    for (let n = 0; n < 18; n += 1) lines.push(await openLine(ada, "?since=2"))
    await writing
    for (const line of lines) {
      await line.until(hasSeq(end + 60), 20_000)
      expect(line.events().map(({ seq }) => seq)).toEqual(Array.from({ length: end + 58 }, (_, n) => n + 3))
    }
  })

  it("asks whoever is too far behind, or ahead, to read the log", async () => {
    const ada = await newCaller()
    for (let n = 0; n < 11; n += 1) {
      const tasks = Array.from({ length: 100 }, () => ({ projectId: ada.inboxId, title: "Many" }))
      await ada.post("/api/v1/tasks/bulk", { tasks })
    }
    const end = await lastSeqOf(ada)
    for (const since of [1, end + 5]) {
      const line = await liveLine(ada, `?since=${since}`)
      expect(line.messages.map(({ type, seq }) => [type, seq])).toEqual([
        ["resync", end],
        ["ready", end],
      ])
    }
  })

  it("survives hibernation, and goes on where it was", async () => {
    const ada = await newCaller()
    const line = await liveLine(ada)
    await newTask(ada, { title: "Before" })
    await line.until(() => line.events().length === 1)
    // The cursors are stored within the second.
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    await evictDurableObject(hubOf(ada))
    await newTask(ada, { title: "After" })
    await line.until(() => line.events().length === 2)
    expect(line.events().map(({ data }) => data.after?.["title"])).toEqual(["Before", "After"])
    expect(line.closed).toBeNull()
  })

  it("finds by itself what it was not told of", async () => {
    const ada = await newCaller()
    const line = await liveLine(ada)
    const deaf = await openApp({
      hubs: { ...ada.app.instance.hubs, tell: () => Promise.reject(new Error("lost")) },
    })
    const silent = await newTask(ada.through(deaf), { title: "Nobody was told" })
    const loud = await newTask(ada, { title: "This one was" })
    await line.until(() => line.events().length === 2)
    expect(line.events().map(({ subject }) => subject.id)).toEqual([silent.id, loud.id])
  })

  it("puts news in order that come out of order", async () => {
    const ada = await newCaller()
    const line = await liveLine(ada)
    const held: (() => Promise<void>)[] = []
    const { hubs } = ada.app.instance
    const late = await openApp({
      hubs: {
        ...hubs,
        tell: (landed) => {
          const copy = [...landed]
          held.push(() => hubs.tell(copy))
          return Promise.resolve()
        },
      },
    })
    for (let n = 0; n < 4; n += 1) await newTask(ada.through(late), { title: `${n}` })
    for (const tell of held.toReversed()) await tell()
    await line.until(() => line.events().length === 4)
    expect(line.events().map(({ data }) => data.after?.["title"])).toEqual(["0", "1", "2", "3"])
  })

  it("misses nothing of two who write in turns and tell of it when they are done", async () => {
    const ada = await newCaller()
    const line = await liveLine(ada)
    const landed: Landed[] = []
    const { hubs } = ada.app.instance
    const apart = await openApp({ hubs: { ...hubs, tell: async (news) => void landed.push(...news) } })
    for (let n = 0; n < 6; n += 1) await newTask(ada.through(apart), { title: `${n}` })
    await vi.waitFor(() => expect(landed).toHaveLength(6))
    await hubs.tell(landed.filter((_each, n) => n % 2 === 0))
    await hubs.tell(landed.filter((_each, n) => n % 2 === 1))
    await line.until(() => line.events().length === 6)
    expect(line.events().map(({ data }) => data.after?.["title"])).toEqual(["0", "1", "2", "3", "4", "5"])
  })
})

const lastSeqOf = async (caller: Caller): Promise<number> => {
  for (let after = 0; ; ) {
    const { next } = (await (await caller.get(`/api/v1/events?after=${after}&limit=200`)).json()) as { next: number }
    if (next === after) return after
    after = next
  }
}

describe("who is told what", () => {
  it("keeps private projects to those named to them, and tells of gains and losses", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const line = await liveLine(bob)
    const project = await privateProject(ada)
    await newTask(ada, { projectId: project.id, title: "Hidden" })
    const member = `/api/v1/projects/${project.id}/members/${bob.userId}`
    await ada.put(member, { level: "view" })
    await newTask(ada, { projectId: project.id, title: "Shown" })
    await ada.delete(member)
    await newTask(ada, { projectId: project.id, title: "Hidden again" })
    const last = await newTask(ada, { title: "In the open" })
    await line.until(() => line.events().some(({ subject }) => subject.id === last.id))

    // What must be read again comes in one message with what happened: a break cannot fall between.
    expect(line.events().map(({ type, resync }) => [type, resync?.reason, resync?.projectId])).toEqual([
      ["project.member_added", "gained", project.id],
      ["task.created", undefined, undefined],
      ["project.hidden", "lost", project.id],
      ["task.created", undefined, undefined],
    ])
    expect(line.messages.filter(({ type }) => type === "resync")).toEqual([])
    expect(JSON.stringify(line.messages)).not.toContain("Hidden")
  })

  it("is judged by what changed while nobody had a socket, too", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const project = await newProject(ada)
    const before = await liveLine(bob)
    await newTask(ada, { projectId: project.id, title: "Open" })
    await before.until(() => before.events().length === 1)
    before.socket.close()
    // Whoever left is counted out once the object has heard of it.
    await vi.waitFor(async () =>
      expect(await runInDurableObject(hubOf(ada), (_hub: WorkspaceHub, state) => state.getWebSockets().length)).toBe(0),
    )
    await ada.patch(`/api/v1/projects/${project.id}`, { visibility: "private" })
    const after = await liveLine(bob)
    await newTask(ada, { projectId: project.id, title: "Hidden" })
    await newTask(ada, { title: "In the open" })
    await after.until(() => after.events().length > 0)
    expect(after.events().map(({ data }) => data.after?.["title"])).toEqual(["In the open"])
  })

  it("gives no socket to a session or a key that is over, though its token still reads", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const sent = await ada.post("/api/v1/api-keys", { name: "Bot", scopes: ["event:read"] })
    const key = (await sent.json()) as { id: string; key: string }
    const bot = ada.as(key.key)
    expect((await bot.get("/api/v1/events")).status).toBe(200)
    await bob.app.fetch("/api/v1/auth/logout", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refreshToken: bob.refreshToken }),
    })
    expect((await bob.get("/api/v1/events")).status).toBe(200)
    // As in a colo that has not heard of it.
    await execute("update api_keys set revoked_at = 1 where id = ?", key.id)
    const lines = [await openLine(bob), await openLine(bot)]
    await Promise.all(lines.map((line) => line.until(({ closed }) => closed !== null)))
    expect(lines.map(({ closed }) => closed?.code)).toEqual([4401, 4401])
  })

  it("ends the sockets of a key when its own time is over", async () => {
    const ada = await newCaller()
    const expiresAt = new Date(Date.now() + 2_500).toISOString()
    const sent = await ada.post("/api/v1/api-keys", { name: "Bot", scopes: ["event:read"], expiresAt })
    const line = await liveLine(ada.as(((await sent.json()) as { key: string }).key))
    await newTask(ada, { title: "In time" })
    await line.until(() => line.events().length === 1)
    await new Promise((resolve) => setTimeout(resolve, 2_600))
    await newTask(ada, { title: "Too late" })
    await line.until(({ closed }) => closed !== null)
    expect([line.closed?.code, line.events().length]).toEqual([4401, 1])
  })

  it("tells of a task that was moved out of sight only that it is gone", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const open = await newProject(ada)
    const secret = await privateProject(ada)
    const task = await newTask(ada, { projectId: open.id, title: "Going" })
    const line = await liveLine(bob)
    await ada.put(`/api/v1/tasks/${task.id}/project`, { projectId: secret.id })
    await line.until(() => line.events().length === 1)
    expect(line.events()[0]).toMatchObject({
      type: "task.hidden",
      subject: { id: task.id, key: task.key },
      projectId: open.id,
      previousProjectId: null,
      data: { before: null, after: null },
    })
    expect(JSON.stringify(line.messages)).not.toContain(secret.id)
  })

  it("ends the sockets of who is a member no more, of a key that was revoked, and of a session that ended", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const cid = await joined(ada)
    const key = (await (await ada.post("/api/v1/api-keys", { name: "Bot", scopes: ["event:read"] })).json()) as {
      id: string
      key: string
    }
    const [ofBob, ofKey, ofCid, ofAda] = await Promise.all([
      liveLine(bob),
      liveLine(ada.as(key.key)),
      liveLine(cid),
      liveLine(ada),
    ])
    await ada.delete(`/api/v1/members/${bob.userId}`)
    await ada.delete(`/api/v1/api-keys/${key.id}`)
    await cid.app.fetch("/api/v1/auth/logout", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refreshToken: cid.refreshToken }),
    })
    await Promise.all([ofBob, ofKey, ofCid].map((line) => line.until(({ closed }) => closed !== null)))
    expect([ofBob.closed?.code, ofKey.closed?.code, ofCid.closed?.code]).toEqual([4403, 4401, 4401])
    expect(ofAda.closed).toBeNull()
  })

  it("needs a key with the scope event:read", async () => {
    const ada = await newCaller()
    const { key } = (await (await ada.post("/api/v1/api-keys", { name: "Bot", scopes: ["task:read"] })).json()) as {
      key: string
    }
    await problemIn(await ada.as(key).get("/api/v1/realtime", { upgrade: "websocket" }), 403)
    await problemIn(await ada.as(key).post("/api/v1/realtime/tickets"), 403)
  })

  it("is another workspace's business only in that workspace", async () => {
    const ada = await newCaller()
    const eve = await newCaller()
    const line = await liveLine(eve)
    await newTask(ada)
    await newTask(eve, { title: "Mine" })
    await line.until(() => line.events().length === 1)
    expect(line.events()[0]?.data.after?.["title"]).toBe("Mine")
  })
})

describe("presence", () => {
  const look = (line: Line, taskId: string | null) => line.socket.send(JSON.stringify({ type: "look", taskId }))
  const lookersOn = (line: Line) =>
    line.messages.flatMap((message) =>
      message.type === "presence" && "userIds" in message.data ? [message.data.userIds] : [],
    )

  it("tells those who look at a task of each other, and writes nothing", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const task = await newTask(ada)
    const before = await lastSeq(ada)
    const [a, b] = await Promise.all([liveLine(ada), liveLine(bob)])
    look(a, task.id)
    await a.until(() => lookersOn(a).length === 1)
    look(b, task.id)
    await b.until(() => lookersOn(b).length === 1)
    await a.until(() => lookersOn(a).length === 2)
    b.socket.close()
    await a.until(() => lookersOn(a).length === 3)
    const both = [ada.userId, bob.userId].toSorted()
    expect(lookersOn(a)).toEqual([[ada.userId], both, [ada.userId]])
    expect(await lastSeq(ada)).toBe(before)
  })

  it("is not told of by whoever does not see the task, nor once they see it no more", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const project = await privateProject(ada)
    const task = await newTask(ada, { projectId: project.id })
    const [a, b] = await Promise.all([liveLine(ada), liveLine(bob)])
    look(a, task.id)
    await a.until(() => lookersOn(a).length === 1)
    look(b, task.id)
    const member = `/api/v1/projects/${project.id}/members/${bob.userId}`
    await ada.put(member, { level: "view" })
    await b.until(() => b.events().some(({ resync }) => resync?.reason === "gained"))
    expect(lookersOn(b)).toEqual([])
    look(b, task.id)
    await b.until(() => lookersOn(b).length === 1)
    await ada.delete(member)
    await a.until(() => lookersOn(a).length === 3)
    expect(lookersOn(a).at(-1)).toEqual([ada.userId])
  })
})

describe("a look at a task", () => {
  it("is over when its person has left again before it was judged", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const task = await newTask(ada)
    const [a, b] = await Promise.all([liveLine(ada), liveLine(bob)])
    const look = (line: Line, taskId: string | null) => line.socket.send(JSON.stringify({ type: "look", taskId }))
    look(a, task.id)
    await a.until(({ messages }) => messages.some(({ type }) => type === "presence"))
    look(b, task.id)
    look(b, null)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const lookers = a.messages.flatMap((message) =>
      message.type === "presence" && "userIds" in message.data ? [message.data.userIds] : [],
    )
    expect(lookers.at(-1)).toEqual([ada.userId])
    expect(b.messages.map(({ type }) => type)).toEqual(["ready"])
  })

  it("ends when its person may see less of the workspace", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const task = await newTask(ada, { projectId: (await newProject(ada)).id })
    const [a, b] = await Promise.all([liveLine(ada), liveLine(bob)])
    const look = (line: Line) => line.socket.send(JSON.stringify({ type: "look", taskId: task.id }))
    const lookers = (line: Line) =>
      line.messages.flatMap((message) =>
        message.type === "presence" && "userIds" in message.data ? [message.data.userIds] : [],
      )
    look(a)
    await a.until(() => lookers(a).length === 1)
    look(b)
    await b.until(() => lookers(b).length === 1)
    const member = `/api/v1/members/${bob.userId}`
    expect((await ada.patch(member, { role: "admin" })).status).toBe(200)
    await newTask(ada)
    await a.until(() => a.events().length === 2)
    expect(lookers(a)).toHaveLength(2)
    expect((await ada.patch(member, { role: "guest" })).status).toBe(200)
    await a.until(() => lookers(a).at(-1)?.length === 1 && lookers(a).length > 2)
    expect(lookers(a).slice(2)).toEqual([[ada.userId]])
    expect(lookers(b)).toHaveLength(1)
  })
})

describe("a client that misbehaves", () => {
  it("is ended with a code that says why", async () => {
    const ada = await newCaller()
    for (const text of ["{", "[]", '{"type":"look"}', '{"type":"look","taskId":"x"}', "x".repeat(5_000), "null"]) {
      const line = await liveLine(ada)
      line.socket.send(text)
      await line.until(({ closed }) => closed !== null)
      expect([text.slice(0, 20), line.closed?.code]).toEqual([text.slice(0, 20), 4400])
    }
    const flood = await liveLine(ada)
    for (let n = 0; n < 50; n += 1) flood.socket.send(JSON.stringify({ type: "look", taskId: null }))
    await flood.until(({ closed }) => closed !== null)
    expect(flood.closed?.code).toBe(4429)
  })

  it("is ended when it takes in nothing, and one that acknowledges is not", async () => {
    const ada = await newCaller()
    const [idle, keen] = await Promise.all([liveLine(ada), liveLine(ada)])
    let received = 0
    keen.socket.addEventListener("message", ({ data }) => {
      received += String(data).length
      keen.socket.send(JSON.stringify({ type: "ack", received }))
    })
    for (let n = 0; n < 20; n += 1) await newTask(ada, { title: `${n}`, description: "x".repeat(60_000) })
    await idle.until(({ closed }) => closed !== null)
    await keen.until(() => keen.events().length === 20)
    expect(idle.closed?.code).toBe(4408)
    expect(keen.closed).toBeNull()
  })

  it("has no more sockets than it needs, though it opens them at the same time", async () => {
    const ada = await newCaller()
    const hasty = await newCaller()
    const opened = await Promise.all(
      Array.from({ length: 40 }, () => hasty.get("/api/v1/realtime", { upgrade: "websocket" })),
    )
    expect(opened.filter(({ status }) => status === 101)).toHaveLength(20)
    const lines = await Promise.all(Array.from({ length: 20 }, () => liveLine(ada)))
    await problemIn(await ada.get("/api/v1/realtime", { upgrade: "websocket" }), 429)
    const many = await Promise.all(
      Array.from({ length: 10 }, () => ada.get("/api/v1/realtime", { upgrade: "websocket" })),
    )
    expect(many.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 429))
    lines[0]?.socket.close()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await liveLine(ada)).closed).toBeNull()
  })
})

describe("the client", () => {
  it("comes back after every loss, and misses and repeats nothing", async () => {
    const ada = await newCaller()
    const seqs: number[] = []
    const states: State[] = []
    const sockets: WebSocket[] = []
    const connect = connectTo(ada.app)
    let known = await lastSeq(ada)
    const start = known
    const realtime = openRealtime(clientOf(ada), {
      since: () => known,
      onEvent: ({ seq }) => {
        seqs.push(seq)
        known = seq
      },
      onState: (state) => states.push(state),
      connect: async (url) => {
        const socket = await connect(url)
        sockets.push(socket as unknown as WebSocket)
        return socket
      },
      random: () => 0.05,
    })
    for (let n = 0; n < 30; n += 1) {
      await newTask(ada)
      if (n % 7 !== 3) continue
      for (let tries = 0; tries < 100 && states.at(-1) !== "live"; tries += 1)
        await new Promise((r) => setTimeout(r, 20))
      sockets.at(-1)?.close(1000)
    }
    const end = start + 30
    for (let tries = 0; tries < 100 && seqs.at(-1) !== end; tries += 1) await new Promise((r) => setTimeout(r, 100))
    realtime.close()
    expect(seqs).toEqual(Array.from({ length: 30 }, (_, n) => start + n + 1))
    expect(sockets.length).toBeGreaterThan(3)
    expect(states).toContain("waiting")
  })

  it("tells again what a handler has failed at, and passes nothing over", async () => {
    const ada = await newCaller()
    const end = await lastSeq(ada)
    // Not of this log: it is asked to read it.
    let known = end + 1_000
    const done: (number | string)[] = []
    const failed = new Set<number | string>()
    const failOnce = async (what: number | string) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (!failed.has(what) && (typeof what === "string" || what % 3 === 0)) {
        failed.add(what)
        throw new Error("It could not be read")
      }
      done.push(what)
    }
    const states: State[] = []
    const realtime = openRealtime(clientOf(ada), {
      since: () => known,
      onEvent: ({ seq }) => failOnce(seq),
      onResync: async ({ data: { reason } }) => {
        await failOnce(reason)
        known = end
      },
      onState: (state) => states.push(state),
      connect: connectTo(ada.app),
      random: () => 0.01,
    })
    await vi.waitFor(() => expect(states.at(-1)).toBe("live"), { timeout: 10_000 })
    // Many wait behind the first that fails.
    const tasks = Array.from({ length: 12 }, (_, n) => ({ projectId: ada.inboxId, title: `${n}` }))
    await ada.post("/api/v1/tasks/bulk", { tasks })
    await vi.waitFor(() => expect(done.at(-1)).toBe(end + 12), { timeout: 10_000 })
    realtime.close()
    expect(done).toEqual(["behind", ...Array.from({ length: 12 }, (_, n) => end + n + 1)])
    expect(failed.size).toBe(5)
  })

  it("stays away once it is no member any more", async () => {
    const ada = await newCaller()
    const bob = await signedInTo(ada, await joined(ada))
    const states: State[] = []
    const realtime = openRealtime(clientOf(bob), {
      since: () => undefined,
      onEvent: () => undefined,
      onState: (state) => states.push(state),
      connect: connectTo(bob.app),
      random: () => 0.01,
    })
    const until = async (state: State) => {
      for (let tries = 0; tries < 100 && states.at(-1) !== state; tries += 1)
        await new Promise((r) => setTimeout(r, 50))
    }
    await until("live")
    await ada.delete(`/api/v1/members/${bob.userId}`)
    await until("refused")
    expect(states).toEqual(["connecting", "live", "refused"])
    realtime.close()
    expect(await sharedApp()).toBeDefined()
  })
})
