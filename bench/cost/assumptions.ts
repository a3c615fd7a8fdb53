/** What is not counted and has to be taken for something. Each can be given as an option; `why` is the ground. */
type Assumption = { option: string; value: number; min: number; max?: number; isWhole?: boolean; why: string }

export const assumptions = {
  peakFactor: {
    option: "peak-factor",
    value: 3,
    min: 1,
    why: "Requests a second at the peak, over the mean of the day",
  },
  refreshesPerUser: {
    option: "refreshes-per-user",
    value: 4,
    min: 0,
    why: "Exchanges of a refresh token, per user and day: a tenth of what a person's app asks",
  },
  signInsPerUser: { option: "sign-ins-per-user", value: 1, min: 0, why: "Per user and month: a session lasts 30 days" },
  tasksPerUser: {
    option: "tasks-per-user",
    value: 150,
    min: 0,
    why: "Tasks that are there when the month begins: what 40 requests a day create in a year",
  },
  errorShare: { option: "error-share", value: 0.01, min: 0, max: 1, why: "Reads that are refused, so logged whole" },
  requestsPerWindow: {
    option: "requests-per-window",
    value: 40,
    min: 1,
    why: "Of the mix, until the limiter begins from nothing, after an hour's pause, which writes three rows more: people send a fifth, 8 a session",
  },
  commitsPerSettling: {
    option: "commits-per-settling",
    value: 1,
    min: 1,
    why: "Of a workspace within half a minute, behind which its hub settles once: the dearest",
  },
  objectMs: { option: "object-ms", value: 20, min: 0, why: "How long a Durable Object is awake for a call" },
  invocationLogBytes: {
    option: "invocation-log-bytes",
    value: 0,
    min: 0,
    why: "The platform's own log of each request: none with invocation_logs = false",
  },
  readMs: { option: "read-ms", value: 1, min: 0.001, why: "How long a read keeps the database busy" },
  writeMs: {
    option: "write-ms",
    value: 5,
    min: 0.001,
    why: "How long a commit does, of five statements and its event",
  },
  replicaReads: {
    option: "replica-reads",
    value: 0,
    min: 0,
    max: 1,
    why: "Share of reads from D1 that a replica answers: none while read replication is off",
  },
  databases: {
    option: "databases",
    value: 0,
    min: 0,
    isWhole: true,
    why: "Of sharded D1; 0: as many as it takes for each to be 70 % full",
  },
  workspaceUsers: { option: "workspace-users", value: 1_000, min: 1, why: "Users of the largest workspace" },
  postgresMonthly: {
    option: "postgres-monthly",
    value: 95,
    min: 0,
    why: "US dollars for a server of 2 cores and 4 GB with a standby: db.t4g.medium on RDS in 2026",
  },
  postgresCores: { option: "postgres-cores", value: 2, min: 1, why: "Of that server" },
  postgresGb: {
    option: "postgres-gb",
    value: 100,
    min: 1,
    why: "Data that it carries: 25 times its memory, which holds what is in use",
  },
  postgresServers: {
    option: "postgres-servers",
    value: 0,
    min: 0,
    isWhole: true,
    why: "How many times that server, in one; 0: as many as it takes for it to be 70 % used",
  },
  postgresCoresAtMost: {
    option: "postgres-cores-at-most",
    value: 192,
    min: 1,
    why: "Of the largest server that can be had: those of the clouds have about as many",
  },
  connections: { option: "connections", value: 100, min: 1, max: 1_500, why: "That Hyperdrive may open" },
  transactionMs: {
    option: "transaction-ms",
    value: 10,
    min: 0.001,
    why: "How long a transaction holds one: a round trip from Hyperdrive to the server, and its work there",
  },
  upstashCommands: {
    option: "upstash-commands",
    value: 4,
    min: 0,
    why: "Of the limiter's token bucket, per call",
  },
} as const satisfies Record<string, Assumption>

export type AssumptionName = keyof typeof assumptions
export type Assumptions = Record<AssumptionName, number>

export const listed = Object.entries(assumptions) as [AssumptionName, Assumption][]
export const defaults = Object.fromEntries(listed.map(([name, { value }]) => [name, value])) as Assumptions
