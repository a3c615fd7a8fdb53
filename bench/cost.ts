// What a deployment costs a month and which limit it meets first. `--help` says how.
import { BadArguments, help, type Options, readArguments } from "./cost/arguments.ts"
import { BadCounts, readCounted } from "./cost/counted-file.ts"
import { type Estimates, estimate } from "./cost/estimate.ts"
import { architectures } from "./cost/limits.ts"
import { datedAs } from "./cost/prices.ts"
import {
  aligned,
  architectureTold,
  barTold,
  billTable,
  limitTable,
  loadTold,
  markdown,
  ratioTable,
  sizeTable,
} from "./cost/tables.ts"

const caveat = `Modelled, not measured: counted operations at list prices of ${datedAs}, and what --help says is assumed.
Sharded D1 costs what D1 does; Edgewise does not spread workspaces over several databases yet.`

process.exitCode = await run(process.argv.slice(2))

/** Returns the exit status. */
async function run(args: string[]): Promise<number> {
  try {
    const options = readArguments(args)
    console.log(options ? await told(options) : help)
    return 0
  } catch (error) {
    if (!(error instanceof BadArguments || error instanceof BadCounts)) throw error
    console.error(error.message)
    return 2
  }
}

async function told({ users, requestsPerUser, assumptions, counted: file, as }: Options): Promise<string> {
  const counted = await readCounted(file)
  const sizes = users.map((each) => estimate({ users: each, requestsPerUser, counted, assumptions }))
  if (as === "json") return JSON.stringify({ datedAs, sizes }, null, 2)
  if (as === "markdown") return markdown(sizeTable(sizes))
  const [first, ...others] = sizes as [Estimates, ...Estimates[]]
  const parts = others.length > 0 ? [aligned(sizeTable(sizes))] : inFull(first)
  return [...parts, barTold(first), caveat].join("\n\n")
}

function inFull(size: Estimates): string[] {
  const perArchitecture = architectures.map((architecture) => {
    const one = size.by[architecture]
    return `${architectureTold(one)}\n\n${aligned(limitTable(one))}`
  })
  return [loadTold(size), aligned(billTable(size)), aligned(ratioTable(size)), ...perArchitecture]
}
