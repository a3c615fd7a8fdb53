import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { chmod, cp, mkdtemp, readFile, rm, stat, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest"
import { freePort } from "../../scripts/free-port.ts"
import { startPostgres } from "../../scripts/postgres/server.ts"

const root = join(import.meta.dirname, "../..")
const account = { email: "ada@example.com", password: "a long passphrase", name: "Ada" }

let copy: string
let url: string
const started: Dev[] = []

beforeAll(async () => {
  copy = await copySources()
  url = `http://127.0.0.1:${await freePort()}`
})

afterAll(async () => {
  for (const dev of started) await dev.stop()
  await rm(copy, { recursive: true, force: true })
})

/** What a fresh clone would hold if everything here were committed, with the installed packages beside it. */
async function copySources(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "edgewise-dev-"))
  // An embedded Postgres does not run as root, and its user must get there.
  await chmod(folder, 0o755)
  const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
  for (const file of list.split("\0").filter((name) => name && existsSync(join(root, name)))) {
    await cp(join(root, file), join(folder, file))
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"))
  return folder
}

type DevOptions = { script?: string; env?: Record<string, string> }
type Dev = { child: ChildProcess; output: () => string; stop(): Promise<void> }

/** `npm run dev` (or another script) in the copy, in a process group of its own. */
function startDev(args: string[], { script = "dev", env = {} }: DevOptions = {}): Dev {
  const child = spawn("npm", ["run", script, "--", ...args], {
    cwd: copy,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
  const group = -(child.pid ?? Number.NaN)
  const dev: Dev = {
    child,
    output: () => output,
    async stop() {
      if (!isAlive(group)) return
      process.kill(group, "SIGTERM")
      for (let waited = 0; isAlive(group); waited += 100) {
        if (waited > 10_000) {
          process.kill(group, "SIGKILL")
          throw new Error(`Processes were left behind:\n${output}`)
        }
        await sleep(100)
      }
    },
  }
  started.push(dev)
  return dev
}

function isAlive(group: number): boolean {
  try {
    process.kill(group, 0)
    return true
  } catch {
    return false
  }
}

async function ready(dev: Dev): Promise<void> {
  for (let waited = 0; !dev.output().includes("Edgewise is running"); waited += 100) {
    if (waited > 60_000 || dev.child.exitCode !== null) throw new Error(`It did not start:\n${dev.output()}`)
    await sleep(100)
  }
}

const startOnPort = async (args: string[] = [], options: DevOptions = {}): Promise<Dev> => {
  const dev = startDev(["--port", new URL(url).port, ...args], options)
  await ready(dev)
  return dev
}

const post = (path: string, body: unknown) =>
  fetch(`${url}/api/v1${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })

/** The newest mail, which may still be on its way. */
const firstMail = () =>
  vi.waitFor(async () => {
    const answer = await fetch(`${url}/dev/mailbox`, { headers: { accept: "application/json" } })
    const { data } = (await answer.json()) as { data: object[] }
    if (!data[0]) throw new Error("No mail")
    return data[0]
  }, 5_000)

describe("npm run dev", () => {
  it("starts from nothing, restarts with everything, and ends without a trace", async () => {
    const first = await startOnPort()
    expect(first.output()).toContain(`${url}/docs`)
    expect(first.output()).toContain("Made a signing key and an instance key in .dev.vars")
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      status: "healthy",
      checks: { database: { status: "healthy" }, objects: { status: "healthy" } },
    })
    const page = await (await fetch(`${url}/docs`)).text()
    const [style = ""] = /\/docs\/assets\/swagger-ui\.\w+\.css/.exec(page) ?? []
    expect((await fetch(url + style)).status).toBe(200)
    const file = join(copy, ".dev.vars")
    const secrets = await readFile(file, "utf8")
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(first.output()).not.toContain(/SIGNING_KEY='(.+)'/.exec(secrets)?.[1])

    const registered = await post("/auth/register", account)
    const { accessToken } = (await registered.json()) as { accessToken: string }
    expect(registered.status).toBe(201)
    expect(first.output()).toContain(`${url}/dev/mailbox`)
    expect(await firstMail()).toMatchObject({
      to: account.email,
      text: expect.stringContaining(`${url}/verify-email#`),
    })
    // Whatever is asked for counts: nine more, then this address has used up its hour.
    for (let n = 2; n <= 10; n += 1) expect((await post("/auth/register", {})).status).toBe(422)
    expect((await post("/auth/register", { ...account, email: "b@example.com" })).status).toBe(429)

    await first.stop()
    await expect(fetch(`${url}/health/live`)).rejects.toThrow()

    const second = await startOnPort(["--var", "RATE_LIMITS:relaxed"])
    expect(second.output()).not.toContain("Made a signing key")
    expect(await readFile(file, "utf8")).toBe(secrets)
    const { email, password } = account
    expect((await post("/auth/login", { email, password })).status).toBe(200)
    const me = await fetch(`${url}/api/v1/me`, { headers: { authorization: `Bearer ${accessToken}` } })
    expect(await me.json()).toMatchObject({ email: account.email })
    expect((await post("/auth/register", { ...account, email: "b@example.com" })).status).toBe(201)
    await second.stop()
  })

  it("refuses a port that is none", async () => {
    for (const port of ["nowhere", "0", "70000"]) {
      const dev = startDev(["--port", port])
      const [code] = await once(dev.child, "close")
      expect(dev.output()).toContain(`--port takes a number from 1 to 65535, not ${port}`)
      expect(code).toBe(2)
    }
  })
})

