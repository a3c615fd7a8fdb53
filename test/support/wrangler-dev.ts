import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "../../scripts/free-port.ts"
import { makeSecrets } from "../../scripts/secrets.ts"

const root = join(import.meta.dirname, "../..")
const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js")
const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" }

/** `wrangler dev` on D1, which keeps its data when it is killed. */
export type WranglerDev = {
  url: string
  /** Starts it, and resolves once it answers. */
  start(): Promise<void>
  /** Ends it and all its processes, in the middle of whatever they do. */
  kill(): Promise<void>
  /** What it has printed. */
  output(): string
  /** Ends it for good, and forgets its data. */
  remove(): Promise<void>
}

/** A migrated and empty server that has not been started yet. `vars`: beside the secrets. */
export async function newWranglerDev(vars: Record<string, string> = {}): Promise<WranglerDev> {
  const state = await mkdtemp(join(tmpdir(), "edgewise-killed-"))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const settings = { ...(await makeSecrets()), ENVIRONMENT: "development", ORIGIN: url, ...vars }
  execFileSync(process.execPath, [wrangler, "d1", "migrations", "apply", "DB", "--local", "--persist-to", state], {
    cwd: root,
    env,
    stdio: "ignore",
  })
  let child: ChildProcess | null = null
  let output = ""

  const isAlive = (group: number) => {
    try {
      process.kill(group, 0)
      return true
    } catch {
      return false
    }
  }

  const kill = async () => {
    const group = -(child?.pid ?? Number.NaN)
    if (!child || !isAlive(group)) return
    process.kill(group, "SIGKILL")
    while (isAlive(group)) await sleep(10)
    child = null
  }

  return {
    url,
    kill,
    output: () => output,
    async start() {
      const given = Object.entries(settings).flatMap(([name, value]) => ["--var", `${name}:${value}`])
      const where = ["--ip", "127.0.0.1", "--port", String(port), "--persist-to", state]
      const started = spawn(process.execPath, [wrangler, "dev", ...where, ...given], {
        cwd: root,
        env,
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
      })
      child = started
      for (const stream of [started.stdout, started.stderr]) {
        stream.on("data", (chunk: Buffer) => (output = `${output}${chunk}`.slice(-20_000)))
      }
      for (let waited = 0; waited < 60_000; waited += 50) {
        const answer = await fetch(`${url}/health/live`).catch(() => null)
        if (answer?.ok) return
        if (started.exitCode !== null) break
        await sleep(50)
      }
      throw new Error(`It did not start:\n${output}`)
    },
    async remove() {
      await kill()
      await rm(state, { recursive: true, force: true })
    },
  }
}
