import type { Query } from "../../src/db/engine.ts"
import { insertRows } from "../../src/db/rows.ts"
import type { NewRow } from "../../src/db/tables.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { withDb } from "./database.ts"
import { between } from "./faults.ts"

// A workspace with so many API keys that reading them all would be noticed.

const count = 20_000
/** Every tenth of the keys is the caller's, and of those every other one is revoked. */
const mine = (n: number) => n % 10 === 0
const isRevoked = (n: number) => n % 20 === 0

let sent: Query[] = []
const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

const nthKey = (n: number) => `key_${String(n).padStart(26, "0")}`

export async function buildManyKeys(): Promise<Caller> {
  const ada = await newCaller(await openApp({ database: recording }))
  const eve = await newCaller()
  const row = (n: number, workspaceId: string, userId: string): NewRow<"apiKeys"> => ({
    workspaceId,
    id: nthKey(n),
    userId,
    name: `Key ${n}`,
    hash: `hash ${n}`,
    hint: "ew_…",
    scopes: ["task:read"],
    expiresAt: null,
    lastUsedAt: null,
    revision: 1,
    createdAt: n,
    updatedAt: n,
    revokedAt: isRevoked(n) ? 1 : null,
  })
  await withDb(async (db) => {
    for (let from = 0; from < count; from += 2_000) {
      const numbers = Array.from({ length: 2_000 }, (_, n) => from + n)
      const rows = [
        ...numbers.map((n) => row(n, ada.workspaceId, mine(n) ? ada.userId : eve.userId)),
        ...numbers.map((n) => row(n, eve.workspaceId, eve.userId)),
      ]
      await db.write(insertRows(db, db.tables.apiKeys, rows))
    }
  })
  return ada
}

/** What a request read, and the statements that it ran. */
export async function readBy(send: () => Promise<Response>) {
  sent = []
  const answer = await send()
  const body = (await answer.json()) as { data?: { id: string }[]; next?: string | null }
  return { status: answer.status, ...body, rowsRead: costOf(answer).read, statements: sent }
}