describe.skipIf(inject("postgresMissing"))("npm run dev:postgres", () => {
  const relaxed = ["--var", "RATE_LIMITS:relaxed"]

  it("runs the whole system on an embedded Postgres, which keeps what was written and ends with it", async () => {
    const first = await startOnPort(relaxed, { script: "dev:postgres" })
    expect(first.output()).toContain("Edgewise is running on an embedded Postgres.")
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      status: "healthy",
      checks: { database: { status: "healthy" }, pool: { status: "healthy", connections: { open: 1, waiting: 0 } } },
    })
    const registered = await post("/auth/register", { ...account, email: "pg@example.com" })
    expect(registered.status).toBe(201)
    const { accessToken, workspace } = (await registered.json()) as {
      accessToken: string
      workspace: { inboxId: string }
    }
    const headers = { authorization: `Bearer ${accessToken}`, "content-type": "application/json" }
    const body = JSON.stringify({ projectId: workspace.inboxId, title: "Kept" })
    const task = await fetch(`${url}/api/v1/tasks`, { method: "POST", headers, body })
    expect(await task.json()).toMatchObject({ key: "INBOX-1" })
    await first.stop()

    const second = await startOnPort(relaxed, { script: "dev:postgres" })
    const found = await fetch(`${url}/api/v1/tasks/INBOX-1`, { headers })
    expect(await found.json()).toMatchObject({ title: "Kept" })
    await second.stop()
    await expect(readFile(join(copy, ".wrangler/state/postgres/data/postmaster.pid"))).rejects.toThrow("ENOENT")
  })

  it("runs on the database that DATABASE_URL names", async () => {
    const server = await startPostgres()
    const dev = await startOnPort(relaxed, { script: "dev:postgres", env: { DATABASE_URL: server.url } })
    expect(dev.output()).toContain("Edgewise is running on the Postgres of DATABASE_URL.")
    expect((await post("/auth/register", { ...account, email: "named@example.com" })).status).toBe(201)
    await dev.stop()
    const client = new pg.Client(server.url)
    await client.connect()
    expect((await client.query("select email from users")).rows).toEqual([{ email: "named@example.com" }])
    await client.end()
    await server.stop()
  })

  it("says what is wrong with a database that is not there", async () => {
    const dev = startDev([], { script: "dev:postgres", env: { DATABASE_URL: "postgres://x:secret@127.0.0.1:9/x" } })
    const [code] = await once(dev.child, "close")
    expect(dev.output()).toContain("The database that DATABASE_URL names could not be prepared.")
    expect(dev.output()).not.toContain("secret")
    expect(code).toBe(1)
  })
})
