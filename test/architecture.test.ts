import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { describe, expect, it } from "vitest"
import { unstable_readConfig } from "wrangler"

// Imports point one way. Each room may import from the rooms before it, and from itself.
const order = [
  ["lib"],
  ["contracts"],
  ["client"],
  ["db", "cache", "limits", "storage", "observability"],
  ["domain"],
  ["events", "mail"],
  ["hub"],
  ["instance"],
  ["http"],
  ["gateway"],
  ["routes", "console"],
  ["app"],
  ["worker"],
]
const rank = new Map(order.flatMap((rooms, index) => rooms.map((room) => [room, index] as const)))

type Import = { from: string; to: string; isTypeOnly: boolean }

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => `src/${file}`)

const roomOf = (file: string) =>
  file
    .replace(/^src\//, "")
    .split("/")[0]
    ?.replace(/\.ts$/, "") ?? ""

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8")
  const statements = text.matchAll(/^(?:import|export)\s+(type\s+)?[^;]*?from\s+"([^"]+)"/gms)
  return [...statements].map(([, type, to = ""]) => ({
    from: file,
    to: to.startsWith(".") ? normalize(join(dirname(file), to)) : to,
    isTypeOnly: type !== undefined,
  }))
}

const imports = files.flatMap(importsOf)
/** A file without its comments. */
const codeOf = (file: string) => readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
const told = ({ from, to }: Import) => `${from} → ${to}`

describe("the house", () => {
  it("has only rooms that the order knows", () => {
    const rooms = new Set(files.map(roomOf))
    rooms.delete("env")
    expect([...rooms].filter((room) => !rank.has(room))).toEqual([])
  })

  it("lets imports point one way", () => {
    const wrong = imports.filter(({ from, to }) => {
      if (!to.startsWith("src/") || roomOf(from) === roomOf(to)) return false
      // env.ts names the types of bindings and parses settings; everybody may read those, and it runs nobody's code.
      if (roomOf(to) === "env" || roomOf(from) === "env") return false
      return (rank.get(roomOf(to)) ?? 99) >= (rank.get(roomOf(from)) ?? -1)
    })
    expect(wrong.map(told)).toEqual([])
  })

  it("lets env.ts run nobody's code", () => {
    const wrong = imports.filter(
      ({ from, to, isTypeOnly }) => roomOf(from) === "env" && to.startsWith("src/") && !isTypeOnly,
    )
    expect(wrong.map(told)).toEqual([])
  })

  it("keeps the platform out of the domain and of lib", () => {
    const platform = /^(?:hono|cloudflare:|@hono\/|drizzle-orm\/d1)/
    const wrong = imports.filter(
      ({ from, to }) => /^(?:domain|lib)$/.test(roomOf(from)) && (platform.test(to) || to.endsWith("src/env.ts")),
    )
    expect(wrong.map(told)).toEqual([])
  })

  it("lets no route file import another", () => {
    const wrong = imports.filter(({ from, to }) => roomOf(from) === "routes" && roomOf(to) === "routes")
    expect(wrong.map(told)).toEqual([])
  })

  it("chooses the database in one place, opens each in one place, and writes events in one place", () => {
    const holding = (pattern: RegExp) => files.filter((file) => pattern.test(readFileSync(file, "utf8")))
    expect(holding(/\bHYPERDRIVE\b/).filter((file) => file !== "src/env.ts")).toEqual([
      "src/db/absent.ts",
      "src/db/db.ts",
    ])
    expect(holding(/from "drizzle-orm\/d1"/)).toEqual(["src/db/d1.ts"])
    expect(holding(/from "pg"/)).toEqual(["src/db/postgres-database.ts"])
    expect(holding(/insertRows\([^)]*\bevents\b|insert\(events\)/)).toEqual(["src/db/commit.ts"])
  })

  it("keeps the dialects in db: no verb knows which database it has", () => {
    const elsewhere = files.filter((file) => roomOf(file) !== "db")
    // Of drizzle's and of ours, what is made for one of them.
    const ofOneDialect = /drizzle-orm\/(?:d1|sqlite-core|pg-core|node-postgres)|\/db\/(?:sqlite|postgres|d1)/
    const imported = imports.filter(({ from, to }) => elsewhere.includes(from) && ofOneDialect.test(to))
    expect(imported.map(told)).toEqual([])
    // Words that mean something else to the other one, or nothing: each has a name in db/dialect.ts. Numbers that are
    // counted or summed come as text from one of them, so what needs one takes drizzle's count().
    const ofOneDatabase =
      /json_each|json_group|json_agg|->>|\bglob\b|\bi?like\b|\b(?:not)?inArray\b|ifnull|strftime|::\w+|\bany \(|cross join|(?<!\$\{)\b(?:count|sum|avg)\(\*?\w*\)|dialect\.name|isPostgres/
    const wrong = elsewhere.filter((file) => ofOneDatabase.test(codeOf(file)))
    expect(wrong).toEqual([])
  })

  it("runs no query past the meter", () => {
    const wrong = files
      .filter((file) => /^(?:db|domain)$/.test(roomOf(file)))
      .filter((file) =>
        /\.(?:get|all|run|values)\(\)|\bawait (?:ctx\.)?db\.sql\b|\.transaction\(/.test(readFileSync(file, "utf8")),
      )
    expect(wrong).toEqual([])
  })

  it("keeps middleware short, and domain files readable", () => {
    const length = (file: string) => readFileSync(file, "utf8").split("\n").length
    expect(files.filter((file) => roomOf(file) === "domain" && length(file) > 250)).toEqual([])
    expect(files.filter((file) => roomOf(file) === "gateway" && length(file) > 100)).toEqual([])
  })

  it("is configured for Postgres as for D1, but for the database", () => {
    const read = (config: string) => unstable_readConfig({ config }, { hideWarnings: true })
    const { hyperdrive, configPath: _there, userConfigPath: _where, ...onPostgres } = read("wrangler.postgres.toml")
    const { d1_databases, hyperdrive: _none, configPath: _here, userConfigPath: _path, ...onD1 } = read("wrangler.toml")
    expect(hyperdrive).toMatchObject([{ binding: "HYPERDRIVE" }])
    expect(d1_databases).toMatchObject([{ binding: "DB" }])
    // Each leaves out the other one's driver.
    const { "#postgres": noPostgres, ...aliasOnD1 } = onD1.alias ?? {}
    const { "#d1": noD1, ...aliasOnPostgres } = onPostgres.alias ?? {}
    expect([noPostgres, noD1]).toEqual(["./src/db/absent.ts", "./src/db/absent.ts"])
    const equal = { d1_databases: [], alias: aliasOnD1 }
    expect({ ...onPostgres, d1_databases: [], alias: aliasOnPostgres }).toEqual({ ...onD1, ...equal })
  })
})
