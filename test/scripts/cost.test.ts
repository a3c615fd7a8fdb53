import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { BadArguments, readArguments } from "../../bench/cost/arguments.ts"
import { type Assumptions, defaults, listed } from "../../bench/cost/assumptions.ts"
import { BadCounts, parseCounted } from "../../bench/cost/counted-file.ts"
import { estimate, limiters } from "../../bench/cost/estimate.ts"
import { type Architecture, architectures, databasesOf, limitsOf, serversOf } from "../../bench/cost/limits.ts"
import {
  bill,
  mixedRequest,
  monthlyUsage,
  type Scenario,
  storedGb,
  type Usage,
  usdPerMillion,
} from "../../bench/cost/model.ts"
import { type Item, items, prices } from "../../bench/cost/prices.ts"
import { markdown, sizeTable } from "../../bench/cost/tables.ts"
import type { Counted, CountedFile } from "../../bench/mix.ts"

const root = join(import.meta.dirname, "../..")

// ---- made up, so that one can work it out by hand ----

const read: Counted = { trips: 1, rowsRead: 10, rowsWritten: 0, cacheCalls: 4, cpuMs: 2, logBytes: 500 }
const kept: Counted = { ...read, trips: 0, rowsRead: 0, cpuMs: 1 }
const change: Counted = { trips: 2, rowsRead: 20, rowsWritten: 8, cacheCalls: 1, cpuMs: 5, logBytes: 500 }
const ofRead = { uncached: read, fresh: kept, "304": kept }
const shares = { uncached: 0.5, fresh: 0.3, "304": 0.2 }

const counted: CountedFile = {
  kinds: {
    task: ofRead,
    "project-tasks": ofRead,
    projects: ofRead,
    create: { uncached: { ...change, trips: 1, rowsWritten: 14 } },
    patch: { uncached: change },
    close: { uncached: change },
  },
  reads: { task: shares, "project-tasks": shares, projects: shares },
  limiterCalls: 0.02,
  // With the 2 × 540 bytes of a rename's and a closing's events: 4,000.
  bytesPerTask: 2_920,
}

/** Nobody signs in or refreshes and nothing is refused, unless a case says so. */
const quiet = { refreshesPerUser: 0, signInsPerUser: 0, errorShare: 0 }

const scenario = (users: number, assumptions: Partial<Assumptions> = {}): Scenario => ({
  users,
  requestsPerUser: 40,
  counted,
  assumptions: { ...defaults, ...quiet, ...assumptions },
})

const nothingUsed = Object.fromEntries(items.map((item) => [item, 0])) as Usage
const allIncluded = Object.fromEntries(items.map((item) => [item, prices[item].included])) as Usage

const limit = (architecture: Architecture, name: RegExp, of: Scenario) => {
  const found = limitsOf(of, architecture).find((one) => name.test(one.name))
  if (!found) throw new Error(`${architecture} has no limit like ${name}`)
  return found
}

describe("the bill", () => {
  it("is the plan's five dollars for exactly what is included", () => {
    expect(bill(nothingUsed).total).toBe(5)
    expect(bill(allIncluded).total).toBe(5)
  })

  // used, and what it costs beyond the plan
  const cases: Record<Item, [used: number, usd: number]> = {
    workerRequests: [11_000_000, 0.3],
    cpuMs: [80_000_000, 1],
    d1RowsRead: [26_000_000_000, 1],
    d1RowsWritten: [51_000_000, 1],
    d1Gb: [7, 1.5],
    objectRequests: [3_000_000, 0.3],
    objectGbSeconds: [1_400_000, 12.5],
    objectRowsWritten: [52_000_000, 2],
    objectGb: [15, 2],
    logGb: [54, 1],
    logStoredGb: [22, 1],
    upstashCommands: [1_000_000, 2],
    postgresGb: [100, 23],
  }
  it.each(Object.entries(cases))("charges %s beyond what is included", (item, [used, usd]) => {
    const { total, lines } = bill({ ...allIncluded, [item]: used })
    expect(total).toBeCloseTo(5 + usd, 9)
    expect(lines.filter((line) => line.usd > 0).map((line) => line.item)).toEqual([item])
  })

  it("adds the server of Postgres as it is priced", () => {
    expect(bill(allIncluded, 95).total).toBe(100)
  })
})

