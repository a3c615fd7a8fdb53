// Which limit a deployment meets first, at how many users, and what to change then.
import { behind, type Scenario, secondsPerMonth, storedGb, times, type Work, workOf } from "./model.ts"

export type Limit = {
  name: string
  /** Of the limit, at the load that was asked for, at its peak. 1 is reached. */
  utilisation: number
  /** At how many users it is reached, everything else being equal; null: more users do not bring it nearer. */
  reachedAt: number | null
  /** How much of what, in words. */
  at: string
  change: string
  /** Whether whoever runs the instance can have it raised, as far as this load needs. */
  isRaisable: boolean
}

export const architectures = ["d1", "sharded-d1", "postgres"] as const
export type Architecture = (typeof architectures)[number]

/** How full a database or a server is planned to be: the rest is for the hour that nobody planned. */
export const planned = 0.7

// Cloudflare's, on the paid plan.
const gbPerDatabase = 10
const gbPerAccount = 1_000
const databasesPerWorker = 5_000
const connectionsAtMost = 1_500
// "200–500 requests a second with storage writes" for one Durable Object; the lower.
const callsPerObject = 200
/** What the flood guard lets through from one network in one place, and an exhausted quota then asks its object for. */
const floodPerSecond = 3_000 / 60
/** gp3's base of operations a second, and a commit flushes the log once at the most. */
const commitsPerServer = 3_000

const number = (value: number) => value.toLocaleString("en", { maximumSignificantDigits: 3 })

/** What comes in a second, at the peak. */
export const atPeak = (scenario: Scenario): Work =>
  times(scenario.assumptions.peakFactor / secondsPerMonth, workOf(scenario))

type Terms = Pick<Limit, "name" | "utilisation" | "at" | "change"> & { isRaisable?: boolean }

/** A limit that comes nearer in step with the users. */
const growing = ({ users }: Scenario, { isRaisable = false, ...limit }: Terms): Limit => ({
  ...limit,
  isRaisable,
  reachedAt: limit.utilisation > 0 ? Math.floor(users / limit.utilisation) : null,
})

const standing = ({ isRaisable = false, ...limit }: Terms): Limit => ({ ...limit, isRaisable, reachedAt: null })

/** Milliseconds that the primary of D1 works in a second, and queries that it gets, if it is one. */
function onPrimary(scenario: Scenario): { busyMs: number; queries: number } {
  const { readMs, writeMs, replicaReads } = scenario.assumptions
  const { readTrips, commits, settlings } = atPeak(scenario)
  // What follows a commit asks the primary, for one row at a time.
  const reads = readTrips * (1 - replicaReads) + settlings * behind.settlingTrips
  return { busyMs: reads * readMs + commits * writeMs, queries: reads + commits }
}

const queriesTold = ({ busyMs, queries }: { busyMs: number; queries: number }) =>
  `${number(queries)} of ${number((1_000 * queries) / busyMs)} queries/s`

function storageTold(scenario: Scenario, databases: number): string {
  const stored = storedGb(scenario)
  const held = stored.held / databases
  const grown = stored.grown / databases
  const left = gbPerDatabase - held
  // With the users that it has, and nobody else.
  const end = left > 0 && grown > 0 ? `, full in ${number(left / grown)} months` : ""
  return `${number(held)} of ${gbPerDatabase} GB${end}`
}

function d1Limits(scenario: Scenario): Limit[] {
  const load = onPrimary(scenario)
  return [
    growing(scenario, {
      name: `${gbPerDatabase} GB in a database`,
      utilisation: storedGb(scenario).held / gbPerDatabase,
      at: storageTold(scenario, 1),
      change: "Move to Postgres (npm run copy). Several databases are not built",
    }),
    growing(scenario, {
      name: "One query at a time",
      utilisation: load.busyMs / 1_000,
      at: queriesTold(load),
      change: "Read replication, a switch of the database; then Postgres",
    }),
    limiterObject(),
  ]
}

const limiterObject = () =>
  standing({
    name: "One caller's limiter object",
    utilisation: floodPerSecond / callsPerObject,
    at: `${number(floodPerSecond)} of ${number(callsPerObject)} calls/s, if one place is flooded`,
    change: "Nothing: more callers are more objects",
  })

/** By how much one database is too small. */
const databasesFilled = (scenario: Scenario) =>
  Math.max(onPrimary(scenario).busyMs / 1_000, storedGb(scenario).held / gbPerDatabase)

/** How many databases the workspaces are spread over. */
export const databasesOf = (scenario: Scenario): number =>
  scenario.assumptions.databases || Math.ceil(databasesFilled(scenario) / planned)

function shardedLimits(scenario: Scenario): Limit[] {
  const databases = databasesOf(scenario)
  const load = onPrimary(scenario)
  const { held } = storedGb(scenario)
  const { workspaceUsers } = scenario.assumptions
  const largest = databasesFilled({ ...scenario, users: workspaceUsers })
  const isFixed = scenario.assumptions.databases > 0
  const bound = {
    name: `About ${number(databasesPerWorker)} databases bound to a Worker`,
    utilisation: (isFixed ? databases : databasesFilled(scenario) / planned) / databasesPerWorker,
    at: `${number(databases)} of ${number(databasesPerWorker)}`,
    change: "A Worker per group of databases, and a router before them",
  }
  return [
    growing(scenario, {
      name: `${gbPerDatabase} GB in each of ${number(databases)}`,
      utilisation: held / databases / gbPerDatabase,
      at: storageTold(scenario, databases),
      change: "More databases: they cost nothing by themselves",
    }),
    growing(scenario, {
      name: `One query at a time in each of ${number(databases)}`,
      utilisation: load.busyMs / databases / 1_000,
      at: queriesTold({ busyMs: load.busyMs / databases, queries: load.queries / databases }),
      change: "More databases, read replication",
    }),
    growing(scenario, {
      name: "1 TB of D1 in an account",
      utilisation: held / gbPerAccount,
      at: `${number(held)} of ${number(gbPerAccount)} GB`,
      change: "Cloudflare raises it on request; archiving old events is not built",
      isRaisable: true,
    }),
    isFixed ? standing(bound) : growing(scenario, bound),
    standing({
      name: "The largest workspace in one database",
      utilisation: largest,
      at: `${number(workspaceUsers)} users; ${number(workspaceUsers / largest)} fill it`,
      change: "A workspace cannot be divided: Postgres for that one",
    }),
    limiterObject(),
  ]
}

