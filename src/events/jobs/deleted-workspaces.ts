import { and, asc, eq, getTableColumns, gt, gte, type SQL, type SQLWrapper, sql } from "drizzle-orm"
import { type TenantTable, tenantTables } from "../../db/tenant-tables.ts"
import { deletionGrace, markDeleted } from "../../domain/workspaces.ts"
import { forEachAtOnce } from "../../lib/parallel.ts"
import { day } from "../../lib/time.ts"
import { type Job, type JobCtx, lateness } from "./job.ts"

/** How many workspaces a run looks at. */
export const window = 1_000
/** How many rows one statement deletes. */
export const chunk = 500
/** What a run may spend: a row costs one, and whatever asks the database costs as much as this many rows at least. */
export const budget = 5_000
const leastCost = 50
/** How many people's hubs are told at the same time, and what a person costs: a call of their hub, of which a run may make few. */
const atOnce = 6
const costOfPerson = 10
const peopleAtOnce = 100

/** So long after nobody can restore it any more: whoever was just in time is done by then. */
export const purgedAfter = deletionGrace + 2 * day

/**
 * Takes away what is left of deleted workspaces: a part of it in each run, children first, and at last the directory's
 * entry, by which it is found again until then.
 */
export const deletedWorkspaces: Job = {
  name: "deleted-workspaces",
  about: "Deletes everything of workspaces that can no longer be restored",
  async run(ctx, cursor) {
    const { ids, due } = await lookAt(ctx, cursor)
    const spending = { left: budget, deleted: 0 }
    let last = ids.length === window ? ids.at(-1) : undefined
    let error: unknown
    for (const { id, deletedAt } of due) {
      try {
        await markDeleted({ db: ctx.db, workspaceId: id }, deletedAt)
        await purge(ctx, id, spending)
      } catch (thrown) {
        // The others need not wait for it; in its next round it is tried again.
        error ??= thrown
      }
      if (spending.left <= 0) {
        last = ids[ids.indexOf(id) - 1] ?? cursor ?? undefined
        break
      }
    }
    return {
      cursor: last ?? null,
      examined: ids.length,
      done: spending.deleted,
      lagMs: lateness(
        ctx.now(),
        due.map(({ deletedAt }) => deletedAt + purgedAfter),
      ),
      ...(error !== undefined && { error }),
    }
  },
}

type Due = { id: string; deletedAt: number }

/** A window of the directory, and those of it whose time is over. The workspace itself knows better than the directory. */
async function lookAt({ db, now }: JobCtx, cursor: string | null): Promise<{ ids: string[]; due: Due[] }> {
  const { profiles, workspaces } = db.tables
  const [rows] = await db.read(
    db.sql
      .select({ id: workspaces.id, deletedAt: workspaces.deletedAt })
      .from(workspaces)
      .where(cursor === null ? undefined : gt(workspaces.id, cursor))
      .orderBy(asc(workspaces.id))
      .limit(window),
  )
  const ids = rows.map(({ id }) => id)
  const [known] = await db.read(
    db.sql
      .select({ id: profiles.workspaceId, deletedAt: profiles.deletedAt })
      .from(profiles)
      .where(db.oneOf(profiles.workspaceId, ids)),
  )
  const told = new Map(known.map(({ id, deletedAt }) => [id, deletedAt]))
  const due = rows.flatMap(({ id, deletedAt }) => {
    const since = told.has(id) ? told.get(id) : deletedAt
    return typeof since === "number" && since <= now() - purgedAfter ? [{ id, deletedAt: since }] : []
  })
  return { ids, due }
}

type Spending = { left: number; deleted: number }

function spend(spending: Spending, rows: number, each = 1): void {
  spending.left -= Math.max(rows * each, leastCost)
  spending.deleted += rows
}

/** Deletes as many rows of a workspace as may be spent, and the workspace itself once nothing is left of it. */
async function purge(ctx: JobCtx, workspaceId: string, spending: Spending): Promise<void> {
  for (const table of await findFilled(ctx, workspaceId)) {
    const isOfPeople = table[0] === "members"
    const size = isOfPeople ? peopleAtOnce : chunk
    for (let count = size; count === size; ) {
      if (spending.left <= 0) return
      count = await deleteSome(ctx, workspaceId, table, size)
      spend(spending, count, isOfPeople ? costOfPerson : 1)
    }
  }
  if (spending.left <= 0) return
  const { workspaces } = ctx.db.tables
  await ctx.hubs.forget(workspaceId)
  await ctx.db.write(ctx.db.sql.delete(workspaces).where(eq(workspaces.id, workspaceId)))
  spend(spending, 1)
}

