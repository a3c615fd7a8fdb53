// What a deployment costs in a month: what its requests do, times how many there are, times what that is billed at. No
// clock, no file, no network: the counted operations come in, and test/scripts/cost.test.ts works out cases by hand.
import { type Counted, type CountedFile, type Kind, kinds, referenceMix, ways } from "../mix.ts"
import type { Assumptions } from "./assumptions.ts"
import { type Item, items, planMinimum, prices } from "./prices.ts"

/** Everybody who uses the instance on an average day, and how many requests of the reference mix each sends a day. */
export type Load = { users: number; requestsPerUser: number }

export type Scenario = Load & { counted: CountedFile; assumptions: Assumptions }

export type DatabaseKind = "d1" | "postgres"
export type LimiterKind = "embedded" | "upstash"

export const daysPerMonth = 30
export const secondsPerMonth = daysPerMonth * 86_400

/** LOG_SAMPLE_RATE of wrangler.toml. Errors and writes are all logged. */
export const sampleRate = 0.1
const logDays = 7
const bytesPerGb = 1e9

// Measured in workerd by the cursors' own count, with the statements of rate-limiter.ts and sessions.ts.
// After an hour without a call the limiter also makes its table, two rows, and sets an alarm: that is a window here.
const limiterRows = { call: 1, window: 3 }
const hub = { refreshRows: 1, signInRows: 2, bytes: 12_288 }
/**
 * What the hub of a workspace does behind a commit: it is told, and may have to ask first where it was; half a minute
 * later an alarm, which takes a row to set, looks where the log ends and notes in the database that it was read.
 * test/hub/workspace-hub.test.ts counts the trips. With sockets open it is a row more, about once a second.
 */
export const behind = { settlingRows: 1, settlingTrips: 5, databaseRowsRead: 5, databaseRowsWritten: 1 }
/** Measured: what the event of a renamed or closed task adds to the database, indexes included. */
export const bytesPerChange = 540
/** What hashing a password takes. */
const signInCpuMs = 300

const awakeGb = 0.128

/** What is done, whoever bills it. */
export type Work = {
  requests: number
  cpuMs: number
  /** Round trips to the database that only read, and those that commit. */
  readTrips: number
  commits: number
  rowsRead: number
  rowsWritten: number
  logBytes: number
  limiterCalls: number
  limiterWindows: number
  hubCalls: number
  hubRows: number
  /** How often the hub of a workspace is told of a commit, and how often it settles what it was told. */
  tellings: number
  settlings: number
}

const nothing: Work = {
  requests: 0,
  cpuMs: 0,
  readTrips: 0,
  commits: 0,
  rowsRead: 0,
  rowsWritten: 0,
  logBytes: 0,
  limiterCalls: 0,
  limiterWindows: 0,
  hubCalls: 0,
  hubRows: 0,
  tellings: 0,
  settlings: 0,
}

const fields = Object.keys(nothing) as (keyof Work)[]
const made = (of: (field: keyof Work) => number) =>
  Object.fromEntries(fields.map((field) => [field, of(field)])) as Work

export const times = (count: number, work: Work): Work => made((field) => count * work[field])
export const together = (...works: Work[]): Work => made((field) => works.reduce((sum, work) => sum + work[field], 0))

const isWrite = (kind: Kind) => kind === "create" || kind === "patch" || kind === "close"

/** The mean request of the reference mix. */
export function mixedRequest({ counted, assumptions }: Pick<Scenario, "counted" | "assumptions">): Work {
  const works = kinds.flatMap((kind) =>
    ways.flatMap((way) => {
      const operations = counted.kinds[kind][way]
      const share = referenceMix[kind] * shareOf(counted, kind, way)
      return operations && share > 0 ? [times(share, request(kind, operations, assumptions))] : []
    }),
  )
  const { limiterCalls } = counted
  // A window begins with a call: there are never more of them.
  const limiterWindows = Math.min(1 / assumptions.requestsPerWindow, limiterCalls)
  return { ...together(...works), limiterCalls, limiterWindows }
}

function shareOf({ reads }: CountedFile, kind: Kind, way: (typeof ways)[number]): number {
  if (kind === "task" || kind === "project-tasks" || kind === "projects") return reads[kind][way]
  return way === "uncached" ? 1 : 0
}

function request(
  kind: Kind,
  { cpuMs, trips, rowsRead, rowsWritten, logBytes }: Counted,
  { errorShare, invocationLogBytes, commitsPerSettling }: Assumptions,
): Work {
  const commits = isWrite(kind) ? 1 : 0
  const kept = isWrite(kind) ? 1 : errorShare + (1 - errorShare) * sampleRate
  return {
    ...nothing,
    requests: 1,
    cpuMs,
    readTrips: trips - commits,
    commits,
    rowsRead,
    rowsWritten,
    logBytes: logBytes * kept + invocationLogBytes,
    tellings: commits,
    settlings: commits / commitsPerSettling,
  }
}

/**
 * A refresh reads the role anew, as one task is read; of the objects it asks the limiter's once and the user's once. What
 * is not leased is taken to begin a window each time.
 */
function refresh({ counted, assumptions }: Scenario): Work {
  const read = counted.kinds.task.uncached ?? missing("task")
  return {
    ...request("task", read, assumptions),
    logBytes: read.logBytes + assumptions.invocationLogBytes,
    limiterCalls: 1,
    limiterWindows: 1,
    hubCalls: 1,
    hubRows: hub.refreshRows,
  }
}

