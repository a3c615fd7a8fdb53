import { join } from "node:path"
import { root } from "../bench.ts"
import { defaults } from "../cost/assumptions.ts"
import { BadCounts, readCounted } from "../cost/counted-file.ts"
import { barUsd, type LimiterKind, usdPerMillion } from "../cost/model.ts"
import { datedAs } from "../cost/prices.ts"
import { notMeasured, type Report, type Row, told } from "../report.ts"

const method = `Modelled from what bench/counted.json holds, which \`npm run bench -- operations\` counted last, at list prices of
${datedAs}: what a million more requests of the reference mix cost a deployment on D1 that has used up all that its plan includes.
The hub of the workspace is in it with what it does behind each write; who is told then (sockets, inboxes, webhooks) is not. Reads are logged at 10 %, errors and writes all. CPU is that of the local runtime, simulators included, so the real one is less.
\`npm run cost\` tells the rest.`

const what = "price of a million requests of the reference mix"

export async function price(): Promise<Report> {
  try {
    const counted = await readCounted(join(root, "bench/counted.json"))
    // Neither how many there are nor how much each asks changes what one more million costs.
    const scenario = { users: 1_000, requestsPerUser: 40, counted, assumptions: defaults }
    const usd = (limiter: LimiterKind) => usdPerMillion(scenario, "d1", limiter)
    return {
      method,
      rows: [embedded(usd("embedded")), told(`${what}, Upstash`, dollars(usd("upstash")))],
      data: { counted },
    }
  } catch (error) {
    if (!(error instanceof BadCounts)) throw error
    return { method, rows: [notMeasured(`${what}, embedded limiter`, barTold, error.message)] }
  }
}

const dollars = (usd: number) => `$${usd.toFixed(2)}`
const barTold = `≤ ${dollars(barUsd)}`

const embedded = (usd: number): Row => ({
  what: `${what}, embedded limiter`,
  bar: barTold,
  figure: dollars(usd),
  verdict: usd <= barUsd ? "met" : "missed",
})
