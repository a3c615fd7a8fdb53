import * as z from "zod"
import { SignedIn } from "../../src/contracts/auth.ts"
import { Problem } from "../../src/contracts/common.ts"
import { EventPage } from "../../src/contracts/events.ts"
import { Project, type ProjectView } from "../../src/contracts/projects.ts"
import { Task, type TaskView } from "../../src/contracts/tasks.ts"
import { openApp, type TestApp } from "./app.ts"
import { execute } from "./database.ts"

type Headers = Record<string, string>

/** Somebody who calls the API: every request carries their token. Bodies go out as JSON. */
export type Caller = {
  app: TestApp
  accessToken: string
  refreshToken: string
  userId: string
  workspaceId: string
  inboxId: string
  email: string
  get(path: string, headers?: Headers): Promise<Response>
  post(path: string, body?: unknown, headers?: Headers): Promise<Response>
  put(path: string, body?: unknown, headers?: Headers): Promise<Response>
  patch(path: string, body?: unknown, headers?: Headers): Promise<Response>
  delete(path: string, headers?: Headers): Promise<Response>
  /** The same person through another app: other faults, another clock. */
  through(app: TestApp): Caller
  /** The same person with another token, or with an API key. */
  as(token: string): Caller
  /** The same person, who takes what a cache has: as any client does that does not say otherwise. */
  cached(): Caller
}

export const password = "a long passphrase"

let people = 0
let shared: Promise<TestApp> | undefined

/** The app that most tests of a file share. */
export const sharedApp = (): Promise<TestApp> => {
  shared ??= openApp()
  return shared
}

const nextPerson = () => {
  people += 1
  return people
}

export const newEmail = () => `person-${nextPerson()}-${crypto.randomUUID().slice(0, 8)}@example.com`

/** An address of their own, so that people do not use up each other's limits. */
export const newAddress = () => `2001:db8:${(nextPerson() >> 16).toString(16)}:${(people & 0xffff).toString(16)}::1`

/** Registers a new user, with a workspace of their own. */
export async function newCaller(app?: TestApp): Promise<Caller> {
  const home = app ?? (await sharedApp())
  const email = newEmail()
  const answer = await home.fetch("/api/v1/auth/register", {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": newAddress() },
    body: JSON.stringify({ email, password, name: "Ada" }),
  })
  if (answer.status !== 201) {
    throw new Error(`Registration failed: ${await answer.text()}\n${home.lines.at(-1)?.error}`)
  }
  return callerOf(home, SignedIn.parse(await answer.json()))
}

const reads = ["GET", "HEAD"]

export function callerOf(
  app: TestApp,
  { user, workspace, accessToken, refreshToken }: z.output<typeof SignedIn>,
  asksCache = false,
): Caller {
  const signedIn = { user, workspace, refreshToken, expiresIn: 600 }
  const send =
    (method: string) =>
    async (path: string, body?: unknown, headers: Headers = {}) =>
      app.fetch(path, {
        method,
        headers: {
          authorization: `Bearer ${accessToken}`,
          // What is in the database is what most tests are about. Those of the cache ask as other clients do.
          ...(reads.includes(method) && !asksCache && { "cache-control": "max-age=0" }),
          ...(body !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      })
  return {
    app,
    accessToken,
    refreshToken,
    userId: user.id,
    workspaceId: workspace.id,
    inboxId: workspace.inboxId,
    email: user.email,
    get: (path, headers) => send("GET")(path, undefined, headers),
    post: send("POST"),
    put: send("PUT"),
    patch: send("PATCH"),
    delete: (path, headers) => send("DELETE")(path, undefined, headers),
    through: (other) => callerOf(other, { ...signedIn, accessToken }, asksCache),
    as: (token) => callerOf(app, { ...signedIn, accessToken: token }, asksCache),
    cached: () => callerOf(app, { ...signedIn, accessToken }, true),
  }
}

// ---- what answers hold, checked against the contracts ----

export const taskIn = async (answer: Response): Promise<TaskView> => Task.parse(await bodyOf(answer, 200, 201))
export const projectIn = async (answer: Response): Promise<ProjectView> => Project.parse(await bodyOf(answer, 200, 201))

const Page = z.object({ data: z.array(z.looseObject({ id: z.string() })), next: z.string().nullable() })
export const pageIn = async (answer: Response) => Page.parse(await bodyOf(answer, 200))

/** The problem document of a refusal with that status. */
export async function problemIn(answer: Response, status: number): Promise<z.output<typeof Problem>> {
  const text = await answer.text()
  if (answer.status !== status) throw new Error(`Expected ${status}, got ${answer.status}: ${text}`)
  if (answer.headers.get("content-type") !== "application/problem+json") throw new Error(`Not a problem: ${text}`)
  return Problem.parse(JSON.parse(text))
}

/** The pointers of a 422. */
export const pointersIn = async (answer: Response): Promise<string[]> =>
  ((await problemIn(answer, 422)).errors ?? []).map(({ pointer }) => pointer)

async function bodyOf(answer: Response, ...statuses: number[]): Promise<unknown> {
  const text = await answer.text()
  if (!statuses.includes(answer.status))
    throw new Error(`Expected ${statuses.join("/")}, got ${answer.status}: ${text}`)
  return JSON.parse(text)
}

/** What a request cost, from Server-Timing. */
export function costOf(answer: Response): { trips: number; read: number; written: number } {
  const match = /trips=(\d+) read=(\d+) written=(\d+)/.exec(answer.headers.get("server-timing") ?? "")
  if (!match) throw new Error("No Server-Timing")
  return { trips: Number(match[1]), read: Number(match[2]), written: Number(match[3]) }
}

// ---- factories ----

export const newProject = async (caller: Caller, input: Record<string, unknown> = {}): Promise<ProjectView> =>
  projectIn(await caller.post("/api/v1/projects", { name: "Website", ...input }))

/** A task, in the Inbox unless said otherwise. */
export const newTask = async (caller: Caller, input: Record<string, unknown> = {}): Promise<TaskView> =>
  taskIn(await caller.post("/api/v1/tasks", { projectId: caller.inboxId, title: "Write tests", ...input }))

/** The whole log of the caller's workspace. */
export async function eventsOf(caller: Caller, after = 0) {
  return EventPage.parse(await bodyOf(await caller.get(`/api/v1/events?after=${after}&limit=200`), 200)).data
}

/** What happened to one thing, oldest first. */
export const historyOf = async (caller: Caller, subjectId: string) =>
  (await eventsOf(caller)).filter((event) => event.subjectId === subjectId).map(({ type }) => type)

/** Makes somebody a member of the caller's workspace, past the API. */
export const addMember = ({ workspaceId }: Caller, { userId }: Caller, role = "member"): Promise<void> =>
  execute(
    "insert into members (workspace_id, user_id, role, name, revision, created_at, updated_at) values (?, ?, ?, 'Eve', 1, 0, 0)",
    workspaceId,
    userId,
    role,
  )

// ---- lists ----

/** Where the next page is, from its Link header. */
export const nextIn = (answer: Response): string | null =>
  /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1] ?? null

/** Every page from this URL on, each found by the link of the one before. */
export async function walk(caller: Caller, first: string): Promise<z.output<typeof Page>[]> {
  const pages: z.output<typeof Page>[] = []
  for (let url: string | null = first; url !== null; ) {
    const answer = await caller.get(url)
    const page = await pageIn(answer)
    pages.push(page)
    url = nextIn(answer)
    if ((url === null) !== (page.next === null)) throw new Error("The link and the body disagree about a next page")
    if (pages.length > 2_000) throw new Error(`No end of ${first}`)
  }
  return pages
}
