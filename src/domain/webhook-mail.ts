import { and, eq, isNull } from "drizzle-orm"
import type { Db } from "../db/db.ts"
import { letter } from "./account-mail.ts"
import type { Mail } from "./mail.ts"
import type { Webhook } from "./webhook-rows.ts"

/** How many owners are told, at most. */
const ownersAtMost = 10

const reasons = {
  gone: "It answered 410 Gone, which asks that nothing more be sent.",
  failing: "For three days nothing that was sent to it has come through.",
}

/** Tells the owners, and whoever made it if they still manage webhooks, that one was disabled. */
export async function mailDisabled(
  { db, workspaceId, mail }: { db: Db; workspaceId: string; mail: Mail },
  webhook: Webhook,
  reason: keyof typeof reasons,
): Promise<void> {
  if (!mail.delivers) return
  const { members, profiles, users } = db.tables
  const isMember = and(eq(members.workspaceId, workspaceId), isNull(members.removedAt))
  const [owners, [maker], [profile]] = await db.read(
    db.sql
      .select({ userId: members.userId })
      .from(members)
      .where(and(isMember, eq(members.role, "owner")))
      .limit(ownersAtMost),
    db.sql
      .select({ userId: members.userId, role: members.role })
      .from(members)
      .where(and(isMember, eq(members.userId, webhook.createdBy))),
    db.sql.select({ name: profiles.name }).from(profiles).where(eq(profiles.workspaceId, workspaceId)),
  )
  const told = new Set(owners.map(({ userId }) => userId))
  if (maker?.role === "admin") told.add(maker.userId)
  const [people] = await db.read(
    db.sql
      .select({ email: users.email })
      .from(users)
      .where(db.oneOf(users.id, [...told])),
  )
  const workspace = (profile?.name ?? "").replaceAll(/\s+/g, " ")
  // What follows the host may be a secret of the receiver.
  const { host } = new URL(webhook.url)
  for (const { email } of people) {
    await mail.send(
      letter({
        to: email,
        kind: "webhook_disabled",
        subject: `A webhook to ${host} was disabled`,
        paragraphs: [
          `The webhook ${webhook.id} of the workspace “${workspace}”, which sends to ${host}, was disabled. ${reasons[reason]}`,
          `What was not delivered is kept. Once the receiver works, activate it with PUT /api/v1/webhooks/${webhook.id}/activation, and have what it missed sent again with POST /api/v1/webhooks/${webhook.id}/replays.`,
        ],
      }),
    )
  }
}
