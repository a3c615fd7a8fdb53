import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { describe, expect, it } from "vitest"

// Imports point one way. Each room may import from the rooms before it, and from itself.
const order = [
  ["lib"],
  ["contracts"],
  ["db", "cache", "limits", "storage", "observability"],
  ["domain"],
  ["hub", "events"],
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

  it("opens the database in one place and writes events in one place", () => {
    const sources = files.map((file) => ({ file, text: readFileSync(file, "utf8") }))
    const opening = sources.filter(({ text }) => /drizzle-orm\/d1/.test(text)).map(({ file }) => file)
    const logging = sources
      .filter(({ text }) => /insertRows\([^)]*\bevents\b|insert\(events\)/.test(text))
      .map(({ file }) => file)
    expect(opening).toEqual(["src/db/db.ts"])
    expect(logging).toEqual(["src/db/commit.ts"])
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
})
