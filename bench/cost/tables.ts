import type { Estimate, Estimates } from "./estimate.ts"
import { type Architecture, architectures, atPeak, type Limit } from "./limits.ts"
import { type Bill, barUsd, type Line, secondsPerMonth } from "./model.ts"
import { items, planMinimum, prices } from "./prices.ts"

/** The first line names the columns. */
export type Table = string[][]

export const dollars = (usd: number): string => `$${usd.toLocaleString("en", digits(usd))}`

function digits(usd: number) {
  const decimals = usd >= 100 ? 0 : usd >= 0.01 || usd === 0 ? 2 : 6
  return { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
}

const rounded = (value: number) => value.toLocaleString("en", { maximumSignificantDigits: 3 })

function amount(value: number): string {
  if (value >= 1e9) return `${rounded(value / 1e9)} billion`
  if (value >= 1e6) return `${rounded(value / 1e6)} million`
  return rounded(value)
}

const names: Record<Architecture, string> = {
  d1: "D1",
  "sharded-d1": "Sharded D1 (not built)",
  postgres: "Postgres",
}

// ---- one size ----

/** What each item comes to, side by side. Sharded D1 is billed as D1 is. */
export function billTable({ by: { d1, postgres } }: Estimates): Table {
  const bills = [d1.bills.embedded, d1.bills.upstash, postgres.bills.embedded, postgres.bills.upstash]
  const lines = items.map((item) => {
    const each = bills.map((one) => one.lines.find((line) => line.item === item) as Line)
    // With Upstash the objects do less; what they do without it is told.
    const used = each.find((line) => line.used > 0)?.used ?? 0
    const { name, included } = prices[item]
    return [name, amount(used), amount(included), ...each.map(({ usd }) => dollars(usd))]
  })
  const row = (name: string, of: (one: Bill) => number) => [name, "", "", ...bills.map((one) => dollars(of(one)))]
  return [
    ["A month", "used", "included", "D1", "with Upstash", "Postgres", "with Upstash"],
    row("Workers plan", () => planMinimum),
    ...lines,
    row(`Postgres server, ${postgres.count} × what is assumed`, ({ servers }) => servers),
    row("total", ({ total }) => total),
  ]
}

export function ratioTable({ scenario, requests, by: { d1, postgres } }: Estimates): Table {
  const bills = [d1.bills.embedded, d1.bills.upstash, postgres.bills.embedded, postgres.bills.upstash]
  const perMillion = [d1.perMillion, postgres.perMillion].flatMap(({ embedded, upstash }) => [embedded, upstash])
  return [
    ["", "D1", "with Upstash", "Postgres", "with Upstash"],
    ["a user", ...bills.map(({ total }) => dollars(total / scenario.users))],
    ["a million requests, as billed", ...bills.map(({ total }) => dollars((total / requests) * 1e6))],
    ["a million more of the mix", ...perMillion.map(dollars)],
  ]
}

export function barTold({ isWithinBar, by }: Estimates): string {
  const { embedded, upstash } = by.d1.perMillion
  const verdict = isWithinBar ? "met" : "NOT MET"
  return `A million more requests of the mix on D1: ${dollars(embedded)} with the embedded limiter, at most ${dollars(barUsd)}: ${verdict}.
With Upstash: ${dollars(upstash)}.`
}

const usersTold = (users: number) => `${rounded(users)} users`

const reachedTold = ({ reachedAt, utilisation }: Limit) =>
  reachedAt === null ? (utilisation >= 1 ? "already" : "not by growing") : usersTold(reachedAt)

export const limitTable = ({ limits }: Estimate): Table => [
  ["In this order", "reached at", "used", "", "then"],
  ...limits.map((limit) => [
    limit.name,
    reachedTold(limit),
    `${rounded(limit.utilisation * 100)} %`,
    limit.at,
    limit.change,
  ]),
]

export function loadTold({ scenario, requests }: Estimates): string {
  const { users, requestsPerUser } = scenario
  const peak = atPeak(scenario)
  const load = `${users.toLocaleString("en")} users × ${requestsPerUser.toLocaleString("en")} requests a day`
  return `${load}: ${amount(requests)} requests of the mix a month, ${rounded(requests / secondsPerMonth)} a second on average;
with refreshes and sign-ins ${rounded(peak.requests)} a second at the peak, of which ${rounded(peak.commits)} commit`
}

export function architectureTold({ architecture, count, limits, holds }: Estimate): string {
  const size = { d1: "one database", "sharded-d1": `${count} databases`, postgres: `${count} × the server` }[
    architecture
  ]
  const first = limits[0] as Limit
  const verdict = holds ? "" : " Does not hold at this load."
  return `${names[architecture]}, ${size}.${verdict} First bottleneck: ${first.name}, ${reachedTold(first)}.`
}

// ---- several sizes ----

/** One column per size: what docs/scaling.md shows. */
export function sizeTable(sizes: Estimates[]): Table {
  const each = (of: (size: Estimates) => string) => sizes.map(of)
  const rows = architectures.flatMap((architecture) => {
    const told = (of: (one: Estimate, size: Estimates) => string) => each((size) => of(size.by[architecture], size))
    const priced = (of: (one: Estimate) => number) => told((one) => (one.holds ? dollars(of(one)) : "does not hold"))
    const counts = {
      d1: [],
      "sharded-d1": [["databases", ...told(({ count }) => count.toLocaleString("en"))]],
      postgres: [["times the server", ...told(({ count }) => count.toLocaleString("en"))]],
    }[architecture]
    return [
      [`${names[architecture]}, a month`, ...priced(({ bills }) => bills.embedded.total)],
      ["with Upstash", ...priced(({ bills }) => bills.upstash.total)],
      ...counts,
      ["first limit", ...told(({ limits: [first] }) => (first as Limit).name)],
      ["is reached at", ...told(({ limits: [first] }) => reachedTold(first as Limit))],
    ]
  })
  return [
    ["Users", ...each(({ scenario }) => scenario.users.toLocaleString("en"))],
    ["requests a month", ...each(({ requests }) => amount(requests))],
    ...rows,
  ]
}

// ---- on paper ----

export function aligned(table: Table): string {
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  const isText = (column: number) => table.slice(1).some((row) => /[a-z]{4}/.test(row[column] ?? ""))
  return table
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return column === 0 || isText(column) ? cell.padEnd(width) : cell.padStart(width)
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}

export function markdown([head = [], ...rows]: Table): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n")
}
