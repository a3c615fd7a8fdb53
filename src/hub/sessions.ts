import type { NewSession, SessionInfo } from "../domain/sessions.ts"
import { fromBase64Url, toBase64Url } from "../lib/bytes.ts"
import { equalSecrets, hmac, hmacKey } from "../lib/hmac.ts"
import { day, second } from "../lib/time.ts"

/** A session that is not used for this long ends. */
export const idleLife = 30 * day
/** However much it is used, a session ends after this long. */
export const absoluteLife = 180 * day
/** How long after a rotation the token before it still works: a second tab, a lost answer. */
export const grace = 30 * second

type Row = {
  id: string
  workspace_id: string
  seed: string
  generation: number
  user_agent: string
  address: string
  created_at: number
  used_at: number
  expires_at: number
}

/** The place in a session's chain that was just granted. */
export type Link = { workspaceId: string; generation: number; secret: string }

/**
 * What a refresh token of generation `presented` gets from a session whose newest token is `newest`. Whoever presents
 * an older one than grace allows is the thief or the victim of one: the session ends for both (RFC 9700, 4.14.2).
 */
export function judge(
  session: { newest: number; rotatedAt: number },
  presented: number,
  now: number,
): "rotate" | "repeat" | "revoke" {
  if (presented === session.newest) return "rotate"
  if (presented === session.newest - 1 && now - session.rotatedAt <= grace) return "repeat"
  return "revoke"
}

/** The sessions of one user, in their Durable Object. Owns the table `sessions`, which is made with the first one. */
export class SessionTable {
  readonly #sql: SqlStorage
  readonly #onLeft: (workspaceId: string, sessionId: string) => void
  #isMade: boolean

  /** `onLeft` is told of every session that ends, or goes to another workspace. */
  constructor(sql: SqlStorage, onLeft: (workspaceId: string, sessionId: string) => void) {
    this.#sql = sql
    this.#onLeft = onLeft
    this.#isMade = sql.exec("select 1 from sqlite_master where name = 'sessions'").toArray().length > 0
  }

  /** Null for whoever proved who they are before all sessions were ended. */
  async open(session: NewSession, now: number): Promise<Link | null> {
    if (!this.#isMade) this.#make()
    const seed = toBase64Url(crypto.getRandomValues(new Uint8Array(32)))
    const secret = await secretOf(seed, 1)
    if (session.provenAt < this.#endedAt()) return null
    this.#sql.exec(
      `insert into sessions (id, workspace_id, seed, generation, user_agent, address, created_at, used_at, expires_at)
       values (?, ?, ?, 1, ?, ?, ?, ?, ?)`,
      session.sessionId,
      session.workspaceId,
      seed,
      session.userAgent,
      session.address,
      now,
      now,
      now + idleLife,
    )
    return { workspaceId: session.workspaceId, generation: 1, secret }
  }

  /** Null for a token that is used up, expired, revoked or was never given. */
  async rotate(sessionId: string, generation: number, secret: string, now: number): Promise<Link | null> {
    const known = this.#find(sessionId, now)
    if (!known || !equalSecrets(secret, await secretOf(known.seed, generation))) return null
    // Read again: another request may have rotated while the secret was computed.
    const row = this.#find(sessionId, now)
    if (!row) return null
    switch (judge({ newest: row.generation, rotatedAt: row.used_at }, generation, now)) {
      case "revoke":
        this.end(sessionId)
        return null
      case "repeat":
        return this.#link(row, row.generation)
      case "rotate":
        return this.#advance(row, row.workspace_id, now)
    }
  }

  /** Null for a session that has ended. The token of before counts as used. */
  async move(sessionId: string, workspaceId: string, now: number): Promise<Link | null> {
    const row = this.#find(sessionId, now)
    if (row && row.workspace_id !== workspaceId) this.#onLeft(row.workspace_id, sessionId)
    return row && this.#advance(row, workspaceId, now)
  }

  /** Whether there is such a session, and in that workspace. */
  isIn(workspaceId: string, sessionId: string, now: number): boolean {
    return this.#find(sessionId, now)?.workspace_id === workspaceId
  }

  list(now: number): SessionInfo[] {
    if (!this.#isMade) return []
    const rows = this.#sql.exec<Row>("select * from sessions where expires_at > ? order by used_at desc", now).toArray()
    return rows.map((row) => ({
      id: row.id,
      userAgent: row.user_agent,
      address: row.address,
      createdAt: row.created_at,
      lastUsedAt: row.used_at,
      expiresAt: row.expires_at,
    }))
  }

  /** Whether there was such a session. */
  end(sessionId: string): boolean {
    if (!this.#isMade) return false
    return this.#end("delete from sessions where id = ? returning id, workspace_id", sessionId) > 0
  }

  /** Ends every session but the one that is kept, if one is; and those that are about to be opened. */
  endAll(kept: string | null, now: number): void {
    if (!this.#isMade) return
    this.#end("delete from sessions where id is not ? returning id, workspace_id", kept)
    this.#sql.exec("create table if not exists ending (id integer primary key, at integer not null)")
    this.#sql.exec("insert or replace into ending (id, at) values (1, ?)", now)
  }

  /** How many it was. */
  #end(statement: string, ...values: (string | number | null)[]): number {
    const ended = this.#sql.exec<Pick<Row, "id" | "workspace_id">>(statement, ...values).toArray()
    for (const { id, workspace_id } of ended) this.#onLeft(workspace_id, id)
    return ended.length
  }

  #endedAt(): number {
    const isKnown = this.#sql.exec("select 1 from sqlite_master where name = 'ending'").toArray().length > 0
    return isKnown ? this.#sql.exec<{ at: number }>("select at from ending").one().at : 0
  }

  forgetExpired(now: number): void {
    if (this.#isMade) this.#end("delete from sessions where expires_at <= ? returning id, workspace_id", now)
  }

  /** When the next session expires; null when there is none. */
  nextExpiry(): number | null {
    if (!this.#isMade) return null
    return this.#sql.exec<{ at: number | null }>("select min(expires_at) as at from sessions").one().at
  }

  #advance(row: Row, workspaceId: string, now: number): Promise<Link> {
    const expiresAt = Math.min(now + idleLife, row.created_at + absoluteLife)
    this.#sql.exec(
      "update sessions set workspace_id = ?, generation = generation + 1, used_at = ?, expires_at = ? where id = ?",
      workspaceId,
      now,
      expiresAt,
      row.id,
    )
    return this.#link({ ...row, workspace_id: workspaceId }, row.generation + 1)
  }

  #make(): void {
    this.#sql.exec(`create table sessions (
      id text primary key, workspace_id text not null, seed text not null, generation integer not null,
      user_agent text not null, address text not null,
      created_at integer not null, used_at integer not null, expires_at integer not null
    )`)
    this.#isMade = true
  }

  #find(sessionId: string, now: number): Row | null {
    if (!this.#isMade) return null
    const [row] = this.#sql
      .exec<Row>("select * from sessions where id = ? and expires_at > ?", sessionId, now)
      .toArray()
    return row ?? null
  }

  async #link(row: Row, generation: number): Promise<Link> {
    return { workspaceId: row.workspace_id, generation, secret: await secretOf(row.seed, generation) }
  }
}

/** Every token of a session follows from its seed, so the same place in the chain always gives the same token. */
async function secretOf(seed: string, generation: number): Promise<string> {
  const key = await hmacKey(fromBase64Url(seed) ?? new Uint8Array())
  return hmac(key, `refresh ${generation}`)
}
