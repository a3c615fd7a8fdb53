// Moves everything from one database to the other, and compares the two afterwards. `--help` says how.
import { BadArguments, help, type Options, readArguments } from "./copy/arguments.ts"
import { makeWay, whatWouldBeLost } from "./copy/differences.ts"
import { openPlace, type Place, PlaceFailed } from "./copy/places.ts"
import { type Outcome, sizeOf, transfer } from "./copy/transfer.ts"
import { type Comparison, compareAll } from "./copy/verify.ts"
import { number, openProgress, type Progress } from "./import/progress.ts"

const stopping = new AbortController()
let progress: Progress | undefined

// Told by hand: the package of the local Postgres would end the process with 0 once there is nothing left to do.
process.exit(await run(process.argv.slice(2)))

/** Returns the exit status. */
async function run(args: string[]): Promise<number> {
  let options: Options | null = null
  try {
    options = await readArguments(args)
    if (options) return await copy(options)
    console.log(help)
    return 0
  } catch (error) {
    if (stopping.signal.aborted) {
      console.error("Stopped. What was copied stays; run the same command again to continue.")
      return Number(stopping.signal.reason)
    }
    if (!(error instanceof BadArguments || error instanceof PlaceFailed)) throw error
    console.error(error.message)
    return error instanceof BadArguments ? 2 : 1
  }
}

async function copy({ from, to, isOverwrite }: Options): Promise<number> {
  const { signal } = stopping
  const onWait = (why: string) => (progress ? progress.note(why) : console.log(why))
  const source = await openPlace(from, { role: "source", signal, onWait })
  try {
    const target = await openPlace(to, { role: "target", signal, onWait })
    try {
      stopBetweenStatements()
      return await copyBetween(source, target, isOverwrite)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/**
 * Not from the start: what runs the local databases has come with listeners that end this process at once. A signal may
 * come twice, because npm passes on what the terminal has sent to everybody.
 */
function stopBetweenStatements(): void {
  const codes = { SIGINT: 130, SIGTERM: 143 } as const
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.removeAllListeners(signal)
    process.on(signal, () => stopping.abort(codes[signal]))
  }
}

async function copyBetween(source: Place, target: Place, isOverwrite: boolean): Promise<number> {
  if (isOverwrite) {
    await makeWay(source.db, target.db)
  } else {
    const lost = await whatWouldBeLost(source.db, target.db)
    if (lost) throw new PlaceFailed(`${target.title} has ${lost}. Nothing was written; --overwrite replaces all of it.`)
  }
  const { rows, workspaces } = await sizeOf(source.db)
  const holding = `${number(rows)} rows in ${number(workspaces)} workspace${workspaces === 1 ? "" : "s"}`
  console.log(`Copying ${holding} from ${source.title} to ${target.title}`)
  const start = performance.now()
  const outcome = await showing(rows, "rows", (advance) => transfer(source.db, target.db, advance))
  await target.settle()
  const seconds = (performance.now() - start) / 1_000
  const compared = await showing(rows, "rows compared", (advance) => compareAll(source.db, target.db, advance))
  return report(compared, outcome, seconds)
}

async function showing<T>(total: number, unit: string, work: (advance: Progress["advance"]) => Promise<T>): Promise<T> {
  const shown = openProgress(total, unit)
  progress = shown
  try {
    return await work(shown.advance)
  } finally {
    shown.stop()
    progress = undefined
  }
}

function report(compared: Comparison[], { copied, there, removed }: Outcome, seconds: number): number {
  const width = Math.max(...compared.map(({ table }) => table.length))
  const told = (table: string, source: string, target: string, hash = "", remark = "") =>
    console.log(
      `${table.padEnd(width)}  ${source.padStart(9)}  ${target.padStart(9)}  ${hash.padEnd(12)}  ${remark}`.trimEnd(),
    )
  console.log()
  told("table", "source", "target", "sha-256")
  for (const { table, source, target, isSame } of compared) {
    told(table, number(source.rows), number(target.rows), source.hash.slice(0, 12), isSame ? "ok" : "DIFFERS")
  }
  const sum = (side: "source" | "target") => compared.reduce((rows, { [side]: content }) => rows + content.rows, 0)
  told("total", number(sum("source")), number(sum("target")))

  const gone = removed > 0 ? `, ${number(removed)} were removed` : ""
  const pace = copied > 0 ? `, ${number(Math.round(copied / seconds))} rows/s` : ""
  console.log(
    `\n${number(copied)} rows copied, ${number(there)} were there already${gone}; ${seconds.toFixed(1)} s${pace}`,
  )
  const different = compared.filter(({ isSame }) => !isSame).map(({ table }) => table)
  if (different.length === 0) {
    console.log("Both hold the same.")
    return 0
  }
  console.error(`The target does not hold what the source does: ${different.join(", ")}.`)
  console.error("If the source was written to meanwhile, stop that and run this again; if not, add --overwrite.")
  return 1
}
