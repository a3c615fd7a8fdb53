import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Client, createClient } from "../../src/client/client.ts"
import type { Copy } from "../../src/client/copy.ts"
import { catchUp, followCopy, readSnapshot } from "../../src/client/follow.ts"
import { eventMessage } from "../../src/contracts/realtime.ts"
import { SyncPage } from "../../src/contracts/sync.ts"
import type { Role } from "../../src/lib/roles.ts"
import {
  type Caller,
  costOf,
  eventsOf,
  newCaller,
  newProject,
  newTask,
  pageIn,
  pointersIn,
  problemIn,
} from "../support/caller.ts"
import { isPostgres, rowsOf } from "../support/database.ts"
import { joined } from "../support/people.ts"
import { clientOf, connectTo, liveLine } from "../support/sockets.ts"

const syncPage = async (caller: Caller, query = "") => {
  const answer = await caller.get(`/api/v1/sync${query}`)
  return { ...SyncPage.parse(await answer.json()), cost: costOf(answer) }
}

describe("GET /sync", () => {
  it("gives all that somebody sees, page by page, one round trip each, with one number", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const secret = await newProject(ada, { name: "Secret", visibility: "private" })
    const open = await newProject(ada)
    for (let n = 0; n < 5; n += 1) await newTask(ada, { projectId: open.id, title: `Open ${n}` })
    await newTask(ada, { projectId: secret.id, title: "Secret" })
    await ada.post("/api/v1/labels", { name: "bug" })

    const pages = [await syncPage(bob, "?limit=2")]
    await newTask(ada, { projectId: open.id, title: "Newer" })
    for (let next = pages[0]?.next; next; next = pages.at(-1)?.next) {
      pages.push(await syncPage(bob, `?limit=2&cursor=${encodeURIComponent(next)}`))
    }
    expect(new Set(pages.map(({ seq }) => seq)).size).toBe(1)
    expect(pages.every(({ cost }) => cost.trips === 1)).toBe(true)
    const titles = pages.flatMap(({ tasks }) => tasks.map(({ title }) => title))
    expect(titles).toEqual(["Open 0", "Open 1", "Open 2", "Open 3", "Open 4", "Newer"])
    expect(pages.flatMap(({ projects }) => projects.map(({ name }) => name))).not.toContain("Secret")
    expect(pages.flatMap(({ labels }) => labels.map(({ name }) => name))).toEqual(["bug"])
    expect(pages.flatMap(({ members }) => members)).toHaveLength(2)
  })

  it("gives one project, to those who see it", async () => {
    const ada = await newCaller()
    const bob = await joined(ada)
    const secret = await newProject(ada, { name: "Secret", visibility: "private" })
    await newTask(ada, { projectId: secret.id })
    await newTask(ada)
    const copy = await readSnapshot(clientOf(ada), secret.id)
    expect([copy.projects.size, copy.tasks.size, copy.labels.size, copy.members.size]).toEqual([1, 1, 0, 0])
    await problemIn(await bob.get(`/api/v1/sync?project=${secret.id}`), 404)
  })

  it("refuses what is no cursor, no project and no limit", async () => {
    const ada = await newCaller()
    expect(await pointersIn(await ada.get("/api/v1/sync?cursor=x"))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get("/api/v1/sync?cursor=1.tasks.AAAA"))).toEqual(["?cursor"])
    expect(await pointersIn(await ada.get("/api/v1/sync?project=x"))).toEqual(["?project"])
    expect(await pointersIn(await ada.get("/api/v1/sync?limit=201"))).toEqual(["?limit"])
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 40 }), async (cursor) => {
        const { status } = await ada.get(`/api/v1/sync?cursor=${encodeURIComponent(cursor)}`)
        expect([200, 422]).toContain(status)
      }),
      { numRuns: 50 },
    )
  })

  it("tells guests of no members", async () => {
    const ada = await newCaller()
    const guest = await joined(ada, "guest")
    const copy = await readSnapshot(clientOf(guest))
    expect([copy.members.size, copy.projects.size, copy.tasks.size]).toEqual([0, 0, 0])
  })
})

// ---- whatever happens, a copy that is brought up to date is what its owner may see ----

/** One of the things that happen in a workspace; numbers pick from what is there. */
type Deed = { act: keyof typeof deeds; a: number; b: number; c: number }

type World = {
  owner: Caller
  people: Caller[]
  projects: string[]
  tasks: string[]
  labels: string[]
  done: Record<string, number>
}

const pick = <T>(from: T[], n: number): T | undefined => from[n % Math.max(1, from.length)]
const levels = ["view", "comment", "edit"]
const roles = ["admin", "member", "guest"]

