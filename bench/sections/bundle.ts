import { execFile } from "node:child_process"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import { type Bench, root } from "../bench.ts"
import { median } from "../load.ts"
import { atMost, type Report, told } from "../report.ts"

const sizeBar = 250
const startUpBar = 60
const repeats = 5

const method = `The size is that of what wrangler uploads, minified and then compressed with gzip. The start-up is what
\`wrangler check startup\` tells: how long the runtime was active while it loaded the minified Worker, on this machine; the
median of five. Both are of the deployment on D1, unless it is said otherwise.`

export async function bundle(bench: Bench): Promise<Report> {
  const size = await gzipped("dist/worker")
  const onPostgres = await gzipped("dist/worker-postgres")
  const times = await startUps(bench)
  return {
    method,
    rows: [
      atMost("bundle, gzip", sizeBar, size, " KB", 1),
      told("bundle on Postgres, gzip", `${onPostgres.toFixed(1)} KB`),
      atMost("start-up, active", startUpBar, median(times), " ms", 1),
    ],
    notes: [`Start-ups took ${times.map((time) => time.toFixed(1)).join(", ")} ms.`],
    data: { gzipKb: { d1: size, postgres: onPostgres }, startUpMs: times },
  }
}

/** KB of the modules, each compressed: maps and notes are not uploaded. */
async function gzipped(folder: string): Promise<number> {
  const files = (await readdir(join(root, folder))).filter((file) => /\.(js|mjs|wasm|bin|txt)$/.test(file))
  const sizes = await Promise.all(files.map(async (file) => gzipSync(await readFile(join(root, folder, file))).length))
  return sizes.reduce((sum, size) => sum + size, 0) / 1_000
}

const run = promisify(execFile)

async function startUps(bench: Bench): Promise<number[]> {
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js")
  // It always writes a profile, which nobody keeps.
  const profile = join(await bench.folder(), "startup.cpuprofile")
  const args = [wrangler, "check", "startup", "--args=--minify", "--outfile", profile]
  // What it tells must not be kept back, as it is from whoever serves.
  const env = { ...process.env, WRANGLER_LOG: "log" }
  const times: number[] = []
  for (let n = 0; n < repeats; n += 1) {
    const { stdout } = await run(process.execPath, args, { cwd: root, env })
    const [, active] = /Active: ([\d.]+) ms/.exec(stdout) ?? []
    if (active === undefined) throw new Error(`wrangler check startup does not tell how long it was active:\n${stdout}`)
    times.push(Number(active))
    bench.tell(`start-up ${n + 1} of ${repeats}: ${active} ms`)
  }
  return times
}
