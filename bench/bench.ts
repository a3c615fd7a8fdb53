import { chmodSync, rmSync, statfsSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeSecrets, type Secrets } from "../scripts/secrets.ts"

export const root = fileURLToPath(new URL("../", import.meta.url))

type Stoppable = { stop(): Promise<void> }

/** What a section is given. */
export type Bench = {
  /** How long one measurement takes. */
  seconds: number
  /** How often each is repeated, in turns with the others. */
  rounds: number
  /** The keys of every instance that is served. */
  secrets: Secrets
  /** A new folder, which goes when the section ends. */
  folder(): Promise<string>
  /** Tells whoever waits what is going on. */
  tell(what: string): void
  /** Hands over what has to be stopped when the section ends, or everything. */
  own<T extends Stoppable>(thing: T): T
}

export type Stage = Bench & {
  /** Stops what the section has started, the newest first, and takes its folders away. */
  clear(): Promise<void>
}

export async function openStage(seconds: number): Promise<Stage> {
  const home = await mkdtemp(join(place(), "edgewise-bench-"))
  // Postgres may run as another user, and has its data here.
  chmodSync(home, 0o755)
  const takeAway = () => rmSync(home, { recursive: true, force: true })
  process.once("exit", takeAway)
  const owned: Stoppable[] = []
  const start = performance.now()
  return {
    seconds,
    rounds: 3,
    secrets: await makeSecrets(),
    folder: () => mkdtemp(join(home, "part-")),
    tell: (what) => console.log(`${((performance.now() - start) / 1_000).toFixed(0).padStart(5)} s  ${what}`),
    own(thing) {
      owned.push(thing)
      return thing
    },
    async clear() {
      for (let thing = owned.pop(); thing; thing = owned.pop()) await thing.stop()
      takeAway()
      process.off("exit", takeAway)
    },
  }
}

const memory = "/dev/shm"
// Two databases of a million tasks.
const needed = 6e9

/** In memory, where there is a file system of that kind: the disk belongs to nobody who is measured. */
function place(): string {
  try {
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize > needed ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}