const created = async (answer: Response): Promise<string | null> =>
  answer.status === 201 ? ((await answer.json()) as { id: string }).id : null

/** What may happen. Each may be refused; whatever lands must reach every copy. */
const deeds = {
  task: async ({ owner, projects, tasks, labels }: World, a: number, b: number, c: number) => {
    const label = c % 3 === 0 ? pick(labels, b) : undefined
    const input = { projectId: pick(projects, a), title: `Task ${b}`, ...(label && { labelIds: [label] }) }
    const id = await created(await owner.post("/api/v1/tasks", input))
    if (id) tasks.push(id)
  },
  bulk: async ({ owner, projects, tasks }: World, a: number, b: number) => {
    const input = Array.from({ length: 2 + (b % 4) }, (_, n) => ({
      projectId: pick(projects, a + n),
      title: `Bulk ${n}`,
    }))
    const answer = await owner.post("/api/v1/tasks/bulk", { tasks: input })
    const { data = [] } = (await answer.json()) as { data?: { id: string }[] }
    tasks.push(...data.map(({ id }) => id))
  },
  patch: ({ owner, tasks, people, labels }: World, a: number, b: number, c: number) =>
    owner.patch(`/api/v1/tasks/${pick(tasks, a)}`, {
      title: `Changed ${b}`,
      ...(c % 2 && { status: pick(["todo", "in_progress", "done", "cancelled"], b) }),
      ...(c % 3 === 0 && { labelIds: labels.slice(0, b % 3) }),
      ...(c % 5 === 0 && { assigneeIds: [pick(people, b)?.userId] }),
      ...(c % 7 === 0 && { due: { date: "2027-01-31" } }),
    }),
  close: ({ owner, tasks }: World, a: number) => owner.put(`/api/v1/tasks/${pick(tasks, a)}/closure`),
  remove: ({ owner, tasks }: World, a: number) => owner.delete(`/api/v1/tasks/${pick(tasks, a)}`),
  move: ({ owner, tasks, projects }: World, a: number, b: number) =>
    owner.put(`/api/v1/tasks/${pick(tasks, a)}/project`, { projectId: pick(projects, b) }),
  nest: ({ owner, tasks }: World, a: number, b: number) =>
    owner.patch(`/api/v1/tasks/${pick(tasks, a)}`, { parentId: pick(tasks, b) }),
  relate: ({ owner, tasks }: World, a: number, b: number) =>
    owner.put(`/api/v1/tasks/${pick(tasks, a)}/relations/blocks/${pick(tasks, b)}`),
  place: ({ owner, tasks }: World, a: number, b: number) =>
    owner.put(`/api/v1/tasks/${pick(tasks, a)}/position`, { after: pick(tasks, b) }),
  project: async ({ owner, projects }: World, a: number, b: number) => {
    const visibility = a % 2 ? "private" : "workspace"
    const id = await created(await owner.post("/api/v1/projects", { name: `Project ${b}`, visibility }))
    if (id) projects.push(id)
  },
  rename: ({ owner, projects }: World, a: number, b: number) =>
    owner.patch(`/api/v1/projects/${pick(projects, a)}`, { name: `Renamed ${b}` }),
  veil: ({ owner, projects }: World, a: number, b: number) =>
    owner.patch(`/api/v1/projects/${pick(projects, a)}`, { visibility: b % 2 ? "private" : "workspace" }),
  drop: ({ owner, projects }: World, a: number) => owner.delete(`/api/v1/projects/${pick(projects, a)}`),
  grant: ({ owner, projects, people }: World, a: number, b: number, c: number) =>
    owner.put(`/api/v1/projects/${pick(projects, a)}/members/${pick(people, b)?.userId}`, { level: pick(levels, c) }),
  revoke: ({ owner, projects, people }: World, a: number, b: number) =>
    owner.delete(`/api/v1/projects/${pick(projects, a)}/members/${pick(people, b)?.userId}`),
  role: ({ owner, people }: World, a: number, b: number) =>
    owner.patch(`/api/v1/members/${pick(people, a)?.userId}`, { role: pick(roles, b) }),
  label: async ({ owner, labels }: World, a: number) => {
    const id = await created(await owner.post("/api/v1/labels", { name: `Label ${a}` }))
    if (id) labels.push(id)
  },
  relabel: ({ owner, labels }: World, a: number, b: number) =>
    owner.patch(`/api/v1/labels/${pick(labels, a)}`, { name: `Label ${b}`, color: "#123456" }),
  unlabel: ({ owner, labels }: World, a: number) => owner.delete(`/api/v1/labels/${pick(labels, a)}`),
  merge: ({ owner, labels }: World, a: number, b: number) =>
    owner.put(`/api/v1/labels/${pick(labels, a)}/merger`, { into: pick(labels, b) }),
  comment: ({ owner, tasks }: World, a: number, b: number) =>
    owner.post(`/api/v1/tasks/${pick(tasks, a)}/comments`, { body: `Said ${b}` }),
}

