import { type Db, openDb } from "../db/db.ts"
import type { Database } from "../db/engine.ts"
import type { Mail } from "../domain/mail.ts"
import { notificationLetter } from "../domain/notification-mail.ts"
import { isReminder, type Kept } from "../domain/notifications.ts"
import { lookUp, type WatchedTask } from "../domain/watching.ts"
import { disabledLetter } from "../domain/webhook-mail.ts"
import type { Bindings } from "../env.ts"
import { logFailure } from "../observability/log.ts"
import type { LetterMessage } from "./reader.ts"

type Given = { database: Database; mail: Mail; hubs: Bindings["USER_HUB"] }

const retrySeconds = 60

/**
 * Sends what people are to have by mail. A message only says whose hub to ask: the hub knows what is unsent, and whether
 * it has been read meanwhile; it queues again what gets lost on the way, or could not be sent, until it gives that up.
 */
export async function sendLetters(batch: MessageBatch<LetterMessage>, given: Given): Promise<void> {
  for (const message of batch.messages) {
    try {
      await sendLetter(message.body, given)
      message.ack()
    } catch (error) {
      logFailure(message.id, "letter", error)
      // What a hub has unsent it asks for again, later each time, and gives up in the end. Of the rest only this one knows.
      if (message.body.disabled) message.retry({ delaySeconds: retrySeconds * message.attempts })
      else message.ack()
    }
  }
}

async function sendLetter({ userId, disabled }: LetterMessage, { database, mail, hubs }: Given): Promise<void> {
  if (disabled) {
    const found = mail.delivers ? await inDatabase(database, (db) => disabledLetter(db, userId, disabled)) : null
    if (found) await mail.send(found)
    return
  }
  const hub = hubs.getByName(userId)
  const kept = await hub.takeUnsentNotifications()
  if (kept.length === 0) return
  const recipient = await recipientOf(database, userId, kept)
  // Where nothing delivers, or nobody is there to be written to, waiting would change nothing.
  if (recipient && mail.delivers) {
    const { address, seen } = recipient
    if (seen.length > 0) await mail.send(notificationLetter(mail, address, seen))
  }
  await hub.notificationsSent(kept.map(({ id }) => id))
}

async function inDatabase<T>(database: Database, work: (db: Db) => Promise<T>): Promise<T> {
  const db = openDb(database.connect())
  try {
    return await work(db)
  } finally {
    await db.close()
  }
}

/**
 * Where to write, and what of it concerns the person still: a digest gathers for a day. Null for an address that nobody
 * has confirmed: others shall not be written to.
 */
async function recipientOf(
  database: Database,
  userId: string,
  kept: Kept[],
): Promise<{ address: string; seen: Kept[] } | null> {
  const byWorkspace = Map.groupBy(kept, ({ workspaceId }) => workspaceId)
  const asked = [...byWorkspace].map(([workspaceId, theirs]) => ({
    workspaceId,
    taskIds: [...new Set(theirs.map(({ taskId }) => taskId))],
    reminderIds: [],
  }))
  const found = await inDatabase(database, (db) => lookUp(db, userId, asked))
  if (!found?.watcher.isVerified) return null
  const tasksOf = new Map(asked.map(({ workspaceId }, index) => [workspaceId, found.tasks[index]]))
  const seen = kept.filter((one) => concernsStill(one, tasksOf.get(one.workspaceId)?.get(one.taskId)))
  return { address: found.watcher.email, seen }
}

/** By where the task is now: it may have been moved out of sight. A reminder rings for what is silenced, too. */
const concernsStill = (one: Kept, task: WatchedTask | undefined): boolean =>
  task !== undefined && (!task.isMuted || isReminder(one))
