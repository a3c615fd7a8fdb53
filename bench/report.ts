// What a section found out, and how it is printed and kept.
import { mkdir, writeFile } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { join } from "node:path"

/** "none": there is no bar, or nothing yet that could reach it. */
export type Verdict = "met" | "missed" | "none" | "not measured"

/** What was asked, and what came out. */
export type Row = { what: string; bar: string; figure: string; verdict: Verdict }

/** The first line holds the heads of the columns. */
export type Table = { title: string; lines: string[][] }

export type Report = {
  /** How it was measured, in one paragraph. */
  method: string
  rows: Row[]
  tables?: Table[]
  notes?: string[]
  /** What the JSON beside the table holds besides these. */
  data?: unknown
}

// Rounded to the side of the miss, so that no figure looks better than its verdict.
const roundedUp = (figure: number, places: number) => (Math.ceil(figure * 10 ** places) / 10 ** places).toFixed(places)
const roundedDown = (figure: number, places: number) =>
  (Math.floor(figure * 10 ** places) / 10 ** places).toFixed(places)

export const atMost = (what: string, bar: number, figure: number, unit = "", places = 0): Row => ({
  what,
  bar: `≤ ${bar}${unit}`,
  figure: `${roundedUp(figure, places)}${unit}`,
  verdict: figure <= bar ? "met" : "missed",
})

/** A ratio of throughputs. */
export const atLeast = (what: string, bar: number, figure: number): Row => ({
  what,
  bar: `≥ ${bar.toFixed(2)}`,
  figure: roundedDown(figure, 2),
  verdict: figure >= bar ? "met" : "missed",
})

export const told = (what: string, figure: string): Row => ({ what, bar: "reported", figure, verdict: "none" })

export const notMeasured = (what: string, bar: string, why: string): Row => ({
  what,
  bar,
  figure: why,
  verdict: "not measured",
})

export function printReport({ method, rows, tables = [], notes = [] }: Report): void {
  console.log(`\n${wrapped(method)}`)
  for (const { title, lines } of tables) {
    console.log(`\n${title}\n`)
    printTable(lines)
  }
  for (const note of notes) console.log(`\n${wrapped(note)}`)
  console.log()
  printRows(rows)
}

export const printRows = (rows: Row[]): void =>
  printTable([
    ["what", "bar", "figure", "verdict"],
    ...rows.map(({ what, bar, figure, verdict }) => [what, bar, figure, words[verdict]]),
  ])

const words: Record<Verdict, string> = { met: "met", missed: "MISSED", none: "", "not measured": "not measured" }

export function printTable(lines: string[][]): void {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(cells.join("  ").trimEnd())
  }
}

const lineWidth = 110

function wrapped(text: string): string {
  const lines = [""]
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? ""
    if (line && line.length + word.length >= lineWidth) lines.push(word)
    else lines[lines.length - 1] = line ? `${line} ${word}` : word
  }
  return lines.join("\n")
}

/** Keeps a report beside its table, with what one must know to compare it with another. */
export async function keepReport(folder: string, section: string, seconds: number, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true })
  const machine = {
    cpus: availableParallelism(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  }
  const kept = { section, at: new Date().toISOString(), seconds, machine, ...report }
  await writeFile(join(folder, `${section}.json`), `${JSON.stringify(kept, null, 2)}\n`)
}
