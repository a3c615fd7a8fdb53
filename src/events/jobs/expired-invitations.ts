import { and, asc, eq, sql } from "drizzle-orm"
import type { Row } from "../../db/tables.ts"
import { expiredEntryLife } from "../../domain/invitations.ts"
import { hour } from "../../lib/time.ts"
import { type Job, type JobCtx, lateness } from "./job.ts"

/** How many entries a run looks at. */
export const window = 1_000

/** Invitations are entered in the directory first: one that leads to none may be about to. */
export const patience = hour

type Entry = Row<"invitees">
type Place = [email: string, workspaceId: string, invitationId: string]
type Found = Pick<Row<"invitations">, "workspaceId" | "id" | "status" | "expiresAt">

/**
 * Takes out of the directory whose invitation has expired, was used, was revoked or is not there: an address that nobody
 * needs any more. The invitation stays with its workspace, which may send it again, and that enters it anew.
 */
export const expiredInvitations: Job = {
  name: "expired-invitations",
  about: "Forgets the addresses of invitations that cannot be accepted any more",
  async run(ctx, cursor) {
    const now = ctx.now()
    const from = cursor === null ? null : (JSON.parse(cursor) as Place)
    const entries = await lookAt(ctx, from)
    const invitations = new Map((await findInvitations(ctx, entries)).map((found) => [nameOf(found), found]))
    const useless = entries.flatMap((entry) => {
      const since = uselessSince(entry, invitations.get(`${entry.workspaceId} ${entry.invitationId}`), now)
      return since === null ? [] : [{ ...entry, since }]
    })
    if (useless.length > 0) await forget(ctx, from, useless)
    const last = entries.length === window ? entries.at(-1) : undefined
    return {
      cursor: last ? JSON.stringify([last.email, last.workspaceId, last.invitationId]) : null,
      examined: entries.length,
      done: useless.length,
      lagMs: lateness(
        now,
        useless.map(({ since }) => since),
      ),
    }
  },
}

const nameOf = ({ workspaceId, id }: Found) => `${workspaceId} ${id}`

/** Since when an entry leads nowhere; null for one that does lead somewhere, or may yet. */
export function uselessSince({ createdAt }: Entry, invitation: Found | undefined, now: number): number | null {
  const since = invitation?.status === "pending" ? invitation.expiresAt + expiredEntryLife : createdAt + patience
  return since <= now ? since : null
}

const keyOf = ({ db }: JobCtx) => {
  const { email, workspaceId, invitationId } = db.tables.invitees
  return [email, workspaceId, invitationId] as const
}

async function lookAt(ctx: JobCtx, from: Place | null): Promise<Entry[]> {
  const { db } = ctx
  const { invitees } = db.tables
  const [rows] = await db.read(
    db.sql
      .select()
      .from(invitees)
      .where(db.inRange({ columns: keyOf(ctx), from, to: null }))
      .orderBy(asc(invitees.email), asc(invitees.workspaceId), asc(invitees.invitationId))
      .limit(window),
  )
  return rows
}

/** Only as they were read: whoever has been sent theirs again in the meantime has another entry by now. */
async function forget(ctx: JobCtx, from: Place | null, entries: Entry[]): Promise<void> {
  const { db } = ctx
  const { invitees } = db.tables
  const { email, workspaceId, invitationId } = entries.at(-1) as Entry
  const fields = ["email", "workspaceId", "invitationId", "createdAt"] as const
  const given = db.givenRows(entries, {
    email: "text",
    workspaceId: "text",
    invitationId: "text",
    createdAt: "integer",
  })
  const columns = fields.map((field) => invitees[field])
  const named = sql`select ${sql.join(
    fields.map((field) => db.given(field)),
    sql`, `,
  )} from ${given}`
  await db.write(
    db.sql
      .delete(invitees)
      .where(
        and(
          db.inRange({ columns: keyOf(ctx), from, to: [email, workspaceId, invitationId] }),
          sql`(${sql.join(columns, sql`, `)}) in (${named})`,
        ),
      ),
  )
}

async function findInvitations({ db }: JobCtx, entries: Entry[]): Promise<Found[]> {
  if (entries.length === 0) return []
  const { workspaceId, id, status, expiresAt } = db.tables.invitations
  const named = entries.map((entry) => ({ workspaceId: entry.workspaceId, id: entry.invitationId }))
  const [found] = await db.read(
    db.sql
      .select({ workspaceId, id, status, expiresAt })
      .from(sql`${db.givenRows(named, { workspaceId: "text", id: "text" })}`)
      .innerJoin(db.tables.invitations, and(eq(workspaceId, db.given("workspaceId")), eq(id, db.given("id")))),
  )
  return found
}