describe("what a request of the mix comes to", () => {
  it("is the mean over kinds and ways", () => {
    const mean = mixedRequest(scenario(1))
    // 97 % reads, half of which ask the database; a hundredth each of create, patch and close.
    expect(mean.cpuMs).toBeCloseTo(0.97 * 1.5 + 0.03 * 5, 9)
    expect(mean.readTrips).toBeCloseTo(0.485 + 0.01 * 0 + 0.02 * 1, 9)
    expect(mean.commits).toBeCloseTo(0.03, 9)
    expect(mean.rowsRead).toBeCloseTo(0.97 * 5 + 0.03 * 20, 9)
    expect(mean.rowsWritten).toBeCloseTo(0.14 + 0.08 + 0.08, 9)
  })

  it("logs a tenth of the reads, and every error and write", () => {
    expect(mixedRequest(scenario(1)).logBytes).toBeCloseTo(0.97 * 50 + 0.03 * 500, 9) // 63.5
    // Of reads, 10 % are errors and a tenth of the other 90 % is kept: 19 %.
    expect(mixedRequest(scenario(1, { errorShare: 0.1 })).logBytes).toBeCloseTo(0.97 * 95 + 15, 9)
    expect(mixedRequest(scenario(1, { invocationLogBytes: 1_000 })).logBytes).toBeCloseTo(1_063.5, 9)
  })

  it("begins the limiter from nothing every 40 requests, if it calls that often", () => {
    expect(mixedRequest(scenario(1))).toMatchObject({ limiterCalls: 0.02, limiterWindows: 0.02 })
    expect(mixedRequest(scenario(1, { requestsPerWindow: 100 })).limiterWindows).toBe(0.01)
    const asking = { ...scenario(1), counted: { ...counted, limiterCalls: 0.1 } }
    expect(mixedRequest(asking)).toMatchObject({ limiterCalls: 0.1, limiterWindows: 0.025 })
    // A million: 125,000 requests to objects, and 100,000 rows for calls and 75,000 for windows; before it was 40,000 and 80,000.
    const dearer = usdPerMillion(asking, "d1", "embedded") - usdPerMillion(scenario(1), "d1", "embedded")
    expect(dearer).toBeCloseTo(0.085 * 0.15 + ((85_000 * 0.02 * 0.128) / 1e6) * 12.5 + 0.095 * 1, 9)
  })

  it("has a hub told of every commit, and settle half a minute later", () => {
    expect(mixedRequest(scenario(1))).toMatchObject({ tellings: expect.closeTo(0.03), settlings: expect.closeTo(0.03) })
    const busy = scenario(1, { commitsPerSettling: 3 })
    expect(mixedRequest(busy)).toMatchObject({ tellings: expect.closeTo(0.03), settlings: expect.closeTo(0.01) })
    // Of a million: 20,000 alarms less, each of which is a row there and one here, reads five and is awake for 20 ms.
    const cheaper = usdPerMillion(scenario(1), "d1", "embedded") - usdPerMillion(busy, "d1", "embedded")
    expect(cheaper).toBeCloseTo(0.02 * (0.15 + 2 + 0.005) + ((20_000 * 0.02 * 0.128) / 1e6) * 12.5, 9)
  })

  it("costs 81 cents a million at the margin, and 88 with Upstash", () => {
    const requests = 0.3
    const cpu = 1.605 * 0.02
    const rows = (5.45 + 0.15) * 0.001 + (0.3 + 0.03) * 1
    // 20,000 calls, each of which begins a window: an alarm more, and 4 rows. 20 ms × 128 MB each.
    const objects = 0.04 * 0.15 + ((40_000 * 0.02 * 0.128) / 1e6) * 12.5 + 0.08 * 1
    // 30,000 commits, each told and settled: a row for the alarm.
    const hubs = 0.06 * 0.15 + ((60_000 * 0.02 * 0.128) / 1e6) * 12.5 + 0.03 * 1
    // 63.5 MB, kept for a week.
    const logs = 0.0635 * 0.25 + ((0.0635 * 7) / 30) * 0.1
    const embedded = usdPerMillion(scenario(1), "d1", "embedded")
    expect(embedded).toBeCloseTo(requests + cpu + rows + objects + hubs + logs, 9)
    expect(embedded).toBeCloseTo(0.813, 3)

    // 80,000 commands at 20 cents the 100,000.
    expect(usdPerMillion(scenario(1), "d1", "upstash")).toBeCloseTo(embedded - objects + 0.16, 9)
    // Rows cost nothing on Postgres, and so does Hyperdrive.
    expect(usdPerMillion(scenario(1), "postgres", "embedded")).toBeCloseTo(embedded - rows, 9)
  })
})

