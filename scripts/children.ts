import type { ChildProcess } from "node:child_process"
import { setTimeout as wait } from "node:timers/promises"

/** Whatever ends this process, its child ends with it. */
export const endsWithUs = (child: ChildProcess): void => {
  process.once("exit", () => child.kill())
}

/** Ends it, and resolves once it is gone. */
export async function ended(child: ChildProcess): Promise<void> {
  child.kill()
  while (child.exitCode === null && child.signalCode === null) await wait(10)
}
