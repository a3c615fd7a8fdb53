import type { Reporter, TestModule } from "vitest/node"

type Counts = { passed: number; failed: number; skipped: number }

/** Closes a run with a line for each suite: the worker's is run once per database. */
export default class SuitesReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const suites = Map.groupBy(modules, ({ project }) => project.name)
    const lines = [...suites].flatMap(([name, ofSuite]) => [`  ${name}: ${describe(ofSuite)}`, ...skippedIn(ofSuite)])
    process.stdout.write(`\n${lines.join("\n")}\n`)
  }
}

const skippedIn = (modules: TestModule[]): string[] =>
  modules
    .flatMap((testModule) => [...testModule.children.allTests("skipped")])
    .map(({ fullName }) => `    skipped: ${fullName}`)

function describe(modules: TestModule[]): string {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  for (const testModule of modules) {
    for (const test of testModule.children.allTests()) {
      const { state } = test.result()
      if (state !== "pending") counts[state] += 1
    }
  }
  const files = modules.filter((testModule) => !testModule.ok()).length
  return [
    `${counts.passed} passed`,
    `${counts.failed} failed`,
    ...(counts.skipped > 0 ? [`${counts.skipped} skipped`] : []),
    ...(files > 0 ? [`${files} files not ok`] : []),
  ].join(", ")
}
