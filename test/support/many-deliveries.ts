import { openDb } from "../../src/db/db.ts"
import type { Query } from "../../src/db/engine.ts"
import type { NewRow } from "../../src/db/tables.ts"
import { leaseDue } from "../../src/domain/webhook-queue.ts"
import { newId } from "../../src/lib/ids.ts"
import { openApp } from "./app.ts"
import { type Caller, costOf, newCaller } from "./caller.ts"
import { between } from "./faults.ts"
import { mockNetwork } from "./receivers.ts"
import { insertAll } from "./seed.ts"

// Two webhooks with so many deliveries that reading them all would be noticed, and as many in another workspace.

export const count = 20_000
/** Of each webhook's deliveries, the oldest ten have failed. */
export const failedCount = 10
/** Owed, of which the first half is due. */
const owedCount = 400

let ada: Caller
let sent: Query[] = []
const recording = between((batch) => {
  sent.push(...batch.queries)
  return batch.run()
})

const webhookOf = (workspaceId: string, id: string): NewRow<"webhooks"> => ({
  workspaceId,
  id,
  url: "http://127.0.0.1:9/",
  description: "",
  events: ["workspace.restored"],
  projectIds: null,
  labelIds: null,
  generation: 1,
  previousUntil: null,
  status: "active",
  disabledReason: null,
  failingSince: null,
  revision: 1,
  createdBy: "usr",
  createdAt: 0,
  updatedAt: 0,
  deletedAt: null,
})

function deliveryOf(workspaceId: string, webhookId: string, n: number, now: number): NewRow<"webhookDeliveries"> {
  const isOwed = n >= count - owedCount
  const dueAt = n % 2 === 0 ? now - n : now + 3_600_000 + n
  const status = n < failedCount ? "failed" : isOwed ? "pending" : "delivered"
  const nextAttemptAt = isOwed ? dueAt : null
  const times = { nextAttemptAt, lastStatus: 200, createdAt: n, updatedAt: n }
  return { workspaceId, webhookId, seq: n + 1, type: "task.created", status, attempts: 1, ...times }
}

export async function buildManyDeliveries(): Promise<string> {
  mockNetwork()
  ada = await newCaller(await openApp({ database: recording }))
  const now = Date.now()
  const [mine, second, other] = [newId("webhook"), newId("webhook"), newId("webhook")]
  const elsewhere = newId("workspace")
  const pairs = [
    [ada.workspaceId, mine],
    [ada.workspaceId, second],
    [elsewhere, other],
  ] as const
  await insertAll("webhooks", [
    ...pairs.map(([workspaceId, id]) => webhookOf(workspaceId, id)),
    // Of other workspaces, in a table that is otherwise so small that reading it whole is the cheapest way.
    ...Array.from({ length: 5_000 }, () => webhookOf(newId("workspace"), newId("webhook"))),
  ])
  for (const [workspaceId, id] of pairs) {
    await insertAll(
      "webhookDeliveries",
      Array.from({ length: count }, (_, n) => deliveryOf(workspaceId, id, n, now)),
    )
  }
  const what = { at: 0, durationMs: 1, status: 500, error: null, request: {}, response: null }
  const attempts = [
    ...Array.from({ length: 60 }, (_, n) => ({ workspaceId: ada.workspaceId, webhookId: mine, seq: 5, attempt: n })),
    ...Array.from({ length: count }, (_, n) => ({ workspaceId: elsewhere, webhookId: other, seq: n + 1, attempt: 1 })),
  ].map((attempt): NewRow<"webhookAttempts"> => ({ ...attempt, ...what }))
  await insertAll("webhookAttempts", attempts)
  return `/api/v1/webhooks/${mine}`
}

/** What a request read, and the statements that it ran. */
export async function readBy(send: (ada: Caller) => Promise<Response>) {
  sent = []
  const answer = await send(ada)
  const body = (await answer.json()) as { data?: { seq: number }[]; next?: string | null; log?: object[] }
  return { status: answer.status, ...body, cost: costOf(answer), statements: sent }
}

/** What a sweep of the workspace runs. */
export async function sweepOnce() {
  sent = []
  const db = openDb(recording.connect())
  try {
    const swept = await leaseDue({ db, workspaceId: ada.workspaceId, now: Date.now })
    return { ...swept, rowsRead: db.meter.rowsRead, statements: sent }
  } finally {
    await db.close()
  }
}
