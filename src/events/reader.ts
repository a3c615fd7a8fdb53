import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import type { Disabled } from "../domain/webhook-mail.ts"
import type { IdKind } from "../lib/ids.ts"

/** Who reads a workspace's log behind a write, each with a cursor of its own. */
export const readerNames = ["realtime", "inbox", "webhooks"] as const
export type ReaderName = (typeof readerNames)[number]

/** What a reader has for one batch of entries; its database reads the primary. */
export type ReaderCtx = {
  db: Db
  workspaceId: string
  /** Epoch milliseconds. */
  now: () => number
  newId: (kind: IdKind) => string
}

/**
 * Reads a workspace's log: entries come in order, each at least once, so whatever is done for one must bear being done
 * again. What is thrown keeps the batch from counting as read; an entry that throws on its own five times is parked.
 */
export type Reader = {
  name: ReaderName
  read(ctx: ReaderCtx, entries: readonly LogEntry[]): Promise<void>
}

/**
 * One attempt at what is owed to a webhook: its `number` tells it from every other one. It is to be made before `until`;
 * whoever finds the message later puts it away, because it is or will be queued again.
 */
export type DeliveryMessage = { workspaceId: string; webhookId: string; seq: number; number: number; until: number }

/** Somebody who is to have mail: their hub knows what, unless it is that a webhook was disabled. */
export type LetterMessage = { userId: string; disabled?: Disabled }