const deed = fc.record({
  act: fc.constantFrom(...(Object.keys(deeds) as (keyof typeof deeds)[])),
  a: fc.nat(50),
  b: fc.nat(50),
  c: fc.nat(50),
})

async function foundWorld(): Promise<World> {
  const owner = await newCaller()
  const people = [
    await joined(owner, "member", "Bob"),
    await joined(owner, "guest", "Gus"),
    await joined(owner, "admin", "Ann"),
  ]
  const open = await newProject(owner)
  const secret = await newProject(owner, { name: "Secret", visibility: "private" })
  const world: World = { owner, people, projects: [open.id, secret.id], tasks: [], labels: [], done: {} }
  for (const n of [0, 1, 2]) await deeds.label(world, n)
  for (const n of [0, 1, 2, 3, 4, 5]) await deeds.task(world, n, n, n * 3)
  return world
}

/** The same person with a token that says what they are now: one that says what they were is believed for ten minutes. */
async function asTheyAre(person: Caller): Promise<Caller> {
  const { userId, workspaceId, app } = person
  const [row] = await rowsOf<{ role: Role }>(
    "select role from members where workspace_id = ? and user_id = ?",
    workspaceId,
    userId,
  )
  const { tokens } = app.instance
  const { sessionId } = (await tokens.verify(person.accessToken, Date.now())) ?? { sessionId: "" }
  const claims = { userId, workspaceId, role: row?.role ?? "member", sessionId }
  return person.as(await tokens.issue(claims, Date.now()))
}

async function happen(world: World, { act, a, b, c }: Deed): Promise<void> {
  const answer = await deeds[act](world, a, b, c)
  if (answer && answer.status >= 500) throw new Error(`${act}: ${await answer.text()}`)
  if (!answer || answer.ok) world.done[act] = (world.done[act] ?? 0) + 1
}

/** What somebody sees, as plain lists tell it. Of members, what their own events do not change. */
async function seenBy(person: Caller) {
  const walkAll = async (path: string) => {
    const rows: { id: string }[] = []
    for (let next: string | null = ""; next !== null; ) {
      const page = await pageIn(await person.get(`${path}limit=200${next && `&cursor=${next}`}`))
      rows.push(...page.data)
      next = page.next
    }
    return Object.fromEntries(rows.map((row) => [row.id, row]))
  }
  const answer = await person.get("/api/v1/members?limit=200")
  const { data = [] } = answer.ok ? ((await answer.json()) as { data: Record<string, unknown>[] }) : {}
  return {
    projects: await walkAll("/api/v1/projects?"),
    tasks: await walkAll("/api/v1/tasks?sort=created&"),
    labels: await walkAll("/api/v1/labels?"),
    members: data.map(({ userId, name, role }) => `${userId} ${name} ${role}`).toSorted(),
  }
}

const plain = ({ projects, tasks, labels, members }: Copy) => ({
  projects: Object.fromEntries(projects),
  tasks: Object.fromEntries(tasks),
  labels: Object.fromEntries(labels),
  members: [...members.values()].map(({ userId, name, role }) => `${userId} ${name} ${role}`).toSorted(),
})

/** The whole log over a socket, and over HTTP: the one is decided in memory, the other in SQL. */
async function toldOverSocket(person: Caller) {
  const line = await liveLine(person, "?since=0")
  line.socket.close()
  return line.messages.filter(({ type }) => type !== "ready")
}

async function toldOverHttp(person: Caller) {
  return (await eventsOf(person)).map(eventMessage)
}

/** The client of somebody whose reads fail when they are told to: over the network, or with the answer of a busy server. */
function unreliable(person: Caller, fails: () => boolean): Client {
  const { fetch, url } = {
    fetch: (path: string, init: RequestInit) => person.app.fetch(path, init),
    url: "https://edgewise.test",
  }
  let turn = 0
  return createClient({
    url,
    token: () => person.accessToken,
    fetch: (target, init) => {
      if (!fails()) return fetch(target.replace(url, ""), init)
      statistics.failures += 1
      turn += 1
      if (turn % 2) return Promise.reject(new TypeError("The network is away"))
      return Promise.resolve(Response.json({ code: "unavailable" }, { status: 503 }))
    },
  })
}

