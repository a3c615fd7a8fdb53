import { spawn } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { expect, it } from "vitest"

const vitest = join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs")

/** Runs a file of tests with the configuration of this repository, and gives the exit code. */
async function run(text: string): Promise<number | null> {
  const folder = await mkdtemp(join(import.meta.dirname, "exit-"))
  try {
    await writeFile(join(folder, "one.test.ts"), text)
    const child = spawn(process.execPath, [vitest, "run", "--project", "node", folder], { stdio: "ignore" })
    return await new Promise((resolve) => child.on("close", resolve))
  } finally {
    await rm(folder, { recursive: true })
  }
}

it("the suite fails when a test fails, and only then", async () => {
  const file = (value: number) => `import { expect, it } from "vitest"\nit("is one", () => expect(${value}).toBe(1))\n`
  expect(await run(file(2))).toBe(1)
  expect(await run(file(1))).toBe(0)
})