/** By how much one server, as it is priced, is too small. */
function serverFilled(scenario: Scenario): { busy: number; committing: number; storing: number } {
  const { readMs, writeMs, postgresCores, postgresGb } = scenario.assumptions
  const { readTrips, commits, settlings } = atPeak(scenario)
  const reads = readTrips + settlings * behind.settlingTrips
  return {
    busy: (reads * readMs + commits * writeMs) / (1_000 * postgresCores),
    committing: (commits + settlings) / commitsPerServer,
    storing: storedGb(scenario).held / postgresGb,
  }
}

const serversNeeded = (scenario: Scenario) => Math.max(...Object.values(serverFilled(scenario))) / planned

/** How many times the server that is priced, in one. */
export const serversOf = (scenario: Scenario): number =>
  scenario.assumptions.postgresServers || Math.ceil(serversNeeded(scenario))

function postgresLimits(scenario: Scenario): Limit[] {
  const servers = serversOf(scenario)
  return [
    ...serverLimits(scenario, servers),
    largestServer(scenario, servers),
    ...waysToServer(scenario),
    limiterObject(),
  ]
}

function serverLimits(scenario: Scenario, servers: number): Limit[] {
  const { postgresCores, postgresGb } = scenario.assumptions
  const { busy, committing, storing } = serverFilled(scenario)
  return [
    growing(scenario, {
      name: `${number(postgresCores * servers)} cores of the server`,
      utilisation: busy / servers,
      at: `${number(busy * postgresCores)} cores busy`,
      change: "A larger server",
    }),
    growing(scenario, {
      name: `${number(commitsPerServer * servers)} flushes of its log a second`,
      utilisation: committing / servers,
      at: `${number(committing * commitsPerServer)} commits/s`,
      change: "A faster disk; commits that come together share a flush",
    }),
    growing(scenario, {
      name: `${number(postgresGb * servers)} GB that its memory carries`,
      utilisation: storing / servers,
      at: `${number(storing * postgresGb)} GB`,
      change: "A larger server; archiving old events is not built",
    }),
  ]
}

function largestServer(scenario: Scenario, servers: number): Limit {
  const { postgresCores, postgresServers, postgresCoresAtMost } = scenario.assumptions
  const isFixed = postgresServers > 0
  const limit = {
    name: `The largest server, of ${number(postgresCoresAtMost)} cores`,
    utilisation: ((isFixed ? servers : serversNeeded(scenario)) * postgresCores) / postgresCoresAtMost,
    at: `${number(servers * postgresCores)} cores`,
    change: "Citus or the like, distributed by workspace_id (not tried)",
  }
  return isFixed ? standing(limit) : growing(scenario, limit)
}

/** What stands between a request and the server's work. */
function waysToServer(scenario: Scenario): Limit[] {
  const { connections, transactionMs, workspaceUsers, writeMs } = scenario.assumptions
  const { readTrips, commits, settlings } = atPeak(scenario)
  const { commits: headCommits } = atPeak({ ...scenario, users: workspaceUsers })
  const transactions = readTrips + commits + settlings * behind.settlingTrips
  const held = (transactions * transactionMs) / 1_000
  return [
    growing(scenario, {
      name: `${number(connections)} connections of Hyperdrive`,
      utilisation: held / connections,
      at: `${number(held)} held, by ${number(transactions)} transactions/s`,
      change: `Up to ${number(connectionsAtMost)} on the paid plan`,
      isRaisable: held <= connectionsAtMost,
    }),
    standing({
      name: "One workspace's head row",
      utilisation: (headCommits * writeMs) / 1_000,
      at: `${number(headCommits)} of ${number(1_000 / writeMs)} commits/s, with ${number(workspaceUsers)} users in it`,
      change: "Bulk requests: one commit for up to 100 tasks",
    }),
  ]
}

const limitsBy: Record<Architecture, (scenario: Scenario) => Limit[]> = {
  d1: d1Limits,
  "sharded-d1": shardedLimits,
  postgres: postgresLimits,
}

// What is over its limit whatever the number of users comes first, what is not comes last.
const order = ({ reachedAt, utilisation }: Limit) => reachedAt ?? (utilisation >= 1 ? 0 : Number.MAX_SAFE_INTEGER)

/** All limits, in the order in which a growing instance reaches them. The first one is the first bottleneck. */
export const limitsOf = (scenario: Scenario, architecture: Architecture): Limit[] =>
  limitsBy[architecture](scenario).toSorted((a, b) => order(a) - order(b) || b.utilisation - a.utilisation)

/** Whether it works at this load, once all is raised that can be. */
export const holds = (limits: Limit[]): boolean =>
  limits.every(({ utilisation, isRaisable }) => utilisation <= 1 || isRaisable)
