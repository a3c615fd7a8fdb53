import { eq } from "drizzle-orm"
import { openDb } from "../db/db.ts"
import type { Database } from "../db/engine.ts"
import type { Mail } from "../domain/mail.ts"
import { notificationLetter } from "../domain/notification-mail.ts"
import type { Bindings } from "../env.ts"
import { logFailure } from "../observability/log.ts"
import type { LetterMessage } from "./reader.ts"

type Given = { database: Database; mail: Mail; hubs: Bindings["USER_HUB"] }

const retrySeconds = 60

/**
 * Sends what people are to have by mail. A message only says whose hub to ask: the hub knows what is unsent, and whether
 * it has been read meanwhile; it queues again what gets lost on the way.
 */
export async function sendLetters(batch: MessageBatch<LetterMessage>, given: Given): Promise<void> {
  for (const message of batch.messages) {
    try {
      await sendLetter(message.body.userId, given)
      message.ack()
    } catch (error) {
      logFailure(message.id, "letter", error)
      message.retry({ delaySeconds: retrySeconds * message.attempts })
    }
  }
}

async function sendLetter(userId: string, { database, mail, hubs }: Given): Promise<void> {
  const hub = hubs.getByName(userId)
  const kept = await hub.unsentNotifications()
  if (kept.length === 0) return
  const to = await addressOf(database, userId)
  // Where nothing delivers, or nobody is there to be written to, waiting would change nothing.
  if (to !== null && mail.delivers) await mail.send(notificationLetter(to, kept))
  await hub.notificationsSent(kept.map(({ id }) => id))
}

/** Null for an address that nobody has confirmed: others shall not be written to. */
async function addressOf(database: Database, userId: string): Promise<string | null> {
  const db = openDb(database.connect())
  try {
    const { users } = db.tables
    const [[user]] = await db.read(
      db.sql.select({ email: users.email, verifiedAt: users.emailVerifiedAt }).from(users).where(eq(users.id, userId)),
    )
    return user && user.verifiedAt !== null ? user.email : null
  } finally {
    await db.close()
  }
}
