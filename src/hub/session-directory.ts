import type { Grant, Sessions } from "../domain/sessions.ts"
import { within } from "../lib/deadline.ts"
import { formatRefreshToken, parseRefreshToken } from "../lib/refresh-token.ts"
import { second } from "../lib/time.ts"
import type { Link } from "./sessions.ts"
import type { UserHub } from "./user-hub.ts"

type Options = { hubs: DurableObjectNamespace<UserHub>; instanceKey: CryptoKey; now: () => number }

const deadline = 5 * second

/** Sessions in their users' objects. An object is only addressed for a user who is known or a token this instance made. */
export function sessionDirectory({ hubs, instanceKey, now }: Options): Sessions {
  const hubOf = (userId: string) => hubs.getByName(userId)

  async function grant(userId: string, sessionId: string, link: Link): Promise<Grant> {
    const { workspaceId, generation, secret } = link
    const refreshToken = await formatRefreshToken(instanceKey, { userId, sessionId, generation, secret })
    return { sessionId, userId, workspaceId, refreshToken }
  }

  return {
    async open(session) {
      const link = await within(deadline, hubOf(session.userId).openSession(session, now()))
      return link && grant(session.userId, session.sessionId, link)
    },

    async rotate(refreshToken) {
      const token = await parseRefreshToken(instanceKey, refreshToken)
      if (!token) return null
      const { userId, sessionId, generation, secret } = token
      const link = await within(deadline, hubOf(userId).rotateSession(sessionId, generation, secret, now()))
      return link && grant(userId, sessionId, link)
    },

    async move(userId, sessionId, workspaceId) {
      const link = await within(deadline, hubOf(userId).moveSession(sessionId, workspaceId, now()))
      return link && grant(userId, sessionId, link)
    },

    list: (userId) => within(deadline, hubOf(userId).listSessions(now())),

    end: (userId, sessionId) => within(deadline, hubOf(userId).endSession(sessionId)),

    endAll: (userId, keptSession) => within(deadline, hubOf(userId).endSessions(keptSession, now())),

    async endByToken(refreshToken) {
      const token = await parseRefreshToken(instanceKey, refreshToken)
      if (token) await within(deadline, hubOf(token.userId).endSession(token.sessionId))
    },
  }
}
