/** A place in a session's chain of refresh tokens, and the token for it. */
export type Grant = { sessionId: string; userId: string; workspaceId: string; refreshToken: string }

export type NewSession = {
  sessionId: string
  userId: string
  workspaceId: string
  userAgent: string
  address: string
  /** When the password was looked up that opens it, in epoch milliseconds. */
  provenAt: number
}

/** Times in epoch milliseconds. */
export type SessionInfo = {
  id: string
  userAgent: string
  address: string
  createdAt: number
  lastUsedAt: number
  expiresAt: number
}

/** The signed-in devices of users. */
export type Sessions = {
  /** Null when all sessions were ended after the password had been looked up: it may be another one by now. */
  open(session: NewSession): Promise<Grant | null>
  /** Exchanges a refresh token for the next one. Null for one that is foreign, used up, expired or revoked. */
  rotate(refreshToken: string): Promise<Grant | null>
  /** Gives a session another workspace, and its next refresh token. Null for one that has ended. */
  move(userId: string, sessionId: string, workspaceId: string): Promise<Grant | null>
  list(userId: string): Promise<SessionInfo[]>
  /** Whether there was such a session. */
  end(userId: string, sessionId: string): Promise<boolean>
  /** Ends every session of the user, but one that is to stay. */
  endAll(userId: string, keptSession: string | null): Promise<void>
  /** Ends the session that a refresh token belongs to; unknown tokens are ignored. */
  endByToken(refreshToken: string): Promise<void>
}