/** The columns of a table's primary key, beside the workspace's id. */
function keyOf({ db }: JobCtx, [name, key]: TenantTable): SQL<string | number>[] {
  const columns = getTableColumns(db.tables[name]) as Record<string, SQLWrapper>
  return key.map((column) => sql<string | number>`${columns[column]}`)
}

/** The tables in which a workspace has anything. */
async function findFilled(ctx: JobCtx, workspaceId: string): Promise<TenantTable[]> {
  const { db } = ctx
  const [first, ...others] = tenantTables.map((table) => {
    const { workspaceId: column } = db.tables[table[0]]
    return (
      db.sql
        .select({ id: column })
        .from(db.tables[table[0]])
        .where(eq(column, workspaceId))
        // In the order of the key, or Postgres may read the table to find one row of a workspace that has many.
        .orderBy(column, ...keyOf(ctx, table))
        .limit(1)
    )
  })
  if (!first) return []
  const found = await db.read(first, ...others)
  return tenantTables.filter((_table, index) => (found[index]?.length ?? 0) > 0)
}

/** Deletes the first rows by their key, from the first of them to the last. Tells how many. */
async function deleteSome(ctx: JobCtx, workspaceId: string, of: TenantTable, size: number): Promise<number> {
  const { db } = ctx
  const table = db.tables[of[0]]
  const ofWorkspace = eq(table.workspaceId, workspaceId)
  const deletion = (range?: SQL) =>
    db.writeAndTell(db.sql.delete(table).where(and(ofWorkspace, range)).returning({ id: table.workspaceId }))
  const [first, ...others] = keyOf(ctx, of)
  if (!first) return (await deletion())[0].length
  await forgetInDirectory(ctx, workspaceId, of[0])
  const [places] = await db.read(
    db.sql
      .select(Object.fromEntries([first, ...others].map((column, index) => [`k${index}`, column.as(`k${index}`)])))
      .from(table)
      .where(ofWorkspace)
      .orderBy(first, ...others)
      .limit(size),
  )
  const [from, to] = [places.at(0), places.at(-1)]
  if (!(from && to)) return 0
  const range = db.inRange({ columns: [first, ...others], from: null, to: Object.values(to) })
  return (await deletion(and(gte(first, from["k0"]), range)))[0].length
}

/** Where to look for the people whose rows are about to go, and what they were told in their workspace. */
async function forgetInDirectory({ db, inboxes }: JobCtx, workspaceId: string, name: TenantTable[0]): Promise<void> {
  const { invitations, invitees, members, memberships } = db.tables
  if (name === "members") {
    const [people] = await db.read(
      db.sql
        .select({ userId: members.userId })
        .from(members)
        .where(eq(members.workspaceId, workspaceId))
        .orderBy(asc(members.userId))
        .limit(peopleAtOnce),
    )
    const users = people.map(({ userId }) => userId)
    const [error] = await forEachAtOnce(users, atOnce, (userId) => inboxes.forget(userId, workspaceId))
    if (error !== undefined) throw error
    const isTheirs = and(db.oneOf(memberships.userId, users), eq(memberships.workspaceId, workspaceId))
    if (users.length > 0) await db.write(db.sql.delete(memberships).where(isTheirs))
  }
  if (name === "invitations") {
    const [invited] = await db.read(
      db.sql
        .select({ email: invitations.email })
        .from(invitations)
        .where(eq(invitations.workspaceId, workspaceId))
        .orderBy(asc(invitations.id))
        .limit(chunk),
    )
    const emails = invited.map(({ email }) => email)
    const isTheirs = and(db.oneOf(invitees.email, emails), eq(invitees.workspaceId, workspaceId))
    if (emails.length > 0) await db.write(db.sql.delete(invitees).where(isTheirs))
  }
}
