import type { Query } from "../../src/db/engine.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { NewRow, Tables } from "../../src/db/tables.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { execute, withDb } from "./database.ts"
import { between } from "./faults.ts"

// A workspace with many invitations, and a person whom many workspaces invite, among many more of others.

const mine = 3_000
const others = 20_000
const week = 7 * 86_400_000

const nth = (prefix: string, n: number) => `${prefix}_${String(n).padStart(26, "0")}`

let host: Caller
let person: Caller
let sent: Query[] = []

/** The real database, which remembers what it is asked. */
const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

async function insertAll<Name extends keyof Tables>(name: Name, rows: NewRow<Name>[]): Promise<void> {
  await withDb(async (db) => {
    for (let from = 0; from < rows.length; from += 3_000) {
      await db.write(insertRows(db, db.tables[name], rows.slice(from, from + 3_000)))
    }
  })
}

const invitation = (workspaceId: string, n: number, email: string, isPending: boolean): NewRow<"invitations"> => ({
  workspaceId,
  id: nth("inv", n),
  email,
  role: "member",
  status: isPending ? "pending" : "revoked",
  generation: 1,
  expiresAt: Date.now() + week,
  revision: 1,
  createdBy: nth("usr", n),
  createdAt: n,
  updatedAt: n,
})

export async function buildManyInvitations(): Promise<void> {
  const app = await openApp({ database: recording })
  host = await newCaller(app)
  person = await newCaller(app)
  await execute("update users set email_verified_at = 1 where id = ?", person.userId)
  const count = (length: number) => Array.from({ length }, (_, n) => n)
  // Of the workspace's invitations, most are used up.
  const ofHost = count(mine).map((n) => invitation(host.workspaceId, n, `guest-${n}@example.com`, n % 10 === 0))
  const entries = count(others).map((n) => ({
    email: n < mine ? person.email : `other-${n}@example.com`,
    workspaceId: nth("wsp", n),
    invitationId: nth("inv", mine + n),
    createdAt: n,
  }))
  const elsewhere = entries.map(({ email, workspaceId }, n) => invitation(workspaceId, mine + n, email, true))
  const profiles = entries.map(({ workspaceId }) => ({
    workspaceId,
    name: "Crew",
    revision: 1,
    createdAt: 0,
    updatedAt: 0,
    deletedAt: null,
  }))
  // One of those who invite the person invites many others, too.
  const crowd = count(mine).map((n) => invitation(nth("wsp", 0), others * 2 + n, `crowd-${n}@example.com`, true))
  await insertAll("invitations", [...ofHost, ...elsewhere, ...crowd])
  await insertAll("invitees", entries)
  await insertAll("profiles", profiles)
  await insertAll(
    "heads",
    entries.map(({ workspaceId }) => ({ workspaceId, seq: 1, pumpedSeq: 0 })),
  )
  await insertAll(
    "users",
    count(others).map((n) => ({
      id: nth("usr", n),
      email: `other-${n}@example.com`,
      emailVerifiedAt: null,
      name: "Eve",
      timeZone: "UTC",
      settings: {},
      revision: 1,
      createdAt: 0,
      updatedAt: 0,
    })),
  )
}

export type Listing = { path: string; statements: Query[]; data: unknown[]; trips: number; rowsRead: number }

/** The first page of each list and one from its middle, short and long, with the statements that it ran. */
export async function* listings(): AsyncGenerator<Listing & { limit: number }> {
  for (const [caller, path] of [
    [host, "/api/v1/invitations"],
    [person, "/api/v1/me/invitations"],
  ] as const) {
    const { next } = (await (await caller.get(`${path}?limit=200`)).json()) as { next: string }
    for (const query of ["", `&cursor=${next}`]) {
      for (const limit of [1, 50]) {
        sent = []
        const answer = await caller.get(`${path}?limit=${limit}${query}`)
        const { data } = (await answer.json()) as { data: unknown[] }
        const { trips, read } = costOf(answer)
        yield { path, statements: sent, data, trips, rowsRead: read, limit }
      }
    }
  }
}

/** The lookup of one invitation by its id, among all that the person has received. */
export async function acceptanceOfUnknown(): Promise<Query[]> {
  sent = []
  await person.put("/api/v1/me/invitations/inv_01j00000000000000000000000/acceptance", undefined, {})
  return sent
}
