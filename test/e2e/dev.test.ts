import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { cp, mkdtemp, readFile, rm, stat, symlink } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

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
  const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
  for (const file of list.split("\0").filter((name) => name && existsSync(join(root, name)))) {
    await cp(join(root, file), join(folder, file))
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"))
  return folder
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

type Dev = { child: ChildProcess; output: () => string; stop(): Promise<void> }

/** `npm run dev` in the copy, in a process group of its own. */
function startDev(...args: string[]): Dev {
  const child = spawn("npm", ["run", "dev", "--", ...args], {
    cwd: copy,
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
  for (let waited = 0; !dev.output().includes("Edgewise is running."); waited += 100) {
    if (waited > 60_000 || dev.child.exitCode !== null) throw new Error(`It did not start:\n${dev.output()}`)
    await sleep(100)
  }
}

const startOnPort = async (...args: string[]): Promise<Dev> => {
  const dev = startDev("--port", new URL(url).port, ...args)
  await ready(dev)
  return dev
}

const post = (path: string, body: unknown) =>
  fetch(`${url}/api/v1${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })

describe("npm run dev", () => {
  it("starts from nothing, restarts with everything, and ends without a trace", async () => {
    const first = await startOnPort()
    expect(first.output()).toContain(`${url}/docs`)
    expect(first.output()).toContain("Made a signing key and an instance key in .dev.vars")
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      status: "healthy",
      checks: { database: { status: "healthy" }, objects: { status: "healthy" } },
    })
    expect((await fetch(`${url}/docs/assets/swagger-ui.css`)).status).toBe(200)
    const file = join(copy, ".dev.vars")
    const secrets = await readFile(file, "utf8")
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(first.output()).not.toContain(/SIGNING_KEY='(.+)'/.exec(secrets)?.[1])

    const registered = await post("/auth/register", account)
    const { accessToken } = (await registered.json()) as { accessToken: string }
    expect(registered.status).toBe(201)
    // Whatever is asked for counts: nine more, then this address has used up its hour.
    for (let n = 2; n <= 10; n += 1) expect((await post("/auth/register", {})).status).toBe(422)
    expect((await post("/auth/register", { ...account, email: "b@example.com" })).status).toBe(429)

    await first.stop()
    await expect(fetch(`${url}/health/live`)).rejects.toThrow()

    const second = await startOnPort("--var", "RATE_LIMITS:relaxed")
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
      const dev = startDev("--port", port)
      const [code] = await once(dev.child, "close")
      expect(dev.output()).toContain(`--port takes a number from 1 to 65535, not ${port}`)
      expect(code).toBe(2)
    }
  })
})