describe("what a month comes to", () => {
  it("is 1,000 users' requests, refreshes and sign-ins", () => {
    const busy = scenario(1_000, { refreshesPerUser: 4, signInsPerUser: 1 })
    // 1,000 × 40 × 30 requests, 1,000 × 4 × 30 refreshes, 1,000 sign-ins.
    const usage = monthlyUsage(busy, "d1", "embedded")
    expect(usage.workerRequests).toBeCloseTo(1_200_000 + 120_000 + 1_000, 4)
    expect(usage.cpuMs).toBeCloseTo(1_926_000 + 120_000 * 2 + 1_000 * 302, 4)
    expect(usage.d1RowsRead).toBeCloseTo(6_540_000 + 36_000 * 5 + 120_000 * 10 + 1_000 * 20, 4)
    expect(usage.d1RowsWritten).toBeCloseTo(360_000 + 36_000, 4)
    // The limiter and its alarm, the user's own object, and the workspace's behind 36,000 commits.
    expect(usage.objectRequests).toBeCloseTo(48_000 + 120_000 * 3 + 1_000 * 5 + 72_000, 4)
    expect(usage.objectRowsWritten).toBeCloseTo(96_000 + 120_000 * 5 + 1_000 * 10 + 36_000, 4)
    expect(usage.logGb).toBeCloseTo((1_200_000 * 63.5 + 121_000 * 500) / 1e9, 9)
    expect(usage.objectGb).toBeCloseTo(0.012288, 9)
    expect(usage.upstashCommands).toBe(0)

    const onUpstash = monthlyUsage(busy, "d1", "upstash")
    expect(onUpstash.objectRequests).toBeCloseTo(121_000 + 72_000, 4)
    expect(onUpstash.objectRowsWritten).toBeCloseTo(120_000 + 2_000 + 36_000, 4)
    expect(onUpstash.upstashCommands).toBeCloseTo(4 * (24_000 + 120_000 + 2_000), 4)
  })

  it("holds a year of tasks and what the month brings", () => {
    // 150 tasks and 40 × 30 × 1 % new ones, of 4,000 bytes.
    expect(storedGb(scenario(1_000))).toEqual({ held: expect.closeTo(0.648, 9), grown: expect.closeTo(0.048, 9) })
    expect(monthlyUsage(scenario(1_000), "d1", "embedded")).toMatchObject({ d1Gb: expect.closeTo(0.648, 9) })
    expect(monthlyUsage(scenario(1_000), "postgres", "embedded")).toMatchObject({
      d1Gb: 0,
      d1RowsRead: 0,
      d1RowsWritten: 0,
      postgresGb: expect.closeTo(0.648, 9),
    })
  })

  it("is billed in whole: 100,000 users on D1", () => {
    const { total } = estimate(scenario(100_000)).by.d1.bills.embedded
    const requests = (120 - 10) * 0.3
    const cpu = (120 * 1.605 - 30) * 0.02
    const rows = 0 // 672 million read and 39.6 million written are included
    const storage = (64.8 - 5) * 0.75
    const objects = (4.8 + 7.2 - 1) * 0.15 // 30,720 GB-s, 13.2 million rows and 1.2 GB are included
    const logs = 0 // 7.6 GB
    expect(total).toBeCloseTo(5 + requests + cpu + rows + storage + objects + logs, 6)
    expect(total).toBeCloseTo(87.75, 2)
  })

  it("costs the same in several databases, which share what is included", () => {
    const { by } = estimate(scenario(1_000_000))
    expect(by["sharded-d1"].count).toBe(93) // 648 GB, 7 in each
    expect(by["sharded-d1"].bills).toEqual(by.d1.bills)
  })
})