/** A sign-in asks the limiter by address and by account, and the database for the account and for the role. */
function signIn(scenario: Scenario): Work {
  const one = refresh(scenario)
  return {
    ...one,
    cpuMs: one.cpuMs + signInCpuMs,
    readTrips: 2 * one.readTrips,
    rowsRead: 2 * one.rowsRead,
    limiterCalls: 2 * one.limiterCalls,
    limiterWindows: 2 * one.limiterWindows,
    hubRows: hub.signInRows,
  }
}

function missing(kind: Kind): never {
  throw new Error(`${kind} is not counted`)
}

export const requestsPerMonth = ({ users, requestsPerUser }: Load): number => users * requestsPerUser * daysPerMonth

/** All that is done in a month. */
export function workOf(scenario: Scenario): Work {
  const { users, assumptions } = scenario
  return together(
    times(requestsPerMonth(scenario), mixedRequest(scenario)),
    times(users * assumptions.refreshesPerUser * daysPerMonth, refresh(scenario)),
    times(users * assumptions.signInsPerUser, signIn(scenario)),
  )
}

/** What the database holds at the end of the month, and how much of that came with it. No event is ever forgotten. */
export function storedGb({ users, requestsPerUser, counted, assumptions }: Scenario): { held: number; grown: number } {
  const changesPerTask = (referenceMix.patch + referenceMix.close) / referenceMix.create
  const perTask = counted.bytesPerTask + changesPerTask * bytesPerChange
  const created = requestsPerUser * daysPerMonth * referenceMix.create
  const gb = (tasks: number) => (users * tasks * perTask) / bytesPerGb
  return { held: gb(assumptions.tasksPerUser + created), grown: gb(created) }
}

/** In the units of prices.ts, per month. */
export type Usage = Record<Item, number>

type Billed = { database: DatabaseKind; limiter: LimiterKind; assumptions: Assumptions }

/** What work is billed as; without what lies there and is billed while nothing is done. */
export function usageOf(work: Work, { database, limiter, assumptions }: Billed): Usage {
  const isD1 = database === "d1"
  const isEmbedded = limiter === "embedded"
  // Each window ends with an alarm, which is a request to its object.
  const limiterRequests = isEmbedded ? work.limiterCalls + work.limiterWindows : 0
  const objectRequests = limiterRequests + work.hubCalls + work.tellings + work.settlings
  const logGb = work.logBytes / bytesPerGb
  return {
    workerRequests: work.requests,
    cpuMs: work.cpuMs,
    d1RowsRead: isD1 ? work.rowsRead + behind.databaseRowsRead * work.settlings : 0,
    d1RowsWritten: isD1 ? work.rowsWritten + behind.databaseRowsWritten * work.settlings : 0,
    d1Gb: 0,
    objectRequests,
    objectGbSeconds: objectRequests * (assumptions.objectMs / 1_000) * awakeGb,
    objectRowsWritten:
      work.hubRows +
      behind.settlingRows * work.settlings +
      (isEmbedded ? limiterRows.call * work.limiterCalls + limiterRows.window * work.limiterWindows : 0),
    objectGb: 0,
    logGb,
    logStoredGb: (logGb * logDays) / daysPerMonth,
    upstashCommands: isEmbedded ? 0 : work.limiterCalls * assumptions.upstashCommands,
    postgresGb: 0,
  }
}

/** All that a month is billed for. */
export function monthlyUsage(scenario: Scenario, database: DatabaseKind, limiter: LimiterKind): Usage {
  const { users, assumptions } = scenario
  const { held } = storedGb(scenario)
  return {
    ...usageOf(workOf(scenario), { database, limiter, assumptions }),
    objectGb: (users * hub.bytes) / bytesPerGb,
    ...(database === "d1" ? { d1Gb: held } : { postgresGb: held }),
  }
}

export type Line = { item: Item; used: number; billed: number; usd: number }
export type Bill = { lines: Line[]; servers: number; total: number }

/** What is used beyond what the plan includes. `servers`: what is paid by the month, in US dollars. */
export function bill(usage: Usage, servers = 0): Bill {
  const lines = items.map((item): Line => {
    const { included, per, usd } = prices[item]
    const billed = Math.max(usage[item] - included, 0)
    return { item, used: usage[item], billed, usd: (billed / per) * usd }
  })
  const total = lines.reduce((sum, { usd }) => sum + usd, planMinimum + servers)
  return { lines, servers, total }
}

/** What usage would cost somebody who has used up all that is included. */
export const marginalUsd = (usage: Usage): number =>
  items.reduce((sum, item) => sum + (usage[item] / prices[item].per) * prices[item].usd, 0)

/** The bar: what a million requests of the reference mix may cost at most, with the embedded limiter on D1. */
export const barUsd = 1

/** What a million requests of the mix cost at the margin: without sign-ins, refreshes, storage and servers. */
export function usdPerMillion(
  { counted, assumptions }: Pick<Scenario, "counted" | "assumptions">,
  database: DatabaseKind,
  limiter: LimiterKind,
): number {
  const million = times(1e6, mixedRequest({ counted, assumptions }))
  return marginalUsd(usageOf(million, { database, limiter, assumptions }))
}
