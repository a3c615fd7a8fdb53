// Measures section by section, and says for each number that has a bar whether it is reached.
import { parseArgs } from "node:util"
import { type Bench, openStage, root, type Stage } from "./bench.ts"
import { closeConnections } from "./load.ts"
import { keepReport, notMeasured, printReport, printRows, type Report, type Row } from "./report.ts"
import { bundle } from "./sections/bundle.ts"
import { express } from "./sections/express.ts"
import { growth } from "./sections/growth.ts"
import { logins } from "./sections/logins.ts"
import { mix } from "./sections/mix.ts"
import { operations } from "./sections/operations.ts"
import { price } from "./sections/price.ts"
import { realtime } from "./sections/realtime.ts"
import { reminders } from "./sections/reminders.ts"
import { webhooks } from "./sections/webhooks.ts"

const sections: Record<string, (bench: Bench) => Promise<Report>> = {
  mix,
  express,
  logins,
  growth,
  realtime,
  webhooks,
  reminders,
  bundle,
  operations,
  price,
}
const names = Object.keys(sections)

const usage = `npm run bench -- [section…] [--seconds N]

Without a section, all of them: ${names.join(", ")}.
--seconds N is how long one measurement takes (2); most are repeated three times.
The tables are kept as JSON in dist/bench/.`

function readArguments(): { chosen: string[]; seconds: number } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { seconds: { type: "string", default: "2" }, help: { type: "boolean", short: "h" } },
    })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    const unknown = positionals.filter((name) => !(name in sections))
    if (unknown.length > 0) throw new Error(`There is no section ${unknown.join(", ")}`)
    const seconds = Number(values.seconds)
    if (!(seconds > 0)) throw new Error(`--seconds takes a number above 0, not ${values.seconds}`)
    return { chosen: positionals.length > 0 ? positionals : names, seconds }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exit(2)
  }
}

const { chosen, seconds } = readArguments()
let stage: Stage | undefined
let isInterrupted = false

// The first signal lets everything end in order; the second one does not wait for that.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    process.once(signal, () => process.exit(130))
    isInterrupted = true
    void stage?.clear().finally(() => process.exit(130))
  })
}

const all: Row[] = []
for (const name of chosen) {
  console.log(`\n== ${name}`)
  stage = await openStage(seconds)
  try {
    const report = (await sections[name]?.(stage)) as Report
    printReport(report)
    await keepReport(`${root}dist/bench`, name, seconds, report)
    all.push(...report.rows)
  } catch (error) {
    // What was stopped in the middle of its work has no more to say.
    if (isInterrupted) await new Promise(() => undefined)
    console.error(error)
    all.push(notMeasured(name, "", "it failed; see above"))
    process.exitCode = 1
  } finally {
    await stage.clear()
  }
}
closeConnections()
if (chosen.length > 1) {
  console.log("\n== all")
  printRows(all)
}
