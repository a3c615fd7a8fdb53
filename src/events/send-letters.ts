import { eq } from "drizzle-orm"
import { type Db, openDb } from "../db/db.ts"
import type { Database } from "../db/engine.ts"
import type { Mail } from "../domain/mail.ts"
import { notificationLetter } from "../domain/notification-mail.ts"
import type { Kept } from "../domain/notifications.ts"
import { findSight, seesProject } from "../domain/sight.ts"
import { disabledLetter } from "../domain/webhook-mail.ts"
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
      await sendLetter(message.body, given)
      message.ack()
    } catch (error) {
      logFailure(message.id, "letter", error)
      message.retry({ delaySeconds: retrySeconds * message.attempts })
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
  const kept = await hub.unsentNotifications()
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
 * Where to write, and what of it the person still sees: a digest gathers for a day. Null for an address that nobody has
 * confirmed: others shall not be written to.
 */
async function recipientOf(
  database: Database,
  userId: string,
  kept: Kept[],
): Promise<{ address: string; seen: Kept[] } | null> {
  return inDatabase(database, async (db) => {
    const { users } = db.tables
    const [[user]] = await db.read(
      db.sql.select({ email: users.email, verifiedAt: users.emailVerifiedAt }).from(users).where(eq(users.id, userId)),
    )
    if (!user || user.verifiedAt === null) return null
    return { address: user.email, seen: await stillSeen(db, userId, kept) }
  })
}

async function stillSeen(db: Db, userId: string, kept: Kept[]): Promise<Kept[]> {
  const seen = new Set<Kept>()
  for (const [workspaceId, theirs] of Map.groupBy(kept, (one) => one.workspaceId)) {
    const projectIds = [...new Set(theirs.map(({ projectId }) => projectId))]
    const { projects, roles } = await findSight(db, workspaceId, { projectIds, userIds: [userId] })
    const role = roles.get(userId)
    for (const one of theirs) if (role && seesProject({ userId, role }, projects.get(one.projectId))) seen.add(one)
  }
  return kept.filter((one) => seen.has(one))
}
