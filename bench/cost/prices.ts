// List prices in US dollars for Cloudflare's Workers Paid plan, Upstash and a managed Postgres. What is included in the
// plan is included once per account and month, however many Workers, objects and databases there are. Of what Edgewise
// uses, these are free: the Cache API, egress, Hyperdrive, replicas of D1, placement and the flood guard's binding.

export const datedAs = "November 2026, logs as from 1 December 2026"

/** The least that the Workers Paid plan costs a month. */
export const planMinimum = 5

/** `usd` buys `per` units beyond those included. */
export type Price = { name: string; included: number; per: number; usd: number }

const million = 1_000_000

export const prices = {
  // "10 million included per month, +$0.30 per additional million"; calls to objects and databases are not among them.
  workerRequests: { name: "Worker requests", included: 10 * million, per: million, usd: 0.3 },
  // "30 million CPU milliseconds included, +$0.02 per additional million"; no charge for duration or egress.
  cpuMs: { name: "Worker CPU, ms", included: 30 * million, per: million, usd: 0.02 },
  // "First 25 billion / month included + $0.001 / million rows"; replicas cost nothing extra.
  d1RowsRead: { name: "D1 rows read", included: 25_000 * million, per: million, usd: 0.001 },
  // "First 50 million / month included + $1.00 / million rows"; each index that a write touches is a row.
  d1RowsWritten: { name: "D1 rows written", included: 50 * million, per: million, usd: 1 },
  // "First 5 GB included + $0.75 / GB-mo"
  d1Gb: { name: "D1 storage, GB", included: 5, per: 1, usd: 0.75 },
  // "1 million, + $0.15 / million": calls and alarms.
  objectRequests: { name: "Object requests", included: million, per: million, usd: 0.15 },
  // "400,000 GB-s, + $12.50 / million GB-s", while an object works, at 128 MB each.
  objectGbSeconds: { name: "Object duration, GB-s", included: 400_000, per: million, usd: 12.5 },
  // As D1's, from an allowance of its own; setting an alarm is one row. Rows read stay far inside theirs.
  objectRowsWritten: { name: "Object rows written", included: 50 * million, per: million, usd: 1 },
  // "5 GB-month, + $0.20 / GB-month"
  objectGb: { name: "Object storage, GB", included: 5, per: 1, usd: 0.2 },
  // From 1 December 2026: "50 GB ingested, then $0.25 / GB", before compression.
  logGb: { name: "Logs written, GB", included: 50, per: 1, usd: 0.25 },
  // From 1 December 2026: "12 GB-month stored, then $0.10 / GB-month"; kept for 7 days.
  logStoredGb: { name: "Logs kept, GB", included: 12, per: 1, usd: 0.1 },
  // Pay as you go, one region: "$0.20 per 100 thousand commands".
  upstashCommands: { name: "Upstash commands", included: 0, per: 100_000, usd: 0.2 },
  // RDS gp3 is $0.115 per GB-month (us-east-1, 2026); with a standby it is paid twice.
  postgresGb: { name: "Postgres storage, GB", included: 0, per: 1, usd: 0.23 },
} as const satisfies Record<string, Price>

export type Item = keyof typeof prices
export const items = Object.keys(prices) as Item[]
