import { openDb } from "../db/db.ts"
import type { Database } from "../db/engine.ts"
import type { Mail } from "../domain/mail.ts"
import { notificationLetter } from "../domain/notification-mail.ts"
import { isReminder, type Kept } from "../domain/notifications.ts"
import { lookUp, type WatchedTask } from "../domain/watching.ts"
import type { Bindings } from "../env.ts"
import { logFailure } from "../observability/log.ts"
import type { LetterMessage } from "./reader.ts"

type Given = { database: Database; mail: Mail; hubs: Bindings["USER_HUB"] }

/**
 * Sends what people are to have by mail. A message only says whose hub to ask: the hub knows what is unsent, and whether
 * it has been read meanwhile; it queues again what gets lost on the way, or could not be sent, until it gives that up.
 */
export async function sendLetters(batch: MessageBatch<LetterMessage>, given: Given): Promise<void> {
  for (const message of batch.messages) {
    try {
      await sendLetter(message.body.userId, given)
    } catch (error) {
      logFailure(message.id, "letter", error)
    }
    // Whatever became of it: what is unsent is asked for again by the hub, and by nobody else, later each time.
    message.ack()
  }
}

async function sendLetter(userId: string, { database, mail, hubs }: Given): Promise<void> {
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
  const db = openDb(database.connect())
  try {
    const found = await lookUp(db, userId, asked)
    if (!found?.watcher.isVerified) return null
    const tasksOf = new Map(asked.map(({ workspaceId }, index) => [workspaceId, found.tasks[index]]))
    const seen = kept.filter((one) => concernsStill(one, tasksOf.get(one.workspaceId)?.get(one.taskId)))
    return { address: found.watcher.email, seen }
  } finally {
    await db.close()
  }
}

/** By where the task is now: it may have been moved out of sight. A reminder rings for what is silenced, too. */
const concernsStill = (one: Kept, task: WatchedTask | undefined): boolean =>
  task !== undefined && (!task.isMuted || isReminder(one))