describe("the limits", () => {
  it("is 10 GB of D1 first, at 15,432 users of 648,000 bytes", () => {
    const [first] = limitsOf(scenario(1_000), "d1")
    expect(first).toMatchObject({ name: "10 GB in a database", reachedAt: 15_432 })
    expect(first?.utilisation).toBeCloseTo(0.0648, 9)
    expect(estimate(scenario(15_432)).by.d1.holds).toBe(true)
    expect(estimate(scenario(15_433)).by.d1.holds).toBe(false)
  })

  it("is one query at a time for those who keep little: 894,409 users", () => {
    // A user sends 40 × 3 / 86,400 requests a second at the peak, each of which takes 0.505 × 1 + 0.03 × (5 + 5) ms.
    const light = scenario(1_000, { tasksPerUser: 0 })
    expect(limit("d1", /One query/, light).reachedAt).toBe(894_409)
    expect(limitsOf(scenario(1, { readMs: 200 }), "d1")[0]?.name).toBe("One query at a time")
  })

  it("comes later with replicas, and earlier with a higher peak", () => {
    // With all reads on replicas but those of hubs a request takes 0.3 ms; with peaks of 6 twice as many come.
    const onReplicas = limit("d1", /One query/, scenario(1, { replicaReads: 1 })).reachedAt
    expect(onReplicas).toBe(2_400_000) // 86,400,000 / (120 × 0.3)
    expect(limit("d1", /One query/, scenario(1, { peakFactor: 6 })).reachedAt).toBe(447_204)
  })

  it("puts 1 TB in an account, which Cloudflare raises, over what several databases hold", () => {
    const one = limit("sharded-d1", /1 TB/, scenario(10_000_000))
    expect(one).toMatchObject({ reachedAt: 1_543_209, isRaisable: true }) // 1e12 / 648,000
    expect(one.utilisation).toBeCloseTo(6.48, 9)
    expect(estimate(scenario(10_000_000)).by["sharded-d1"].holds).toBe(true)
    expect(databasesOf(scenario(10_000_000))).toBe(926) // 6,480 GB, 7 in each
  })

  it("keeps a workspace in one database, however many there are", () => {
    const crowded = scenario(1_000_000, { workspaceUsers: 20_000 })
    expect(limit("sharded-d1", /largest workspace/, crowded)).toMatchObject({ reachedAt: null })
    expect(limit("sharded-d1", /largest workspace/, crowded).utilisation).toBeCloseTo(1.296, 9)
    expect(limitsOf(crowded, "sharded-d1")[0]?.name).toBe("The largest workspace in one database")
    expect(estimate(crowded).by["sharded-d1"].holds).toBe(false)
  })

  it("counts Hyperdrive's connections by how long a transaction holds one", () => {
    // 100 connections and 10 ms: 10,000 transactions a second, of which a user makes (0.535 + 0.15) × 40 × 3 / 86,400.
    expect(limit("postgres", /Hyperdrive/, scenario(1)).reachedAt).toBe(10_510_948)
    expect(limit("postgres", /Hyperdrive/, scenario(1, { connections: 1_500, transactionMs: 30 })).reachedAt).toBe(
      52_554_744,
    )
  })

  it("takes a server of Postgres that cores, commits and memory suffice for", () => {
    // 648 GB at 100 GB each, 70 % full.
    expect(serversOf(scenario(1_000_000))).toBe(10)
    const one = scenario(1, { postgresServers: 1 })
    expect(limit("postgres", /memory/, one).reachedAt).toBe(154_320) // 100 GB / 648,000
    expect(limit("postgres", /2 cores/, one).reachedAt).toBe(1_788_819) // 2,000 ms / (0.805 × 120 / 86,400)
    expect(limit("postgres", /flushes/, one).reachedAt).toBe(36_000_000) // 3,000 / (0.06 × 120 / 86,400)
    expect(estimate(scenario(1_000_000)).by.postgres.bills.embedded.servers).toBe(950)
  })

  it("ends with what more users do not bring nearer", () => {
    const one = limit("d1", /limiter/, scenario(1))
    expect(one).toMatchObject({ reachedAt: null, utilisation: 0.25 })
    for (const architecture of architectures) {
      const reached = limitsOf(scenario(1_000_000), architecture).map(({ reachedAt }) => reachedAt ?? Infinity)
      expect(reached).toEqual(reached.toSorted((a, b) => a - b))
    }
  })
})

