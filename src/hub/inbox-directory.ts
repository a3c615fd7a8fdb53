import type { Inboxes } from "../domain/notifications.ts"
import { within } from "../lib/deadline.ts"
import { second } from "../lib/time.ts"
import type { UserHub } from "./user-hub.ts"

const deadline = 5 * second

/** Inboxes in their people's objects. */
export function inboxDirectory(hubs: DurableObjectNamespace<UserHub>): Inboxes {
  const hubOf = (userId: string) => hubs.getByName(userId)
  return {
    list: (userId, query) => within(deadline, hubOf(userId).listNotifications(query)),
    unread: (userId) => within(deadline, hubOf(userId).unreadNotifications()),
    mark: (userId, workspaceId, id, readAt) =>
      within(deadline, hubOf(userId).markNotification(workspaceId, id, readAt)),
    markUpTo: (userId, workspaceId, id, readAt) =>
      within(deadline, hubOf(userId).markNotificationsUpTo(workspaceId, id, readAt)),
    sendOwedMail: (userId) => within(deadline, hubOf(userId).sendOwedMail()),
    forget: (userId, workspaceId) => within(deadline, hubOf(userId).forgetWorkspace(workspaceId)),
    changeZone: (userId) => within(deadline, hubOf(userId).changeZone()),
  }
}
