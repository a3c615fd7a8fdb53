import { type Architecture, architectures, databasesOf, holds, type Limit, limitsOf, serversOf } from "./limits.ts"
import {
  type Bill,
  barUsd,
  bill,
  type DatabaseKind,
  type LimiterKind,
  monthlyUsage,
  requestsPerMonth,
  type Scenario,
  usdPerMillion,
} from "./model.ts"

export const limiters = ["embedded", "upstash"] as const satisfies LimiterKind[]

/** What one architecture comes to at one load. */
export type Estimate = {
  architecture: Architecture
  /** Databases of D1, or times the Postgres server. */
  count: number
  bills: Record<LimiterKind, Bill>
  /** What a million further requests of the mix cost, with all that is included used up. */
  perMillion: Record<LimiterKind, number>
  limits: Limit[]
  holds: boolean
}

export type Estimates = {
  scenario: Scenario
  requests: number
  by: Record<Architecture, Estimate>
  isWithinBar: boolean
}

export function estimate(scenario: Scenario): Estimates {
  const by = Object.fromEntries(
    architectures.map((architecture) => [architecture, estimateOf(scenario, architecture)]),
  ) as Estimates["by"]
  return {
    scenario,
    requests: requestsPerMonth(scenario),
    by,
    isWithinBar: by.d1.perMillion.embedded <= barUsd,
  }
}

function estimateOf(scenario: Scenario, architecture: Architecture): Estimate {
  const database: DatabaseKind = architecture === "postgres" ? "postgres" : "d1"
  const count = { d1: () => 1, "sharded-d1": databasesOf, postgres: serversOf }[architecture](scenario)
  const servers = database === "postgres" ? count * scenario.assumptions.postgresMonthly : 0
  const limits = limitsOf(scenario, architecture)
  const each = <T>(of: (limiter: LimiterKind) => T) =>
    Object.fromEntries(limiters.map((limiter) => [limiter, of(limiter)])) as Record<LimiterKind, T>
  return {
    architecture,
    count,
    bills: each((limiter) => bill(monthlyUsage(scenario, database, limiter), servers)),
    perMillion: each((limiter) => usdPerMillion(scenario, database, limiter)),
    limits,
    holds: holds(limits),
  }
}
