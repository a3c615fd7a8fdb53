import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Server, startServer } from "../support/server.ts"

const script = join(import.meta.dirname, "../../scripts/import.ts")
const fixture = join(import.meta.dirname, "../fixtures/work-items.ndjson")
const counts = { toolbox: 132, "Küche & Café": 3, парсер: 3 }
const password = "a long passphrase"
const lost = { isAnswered: false }

let server: Server
let folder: string
const newEmail = () => `import-${crypto.randomUUID()}@example.com`

beforeAll(async () => {
  server = await startServer()
  folder = await mkdtemp(join(tmpdir(), "edgewise-import-"))
})

afterAll(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

type Outcome = { code: number | null; output: string }
type Run = { outcome: Promise<Outcome>; signal(name: NodeJS.Signals): void }

/** Runs the command as npm does, in a directory of its own. */
function start(...args: string[]): Run {
  const env = { ...process.env, INIT_CWD: folder, EDGEWISE_EMAIL: undefined, EDGEWISE_PASSWORD: undefined }
  const child = spawn(process.execPath, [script, ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text))
  const outcome = new Promise<Outcome>((resolve) => child.on("close", (code) => resolve({ code, output })))
  return { outcome, signal: (name) => child.kill(name) }
}

const run = (...args: string[]) => start(...args).outcome

const runFor = (email: string, url = server.url) => run(fixture, "--url", url, "--email", email, "--password", password)

/** A file in the tests' directory, one line for each value: text as it is, everything else as JSON. */
async function fileOf(...lines: unknown[]): Promise<string> {
  const file = join(folder, `${crypto.randomUUID()}.ndjson`)
  await writeFile(file, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"))
  return file
}

// ---- what the account that imported sees ----

type Call = (path: string, method?: string, body?: object) => Promise<unknown>

const calls = new Map<string, Promise<Call>>()

function signedIn(email: string, secret = password): Promise<Call> {
  const call = calls.get(email) ?? signIn(email, secret)
  calls.set(email, call)
  return call
}

async function signIn(email: string, secret: string): Promise<Call> {
  const answer = await fetch(`${server.url}/api/v1/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password: secret }),
  })
  expect(answer.status).toBe(200)
  const { accessToken } = (await answer.json()) as { accessToken: string }
  return async (path, method = "GET", body = undefined) => {
    const headers = { authorization: `Bearer ${accessToken}`, ...(body && { "content-type": "application/json" }) }
    const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) }
    const response = await fetch(`${server.url}/api/v1${path}`, sent)
    return response.status === 204 ? null : ((await response.json()) as unknown)
  }
}

type Row = {
  id: string
  name: string
  title: string
  description: string
  priority: number
  key: string
  labels: { name: string }[]
}

async function listOf(call: Call, path: string): Promise<Row[]> {
  const rows: Row[] = []
  for (let cursor = ""; ; ) {
    const page = (await call(`${path}${path.includes("?") ? "&" : "?"}limit=100${cursor}`)) as {
      data: Row[]
      next: string | null
    }
    rows.push(...page.data)
    if (page.next === null) return rows
    cursor = `&cursor=${page.next}`
  }
}

async function projectNamed(call: Call, name: string): Promise<Row> {
  const project = (await listOf(call, "/projects")).find((row) => row.name === name)
  if (!project) throw new Error(`There is no project ${name}`)
  return project
}

const tasksIn = async (call: Call, name: string) =>
  listOf(call, `/projects/${(await projectNamed(call, name)).id}/tasks`)

/** Every project but the Inbox, with the number of its tasks. */
async function countsOf(email: string, secret = password): Promise<Record<string, number>> {
  const call = await signedIn(email, secret)
  const projects = (await listOf(call, "/projects")).filter(({ name }) => name !== "Inbox")
  const entries = projects.map(async ({ id, name }) => [name, (await listOf(call, `/projects/${id}/tasks`)).length])
  return Object.fromEntries(await Promise.all(entries))
}

// ---- a bad line between the command and the server ----

type Request = { method: string; path: string; headers: IncomingHttpHeaders; body: Buffer }
type Forward = (options?: { isAnswered: boolean }) => Promise<void>
type Meddle = (request: Request, answer: ServerResponse, forward: Forward) => unknown

/** Passes requests on to the server; `meddle` decides about those that create tasks, by their number from 1. */
async function between(meddle: (bulk: number) => Meddle | undefined, work: (url: string) => Promise<void>) {
  let bulks = 0
  const proxy = createServer(async (incoming, answer) => {
    const { method = "", url: path = "", headers } = incoming
    const seen = { method, path, headers, body: await buffer(incoming) }
    const forward: Forward = ({ isAnswered } = { isAnswered: true }) => passOn(seen, isAnswered ? answer : null)
    if (path.endsWith("/tasks/bulk")) bulks += 1
    const meddled = path.endsWith("/tasks/bulk") && meddle(bulks)
    await (meddled ? meddled(seen, answer, forward) : forward())
  })
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  try {
    await work(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
  } finally {
    proxy.closeAllConnections()
    proxy.close()
  }
}

/** Resolves when the server has answered, whether or not the answer is passed back. */
async function passOn({ method, path, headers, body }: Request, answer: ServerResponse | null): Promise<void> {
  const onward = request(`${server.url}${path}`, { method, headers }).end(body)
  const [response] = (await once(onward, "response")) as [IncomingMessage]
  const text = await buffer(response)
  answer?.writeHead(response.statusCode ?? 500, response.headers).end(text)
}

describe("npm run import", () => {
  it("creates a project for each project and a task for each line, and says what it found", async () => {
    const email = newEmail()
    const { code, output } = await runFor(email)

    expect(output).toContain("138 of 138 tasks")
    expect(output).toMatch(/^toolbox +132 +132$/m)
    expect(output).toMatch(/^total +138 +138$/m)
    expect(output).toContain("138 created, 0 were there already")
    expect(code).toBe(0)
    expect(await countsOf(email)).toEqual(counts)
  })

  it("keeps every character, the origin of a task and its weight", async () => {
    const email = newEmail()
    await runFor(email)
    const call = await signedIn(email)

    const [first, , emoji] = await tasksIn(call, "Küche & Café")
    expect(first).toMatchObject({
      title: "Größe der Fußzeile anpassen",
      description: "Die Höhe war **zu groß**: `height: 4rem` → `3rem`.\n\n#1",
      priority: 2,
    })
    expect(emoji).toMatchObject({
      title: "Emoji 👩‍👩‍👧‍👦 in Überschriften zählen als ein Zeichen",
      description: '```ts\nconst segments = new Intl.Segmenter("de")\n```\n\n#3',
    })
    const parser = await tasksIn(call, "парсер")
    expect(parser.map(({ description, priority }) => ({ description, priority }))).toEqual([
      { description: "", priority: 0 },
      { description: "", priority: 0 },
      { description: "", priority: 0 },
    ])
    const lines = (await readFile(fixture, "utf8")).trim().split("\n")
    const titles = lines.map((line) => JSON.parse(line)).filter(({ project }) => project === "toolbox")
    expect((await tasksIn(call, "toolbox")).map(({ title }) => title)).toEqual(titles.map(({ title }) => title))
  })

  it("makes a label of each kind and each release, once, and uses what is there", async () => {
    const email = newEmail()
    const shop = (title: string, kind: string, release?: string) => ({ project: "Shop", title, kind, release })
    const account = ["--url", server.url, "--email", email, "--password", password]
    const files = [
      await fileOf(shop("one", "patch", "0.2.7"), shop("two", "Major", "next"), shop("three", "v1", "1")),
      await fileOf(shop("four", "PATCH", "0.2.7"), shop("five", "minor")),
    ]
    for (const file of files) expect(await run(file, ...account)).toMatchObject({ code: 0 })
    const call = await signedIn(email)

    expect((await listOf(call, "/labels")).map(({ name }) => name)).toEqual([
      "Major",
      "minor",
      "next",
      "patch",
      "v0.2.7",
      "v1",
    ])
    const { id } = await projectNamed(call, "Shop")
    const tasks = await listOf(call, `/projects/${id}/tasks?include=labels`)
    expect(tasks.map(({ title, labels }) => [title, labels.map(({ name }) => name).toSorted()])).toEqual([
      ["one", ["patch", "v0.2.7"]],
      ["two", ["Major", "next"]],
      ["three", ["v1"]],
      ["four", ["patch", "v0.2.7"]],
      ["five", ["minor"]],
    ])
  })

  it("leaves alone what was imported before there were labels", async () => {
    const email = newEmail()
    await run(
      await fileOf({ project: "Shop", title: "other" }),
      "--url",
      server.url,
      "--email",
      email,
      "--password",
      password,
    )
    const call = await signedIn(email)
    const { id: projectId } = await projectNamed(call, "Shop")
    const lines = ["Release 0.1.0 · minor · #1", "Release 0.1.0 · patch", "chore", "#4"]
    for (const [n, line] of lines.entries()) {
      await call("/tasks", "POST", { projectId, title: `Task ${n}`, description: `Text\n\n${line}` })
    }
    const file = await fileOf(
      { project: "Shop", title: "Task 0", description: "Text", release: "0.1.0", kind: "minor", number: 1 },
      { project: "Shop", title: "Task 1", description: "Text", release: "0.1.0", kind: "patch" },
      { project: "Shop", title: "Task 2", description: "Text", kind: "chore" },
      { project: "Shop", title: "Task 3", description: "Text", number: 4 },
    )
    const again = await run(file, "--url", server.url, "--email", email, "--password", password)
    expect(again.output).toContain("0 created, 4 were there already")
    expect(again.code).toBe(0)
    expect(await listOf(call, "/labels")).toEqual([])
  })

  it("creates nothing twice, and keeps the password that it made", async () => {
    const email = newEmail()
    const first = await run(fixture, "--url", server.url, "--email", email)
    const again = await run(fixture, "--url", server.url, "--email", email)

    expect(first).toMatchObject({ code: 0, output: expect.stringContaining("138 created, 0 were there already") })
    expect(again).toMatchObject({ code: 0, output: expect.stringContaining("0 created, 138 were there already") })
    const file = join(folder, ".edgewise/import.json")
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const kept = JSON.parse(await readFile(file, "utf8"))[`${server.url} ${email}`].password
    expect(first.output + again.output).not.toContain(kept)
    expect(await countsOf(email, kept)).toEqual(counts)
  })

  it("continues after it was killed, although the last answer never came", async () => {
    const email = newEmail()
    let running: Run | undefined
    const kill: Meddle = async (_seen, _answer, forward) => {
      await forward(lost)
      running?.signal("SIGTERM")
    }
    await between(
      (bulk) => (bulk === 2 ? kill : undefined),
      async (url) => {
        running = start(fixture, "--url", url, "--email", email, "--password", password)
        const { code, output } = await running.outcome
        expect(output).toContain("Stopped. What was imported stays; run the same command again to continue.")
        expect(code).toBe(143)
      },
    )
    expect(await countsOf(email)).toEqual({ toolbox: 132 })

    const again = await runFor(email)
    expect(again.output).toContain("6 created, 132 were there already")
    expect(again.code).toBe(0)
    expect(await countsOf(email)).toEqual(counts)
  })

  it("does not repeat a batch that lands after it was killed", async () => {
    const email = newEmail()
    const looked = Promise.withResolvers<void>()
    const landed = Promise.withResolvers<void>()
    let running: Run | undefined
    // The first batch is held on its way until a second run has looked, found nothing and sent its own.
    const hold: Meddle = async (_seen, _answer, forward) => {
      running?.signal("SIGTERM")
      await looked.promise
      await forward(lost)
      landed.resolve()
    }
    const letPass: Meddle = async (_seen, _answer, forward) => {
      looked.resolve()
      await landed.promise
      await forward()
    }
    await between(
      (bulk) => [hold, letPass][bulk - 1],
      async (url) => {
        running = start(fixture, "--url", url, "--email", email, "--password", password)
        expect(await running.outcome).toMatchObject({ code: 143 })
        const again = await runFor(email, url)
        expect(again.output).toContain("38 created, 100 were there already")
        expect(again.code).toBe(0)
      },
    )
    expect(await countsOf(email)).toEqual(counts)
  })

  it("gets through lost answers, busy moments and an access token that has run out", async () => {
    const email = newEmail()
    const troubles: Meddle[] = [
      async (_seen, answer, forward) => {
        await forward(lost)
        answer.destroy()
      },
      (_seen, answer) => answer.writeHead(503, { "retry-after": "0" }).end(),
      (_seen, answer) => answer.writeHead(429, { "retry-after": "1", connection: "close" }).end("{}"),
      (seen, _answer, forward) => {
        seen.headers.authorization = "Bearer run.out.now"
        return forward()
      },
    ]
    const seen: number[] = []
    await between(
      (bulk) => {
        seen.push(bulk)
        return troubles[bulk - 1]
      },
      async (url) => expect(await runFor(email, url)).toMatchObject({ code: 0 }),
    )
    expect(seen.length).toBe(4 + troubles.length)
    expect(await countsOf(email)).toEqual(counts)
  })

  it("adds what a longer file has more, and leaves alone what others have made", async () => {
    const email = newEmail()
    const line = (title: string) => ({ project: "Shop", title, kind: "patch", number: title.length })
    const files = [
      await fileOf(line("one"), line("three")),
      await fileOf(line("one"), line("seventeen"), line("three")),
    ]
    const account = ["--url", server.url, "--email", email, "--password", password]
    await run(files[0] ?? "", ...account)
    const longer = await run(files[1] ?? "", ...account)
    const shorter = await run(files[0] ?? "", ...account)

    expect(longer.output).toContain("1 created, 2 were there already")
    expect(shorter.output).toMatch(/^Shop +2 +3 +1 of them not from this file$/m)
    expect([longer.code, shorter.code]).toEqual([0, 0])
    expect(await countsOf(email)).toEqual({ Shop: 3 })
  })

  it("creates again what was deleted, and says so when it may not yet", async () => {
    const email = newEmail()
    await runFor(email)
    const call = await signedIn(email)
    const [oneOfMany] = await tasksIn(call, "toolbox")
    await call(`/tasks/${oneOfMany?.id}`, "DELETE")
    await call(`/projects/${(await projectNamed(call, "парсер")).id}`, "DELETE")
    const again = await runFor(email)
    expect(again.output).toContain("4 created, 134 were there already")
    expect(await countsOf(email)).toEqual(counts)

    for (const { id } of await tasksIn(call, "Küche & Café")) await call(`/tasks/${id}`, "DELETE")
    const tooSoon = await runFor(email)
    expect(tooSoon.output).toMatch(/^Küche & Café +3 +0 +3 expected$/m)
    expect(tooSoon.output).toContain("3 were imported before and have been changed or deleted since")
    expect(tooSoon.code).toBe(1)
  })

  it("refuses bad lines by number and field before it writes anything", async () => {
    const email = newEmail()
    const file = await fileOf(
      { project: "Shop", title: "good" },
      { project: "Shop" },
      { project: "Shop", title: "x".repeat(501), priority: 3 },
      "",
      "{not json",
      [1],
      { project: " ", title: "ok", description: 7, number: 1.5 },
      { project: "Shop", title: "ok", description: `${"é".repeat(32_768)}`, number: 7 },
      { project: "Shop", title: "ok", kind: "x".repeat(51), release: "9".repeat(50) },
    )
    const { code, output } = await run(file, "--url", server.url, "--email", email, "--password", password)

    expect(output.split("\n").map((text) => text.trim())).toEqual([
      `${file} cannot be imported, and nothing was written:`,
      "line 2: title: is missing",
      "line 3: title: must have at most 500 characters",
      "line 3: priority: is not known here",
      "line 5: is not JSON",
      "line 6: must be one JSON object",
      "line 7: project: must not be empty",
      "line 7: description: Invalid input: expected string, received number",
      "line 7: number: Invalid input: expected int, received number",
      "line 8: description: must leave room for its last line within 65536 bytes",
      "line 9: release: must have at most 49 characters",
      "line 9: kind: must have at most 50 characters",
      "",
    ])
    expect(code).toBe(1)
    const answer = await fetch(`${server.url}/api/v1/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    })
    expect(answer.status).toBe(401)
  })

  it("says in a line what is wrong with its surroundings", async () => {
    const email = newEmail()
    const file = await fileOf({ project: "Shop", title: "good" })
    const account = ["--email", email, "--password", password]
    await run(file, "--url", server.url, ...account)

    const nobody = await run(file, "--url", "http://127.0.0.1:1", ...account)
    const stranger = await run(file, "--url", server.url, "--email", email, "--password", "another passphrase")
    const refused = await run(file, "--url", server.url, "--email", newEmail(), "--password", "short")
    const missing = await run("nowhere.ndjson", "--url", server.url)

    expect(nobody.output.trim()).toMatch(
      /^http:\/\/127\.0\.0\.1:1 does not answer \(.+\)\. Start it with: npm run dev$/,
    )
    expect(stranger.output.trim()).toBe(
      `${email} is registered at ${server.url} with another password: give --password`,
    )
    expect(refused.output).toContain("/password: must have at least 8 characters")
    expect(missing.output.trim()).toBe(`There is no file ${join(folder, "nowhere.ndjson")}`)
    expect([nobody, stranger, refused, missing].map(({ code }) => code)).toEqual([1, 1, 1, 1])
  })

  it("tells how to use it, and refuses arguments that it does not know", async () => {
    expect(await run("--help")).toMatchObject({ code: 0, output: expect.stringContaining("npm run import -- FILE") })
    for (const args of [[], ["a", "b"], ["a", "--colour"], ["a", "--url", "nowhere"]]) {
      expect(await run(...args)).toMatchObject({ code: 2, output: expect.stringContaining("npm run import -- FILE") })
    }
  })
})
