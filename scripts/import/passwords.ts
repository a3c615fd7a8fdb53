import { randomBytes } from "node:crypto"
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"

/** Where generated passwords are kept: in the directory of the package, when npm runs this. */
export const passwordFile = ".edgewise/import.json"

type Stored = Record<string, { password: string }>

/** The password of an account on a server, made on its first use. It is kept before it is used, so none gets lost. */
export async function keptPassword(url: string, email: string): Promise<{ password: string; isNew: boolean }> {
  const stored = await readStored()
  const name = `${url} ${email}`
  const known = stored[name]
  if (known) return { password: known.password, isNew: false }
  const password = randomBytes(24).toString("base64url")
  await writeStored({ ...stored, [name]: { password } })
  return { password, isNew: true }
}

async function readStored(): Promise<Stored> {
  const text = await readFile(passwordFile, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "{}"
    throw error
  })
  return JSON.parse(text) as Stored
}

async function writeStored(stored: Stored): Promise<void> {
  await mkdir(dirname(passwordFile), { recursive: true, mode: 0o700 })
  const draft = `${passwordFile}.${process.pid}`
  await writeFile(draft, `${JSON.stringify(stored, null, 2)}\n`, { mode: 0o600 })
  await rename(draft, passwordFile)
}