describe("more users", () => {
  const users = fc.integer({ min: 1, max: 20_000_000 })

  it("never cost less", () => {
    fc.assert(
      fc.property(users, users, fc.constantFrom(...architectures), fc.constantFrom(...limiters), (a, b, one, by) => {
        const [fewer, more] = [Math.min(a, b), Math.max(a, b)].map(
          (count) => estimate(scenario(count, { refreshesPerUser: 4 })).by[one].bills[by].total,
        )
        expect(fewer).toBeLessThanOrEqual(more as number)
      }),
    )
  })

  it("bring limits nearer in step, and do not move where they are", () => {
    const fixed = { databases: 3, postgresServers: 2 }
    fc.assert(
      fc.property(users, fc.integer({ min: 2, max: 50 }), fc.constantFrom(...architectures), (some, factor, one) => {
        const before = limitsOf(scenario(some, fixed), one)
        for (const { name, utilisation, reachedAt } of limitsOf(scenario(some * factor, fixed), one)) {
          const was = before.find((earlier) => earlier.name === name)
          const grown = (was?.utilisation ?? Number.NaN) * (reachedAt === null ? 1 : factor)
          expect(utilisation / grown, name).toBeCloseTo(1, 9)
          // Rounded down from two sizes.
          expect(Math.abs((reachedAt ?? 0) - (was?.reachedAt ?? 0)), name).toBeLessThanOrEqual(1)
        }
      }),
    )
  })
})

describe("the table of sizes", () => {
  it("has a column for each, and no price for what does not hold", () => {
    const text = markdown(sizeTable([1_000, 100_000].map((count) => estimate(scenario(count)))))
    const rows = text.split("\n").map((line) => line.slice(2, -2).split(" | "))
    expect(rows[0]).toEqual(["Users", "1,000", "100,000"])
    expect(rows[2]).toEqual(["requests a month", "1.2 million", "120 million"])
    expect(rows[3]).toEqual(["D1, a month", "$5.00", "does not hold"])
    expect(rows[6]).toEqual(["is reached at", "15,400 users", "15,400 users"])
    // 120 of 100 million requests and 64.8 GB more than the plan has, and one server: 5 + 33 + 3.25 + 1.65 + 14.90 + 95.
    expect(rows.find(([name]) => name === "Postgres, a month")).toEqual(["Postgres, a month", "$100", "$153"])
  })
})

it("docs/scaling.md shows the sizes as they are modelled from bench/counted.json", async () => {
  const [text, file] = await Promise.all([
    readFile(join(root, "docs/scaling.md"), "utf8"),
    readFile(join(root, "bench/counted.json"), "utf8"),
  ])
  const [, told] = /<!-- cost table -->\n((?:\|.*\n)+)/.exec(text) ?? []
  const [, args = ""] = /npm run cost -- (--users [\d,]+) --markdown/.exec(text) ?? []
  const { users = [], requestsPerUser = 0, assumptions = defaults } = readArguments(args.split(" ")) ?? {}
  const [of, load] = [parseCounted(file, "bench/counted.json"), { requestsPerUser, assumptions }]
  const sizes = users.map((each) => estimate({ ...load, users: each, counted: of }))
  // When something else was counted: npm run -s cost with those arguments prints what belongs there.
  expect(told?.trimEnd()).toBe(markdown(sizeTable(sizes)))
  const million = (more: Partial<Assumptions>) =>
    usdPerMillion({ counted: of, assumptions: { ...assumptions, ...more } }, "d1", "embedded").toFixed(2)
  expect(text).toContain(`they cost $${million({})} where each write comes alone`)
  expect(text).toContain(`and $${million({ commitsPerSettling: 2 })} where two`)
})

describe("what was counted", () => {
  it("is taken as it was written", () => {
    expect(parseCounted(JSON.stringify(counted), "counted.json")).toEqual(counted)
  })

  const { fresh: _notCounted, ...withoutFresh } = ofRead
  it.each<[string, unknown, string]>([
    [
      "shares that are not all",
      { ...counted, reads: { ...counted.reads, task: { ...shares, fresh: 0 } } },
      "reads.task",
    ],
    ["a way that nobody counted", { ...counted, kinds: { ...counted.kinds, task: withoutFresh } }, "kinds.task.fresh"],
    ["a kind that is missing", { ...counted, kinds: { ...counted.kinds, close: {} } }, "kinds.close.uncached"],
    ["text for a number", { ...counted, bytesPerTask: "2 KB" }, "bytesPerTask"],
    [
      "a write without a round trip",
      { ...counted, kinds: { ...counted.kinds, create: { uncached: { ...change, trips: 0 } } } },
      "kinds.create.uncached.trips",
    ],
  ])("is refused with %s", (_what, file, path) => {
    expect(() => parseCounted(JSON.stringify(file), "counted.json")).toThrow(BadCounts)
    expect(() => parseCounted(JSON.stringify(file), "counted.json")).toThrow(`  ${path}: `)
  })
})

