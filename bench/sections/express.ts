import { Redis } from "ioredis"
import pg from "pg"
import { startRedis } from "../../scripts/redis-server.ts"
import type { Bench } from "../bench.ts"
import { type Calls, callsOf, openCounter } from "../counts.ts"
import { startExpress } from "../express/process.ts"
import { median, middle, send } from "../load.ts"
import { kinds } from "../mix.ts"
import { type Played, play, together } from "../play.ts"
import { notMeasured, type Report, type Row, type Table, told } from "../report.ts"
import {
  bareHandler,
  newPostgres,
  ours,
  oursOnPostgres,
  referencePlan,
  referenceViewers,
  type Side,
  seededD1,
} from "../sides.ts"
import { reads } from "../work.ts"

const method = `The reference mix without pauses on three stacks, in turns, the median of three rounds; 16 connections, kept alive; the
same rows in each. bench/express is an Express 5 server in one process: helmet, a JWT (HS256), a limit per address in Redis
(express-rate-limit, so wide that it refuses nobody), answers kept in Redis for 300 s by user and URL until that user writes,
prom-client, winston into a file, a pool of 10 connections, and the statements of the bare handler. No side compresses, and every
cache begins empty. Ours on Postgres asks the same server. Operations are counted in a round of their own: Express by its clients of Postgres and Redis, ours
by a module in front of the built Worker.`

type Stack = { side: Side; rounds: Played[] }

export async function express(bench: Bench): Promise<Report> {
  const redis = await startRedis().catch((error: Error) => error.message)
  if (typeof redis === "string") {
    return {
      method,
      rows: [notMeasured("Express 5 + Postgres + Redis, reference mix", "reported", `without ${redis}`)],
    }
  }
  bench.own(redis)
  const viewers = referenceViewers()
  const { server } = await newPostgres(bench, referencePlan, { isDurable: true })
  const baseline = await startExpress(bench, {
    postgres: server.url,
    redis: redis.url,
    viewers,
  })
  const stacks: Stack[] = [
    baseline,
    await ours(bench, { state: await seededD1(bench), viewers }),
    await oursOnPostgres(bench, { url: server.url, viewers }),
  ].map((side) => ({ side, rounds: [] }))
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const { side, rounds } of stacks) {
      rounds.push(await play(side, viewers, { seconds: bench.seconds * 2, seed: round }))
    }
    bench.tell(`round ${round + 1} of ${bench.rounds}`)
  }

  await baseline.counted()
  const counted = await play(baseline, viewers, { seconds: bench.seconds, seed: 7 })
  const theirs = perRequest(await baseline.counted(), counted)
  const { side } = await openCounter(bench, viewers)
  await callsOf(side)
  const countedOurs = await play(side, viewers, { seconds: bench.seconds, seed: 7 })
  const own = perRequest(await callsOf(side), countedOurs)
  const simulated = await simulators(bench, { postgres: server.url, redis: redis.url })

  return {
    method,
    tables: [tableOf(stacks), operationsTable(theirs, own)],
    rows: [
      ...stacks.map(({ side, rounds }) =>
        told(`reference mix, ${side.name}`, `${perSecond(rounds).toFixed(0)} a second`),
      ),
      operationsRow(theirs, own),
    ],
    notes: [
      `What the simulators cost, one at a time (p50): a request that does nothing ${ms(simulated.nothing)}; with one trip to the local D1,
       which is SQLite behind several hops of JavaScript, ${ms(simulated.d1)}; with one look into the local Cache API, which is as
       much, ${ms(simulated.cache)}. From Node, a statement to Postgres takes ${ms(simulated.postgres)} and a command to Redis
       ${ms(simulated.redis)}. The numbers of D1 and of the cache are those of simulators and not of Cloudflare, so
       the throughput of ours says what it is to develop; what is counted holds everywhere.`,
      `On Postgres, ours makes a connection for every request that asks it, which takes ${ms(simulated.connecting)} here; deployed,
       Hyperdrive keeps them. What Express keeps may be 300 s old for everybody but who wrote; ours is about 1 s old at most.`,
    ],
    data: { stacks: stacks.map(({ side, rounds }) => ({ name: side.name, rounds })), theirs, ours: own, simulated },
  }
}

const perSecond = (rounds: Played[]) => middle(rounds.map(({ figures }) => figures)).perSecond
const ms = (time: number) => `${time.toFixed(2)} ms`

const tableOf = (stacks: Stack[]): Table => ({
  title:
    "The reference mix without pauses: requests a second, p50 in ms by kind, and reads that were answered from a cache",
  lines: [
    ["", "a second", ...kinds, "hits"],
    ...stacks.map(({ side, rounds }) => [
      side.name,
      perSecond(rounds).toFixed(0),
      ...kinds.map((kind) => median(rounds.map(({ p50 }) => p50[kind]).filter(Number.isFinite)).toFixed(1)),
      `${(hits(rounds) * 100).toFixed(0)} %`,
    ]),
  ],
})

function hits(rounds: Played[]): number {
  const answered = together(rounds)
  const sum = (of: (kind: (typeof reads)[number]) => number) => reads.reduce((total, kind) => total + of(kind), 0)
  const kept = sum((kind) => answered[kind].fresh + answered[kind]["304"])
  return kept / (kept + sum((kind) => answered[kind].uncached))
}

// ---- operations ----

const perRequest = <Counts extends Record<string, number>>(counts: Counts, { figures }: Played): Counts =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / figures.answers])) as Counts

type Theirs = { statements: number; commands: number }

const operationsTable = ({ statements, commands }: Theirs, own: Calls): Table => ({
  title:
    "Operations per request of the mix (a trip of ours carries several statements; Express sends three commands at a time to keep an answer)",
  lines: [
    ["", "SQL statements", "trips to SQL", "Redis commands", "Cache API calls", "Durable Object calls"],
    ["Express, Postgres, Redis", ...[statements, statements, commands].map(short), "", ""],
    [
      "ours on D1",
      ...[own.statements, own.trips].map(short),
      "",
      ...[own.cacheMatch + own.cachePut + own.cacheDelete, own.limiter + own.sessions].map(short),
    ],
  ],
})

const short = (figure: number) => figure.toFixed(2)

const operationsRow = ({ statements, commands }: Theirs, own: Calls): Row =>
  told(
    "calls to servers per request of the mix",
    `Express ${short(statements + commands)}, ours on D1 ${short(own.trips + own.limiter + own.sessions)}`,
  )

// ---- what stands for Cloudflare here ----

const repeats = 300

async function simulators(bench: Bench, { postgres, redis }: { postgres: string; redis: string }) {
  const bare = await bareHandler(bench, await seededD1(bench))
  await send(bare.url, { method: "GET", path: "/probe/put", expected: 200 })
  const probe = (name: string) => p50(() => send(bare.url, { method: "GET", path: `/probe/${name}`, expected: 200 }))
  const pool = new pg.Pool({ connectionString: postgres, max: 1 })
  const client = new Redis(redis)
  try {
    return {
      nothing: await probe("nothing"),
      d1: await probe("d1"),
      cache: await probe("match"),
      postgres: await p50(() => pool.query("select 1")),
      redis: await p50(() => client.get("nothing")),
      connecting: await p50(async () => {
        const one = new pg.Client(postgres)
        await one.connect()
        await one.end()
      }, 50),
    }
  } finally {
    await pool.end()
    client.disconnect()
  }
}

async function p50(work: () => Promise<unknown>, count = repeats): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < count; n += 1) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  // The first ones only warm up.
  return median(times.slice(count / 10))
}
