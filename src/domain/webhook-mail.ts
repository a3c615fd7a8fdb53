import { and, eq, isNull } from "drizzle-orm"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import { letter } from "./account-mail.ts"
import type { Message } from "./mail.ts"

/** How many owners are told, at most. */
const ownersAtMost = 10

const reasons = {
  gone: "It answered 410 Gone, which asks that nothing more be sent.",
  failing: "For three days nothing that was sent to it has come through.",
}

/** That the system disabled a webhook. */
export type Disabled = { workspaceId: string; webhookId: string; reason: keyof typeof reasons }

function disabledIn(workspaceId: string, { type, actorId, subjectId, data }: LogEntry): Disabled[] {
  const reason = data.after?.["disabledReason"]
  if (type !== "webhook.disabled" || actorId !== "system" || (reason !== "gone" && reason !== "failing")) return []
  return [{ workspaceId, webhookId: subjectId, reason }]
}

/** Who is to be told which webhooks the system disabled: the owners, and the admin who made it. Mostly nobody. */
export async function disabledFor(
  db: Db,
  workspaceId: string,
  entries: readonly LogEntry[],
): Promise<{ userId: string; disabled: Disabled }[]> {
  const all = entries.flatMap((entry) => disabledIn(workspaceId, entry))
  if (all.length === 0) return []
  const { members, webhooks } = db.tables
  const isMember = and(eq(members.workspaceId, workspaceId), isNull(members.removedAt))
  const ids = all.map(({ webhookId }) => webhookId)
  const isMaker = and(eq(members.workspaceId, webhooks.workspaceId), eq(members.userId, webhooks.createdBy))
  const [owners, makers] = await db.read(
    db.sql
      .select({ userId: members.userId })
      .from(members)
      .where(and(isMember, eq(members.role, "owner")))
      .limit(ownersAtMost),
    db.sql
      .select({ userId: members.userId, webhookId: webhooks.id })
      .from(webhooks)
      .innerJoin(members, isMaker)
      .where(
        and(eq(webhooks.workspaceId, workspaceId), db.oneOf(webhooks.id, ids), isMember, eq(members.role, "admin")),
      ),
  )
  return all.flatMap((disabled) => {
    const maker = makers.filter(({ webhookId }) => webhookId === disabled.webhookId)
    return [...owners, ...maker].map(({ userId }) => ({ userId, disabled }))
  })
}

/** The mail to one of them; null for whoever has confirmed no address: others shall not be written to. */
export async function disabledLetter(
  db: Db,
  userId: string,
  { workspaceId, webhookId, reason }: Disabled,
): Promise<Message | null> {
  const { profiles, users, webhooks } = db.tables
  const [[user], [profile], [webhook]] = await db.read(
    db.sql.select({ email: users.email, verifiedAt: users.emailVerifiedAt }).from(users).where(eq(users.id, userId)),
    db.sql.select({ name: profiles.name }).from(profiles).where(eq(profiles.workspaceId, workspaceId)),
    db.sql
      .select({ url: webhooks.url })
      .from(webhooks)
      .where(and(eq(webhooks.workspaceId, workspaceId), eq(webhooks.id, webhookId))),
  )
  if (!user || user.verifiedAt === null || !webhook) return null
  const workspace = (profile?.name ?? "").replaceAll(/\s+/g, " ")
  // What follows the host may be a secret of the receiver.
  const { host } = new URL(webhook.url)
  return letter({
    to: user.email,
    kind: "webhook_disabled",
    subject: `A webhook to ${host} was disabled`,
    paragraphs: [
      `The webhook ${webhookId} of the workspace “${workspace}”, which sends to ${host}, was disabled. ${reasons[reason]}`,
      `What was not delivered is kept. Once the receiver works, activate it with PUT /api/v1/webhooks/${webhookId}/activation, and have what it missed sent again with POST /api/v1/webhooks/${webhookId}/replays and the status failed.`,
    ],
  })
}