/** Whether it did; a copy that could not be brought up to date goes on from where it is. */
async function triedToCatchUp(client: Client, copy: Copy): Promise<boolean> {
  try {
    await catchUp(client, copy)
    return true
  } catch {
    return false
  }
}

const statistics = { runs: 0, deeds: 0, landed: 0, catchUps: 0, failures: 0, kinds: {} as Record<string, number> }

/** When each of the people is online, and whether their reads go through, one after the other and over again. */
type Turn = { deed: Deed; online: boolean[] }

async function checkHistory(deedsAndTurns: Turn[], failing: boolean[]): Promise<void> {
  let reads = 0
  const fails = () => {
    reads += 1
    return failing[reads % failing.length] ?? false
  }
  const world = await foundWorld()
  const copies = await Promise.all(world.people.map((person) => readSnapshot(clientOf(person))))
  for (const { deed: next, online } of deedsAndTurns) {
    await happen(world, next)
    for (const [index, person] of world.people.entries()) {
      const copy = copies[index]
      if (!copy || !online[index]) continue
      statistics.catchUps += 1
      await triedToCatchUp(unreliable(await asTheyAre(person), fails), copy)
    }
  }
  for (const [index, person] of world.people.entries()) {
    const current = await asTheyAre(person)
    const copy = copies[index] as Copy
    for (let tries = 0; tries < 20 && !(await triedToCatchUp(unreliable(current, fails), copy)); tries += 1);
    await catchUp(clientOf(current), copy)
    expect(plain(copy)).toEqual(await seenBy(current))
    expect(await toldOverSocket(current)).toEqual(await toldOverHttp(current))
  }
  statistics.runs += 1
  statistics.deeds += deedsAndTurns.length
  for (const [act, count] of Object.entries(world.done)) {
    statistics.landed += count
    statistics.kinds[act] = (statistics.kinds[act] ?? 0) + count
  }
}

describe("a copy that is brought up to date now and then", () => {
  it("is what its owner may see, after whatever history, and however many reads have failed", async ({ annotate }) => {
    const turns = fc.array(fc.record({ deed, online: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }) }), {
      minLength: 10,
      maxLength: 40,
      size: "max",
    })
    const failing = fc.array(fc.boolean(), { maxLength: 12 })
    await fc.assert(fc.asyncProperty(turns, failing, checkHistory), {
      numRuns: isPostgres ? 6 : 25,
      endOnFailure: true,
      includeErrorInReport: true,
    })
    // Told when they are asked for: what was tried is what was shown.
    expect(statistics.landed).toBeGreaterThan(statistics.deeds / 3)
    expect(statistics.failures).toBeGreaterThan(statistics.runs)
    await annotate(JSON.stringify(statistics))
  }, 600_000)
})

describe("a copy that follows the socket", () => {
  it("is what its owner may see, through lost connections, failed reads and changes of what they see", async () => {
    const world = await foundWorld()
    const [bob] = world.people as [Caller]
    const copy = await readSnapshot(clientOf(bob))
    const sockets: WebSocket[] = []
    let state = "connecting"
    const connect = connectTo(bob.app)
    let reads = 0
    let isCalm = false
    const fails = () => {
      reads += 1
      return !isCalm && reads % 5 < 2
    }
    const realtime = followCopy(unreliable(bob, fails), copy, {
      connect: async (url) => {
        const socket = await connect(url)
        sockets.push(socket as unknown as WebSocket)
        return socket
      },
      onState: (next) => {
        state = next
      },
      random: () => 0.05,
    })
    const history = fc.sample(deed, { numRuns: 120, seed: 7 }).filter(({ act }) => act !== "role")
    for (const [n, next] of history.entries()) {
      await happen(world, next)
      if (n % 25 !== 24) continue
      for (let tries = 0; tries < 100 && state !== "live"; tries += 1) await new Promise((r) => setTimeout(r, 20))
      sockets.at(-1)?.close()
    }
    isCalm = true
    const end = (await readSnapshot(clientOf(bob))).seq
    for (let tries = 0; tries < 200 && copy.seq < end; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      // What nobody may see has no message: the socket says how far it is when it opens.
      if (tries % 40 === 39) sockets.at(-1)?.close()
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    realtime.close()
    expect(plain(copy)).toEqual(await seenBy(bob))
    expect(sockets.length).toBeGreaterThan(3)
  }, 120_000)
})