describe("arguments", () => {
  it("are sizes, a load and what is assumed", () => {
    const options = readArguments(["--users", "1000,2000", "--requests-per-user", "2.5", "--postgres-monthly", "10"])
    expect(options).toMatchObject({ users: [1_000, 2_000], requestsPerUser: 2.5, as: "text" })
    expect(options?.assumptions).toEqual({ ...defaults, postgresMonthly: 10 })
  })

  it.each([
    ["--users", "0"],
    ["--users", "many"],
    ["--users", "1000,"],
    ["--users", "1.5"],
    ["--users", "1e6"],
    ["--requests-per-user", "0"],
    ["--requests-per-user", "forty"],
    ["--replica-reads", "2"],
    ["--databases", "1.5"],
    ["--connections", "2000"],
    ["--read-ms", ""],
  ])("refuse %s %s, by name", (option, value) => {
    expect(() => readArguments([option, value])).toThrow(BadArguments)
    expect(() => readArguments([option, value])).toThrow(option)
  })

  it.each(["--user", "somewhere", "--users", "--json --markdown"])("refuse %s", (args) => {
    expect(() => readArguments(args.split(" "))).toThrow(BadArguments)
  })

  it("can all be given, and have a ground", () => {
    for (const [name, { option, value, why }] of listed) {
      expect(readArguments([`--${option}`, String(value)])?.assumptions[name], option).toBe(value)
      expect(why.length, option).toBeGreaterThan(10)
    }
  })
})

describe("npm run cost", () => {
  let folder: string
  let file: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "edgewise-cost-"))
    file = join(folder, "counted.json")
    await writeFile(file, JSON.stringify(counted))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  type Outcome = { code: number; stdout: string; stderr: string }
  const run = (...args: string[]) =>
    new Promise<Outcome>((resolve) => {
      execFile(process.execPath, ["bench/cost.ts", ...args], { cwd: root }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
      )
    })

  it("tells the price, the first bottleneck of each architecture and the verdict", async () => {
    const { code, stdout, stderr } = await run("--users", "1000000", "--counted", file)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout).toMatch(/^1,000,000 users × 40 requests a day: 1\.2 billion requests/)
    expect(stdout).toMatch(/^D1, one database\. Does not hold at this load\. First bottleneck: 10 GB in a database/m)
    expect(stdout).toMatch(/^Sharded D1 \(not built\), \d+ databases\. First bottleneck: 10 GB in each/m)
    expect(stdout).toMatch(/^Postgres, \d+ × the server\. First bottleneck: /m)
    expect(stdout).toMatch(/ with the embedded limiter, at most \$1\.00: met\.\nWith Upstash: \$/)
    expect(stdout).toContain("Modelled, not measured")
  })

  it("puts several sizes side by side, and tells programs everything", async () => {
    const sizes = await run("--users", "1000,10000000", "--counted", file)
    expect(sizes.stdout).toMatch(/^Users +1,000 +10,000,000$/m)
    const { stdout } = await run("--users", "1000,10000000", "--counted", file, "--json")
    const told = JSON.parse(stdout)
    expect(told.sizes.map((size: { requests: number }) => size.requests)).toEqual([1_200_000, 12_000_000_000])
    expect(told.sizes[1].by.d1.limits[0]).toMatchObject({ name: "10 GB in a database", isRaisable: false })
  })

  it("ends with 2 when an argument is wrong, or nothing was counted", async () => {
    expect(await run("--users", "nobody", "--counted", file)).toEqual({
      code: 2,
      stdout: "",
      stderr: "--users takes a whole number between 1 and 1000000000, not nobody\n",
    })
    const missing = await run("--counted", join(folder, "elsewhere.json"))
    expect(missing).toMatchObject({ code: 2, stdout: "" })
    expect(missing.stderr).toContain("elsewhere.json is not there. npm run bench -- operations counts")
  })

  it("helps", async () => {
    const { code, stdout } = await run("--help")
    expect(code).toBe(0)
    for (const [, { option }] of listed) expect(stdout).toContain(`--${option} `)
  })
})
