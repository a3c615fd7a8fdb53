import { and, eq, getTableColumns, type SQL, sql } from "drizzle-orm"
import type { UserView } from "../contracts/auth.ts"
import { CommitRefused } from "../db/commit.ts"
import { DbError } from "../db/errors.ts"
import type { Statement } from "../db/sql.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339 } from "../lib/time.ts"
import type { Base, Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"

export type User = Row<"users">

export function userView(user: User): UserView {
  const { id, email, name, timeZone, revision } = user
  const times = { createdAt: rfc3339(user.createdAt), updatedAt: rfc3339(user.updatedAt) }
  return { id, email, emailVerified: user.emailVerifiedAt !== null, name, timeZone, revision, ...times }
}

export async function getUser({ db, actor }: Ctx): Promise<User> {
  const { users } = db.tables
  const [[user]] = await db.read(db.sql.select().from(users).where(eq(users.id, actor.userId)))
  if (!user) throw notFound("user")
  return user
}

/** A user, and the hash of the password that is theirs by now. */
export type Account = { user: User; secret: string }

/** Brings an account, by whatever of `identities` names it, for `accountFrom`. */
export function selectAccount({ db }: Base, which: SQL) {
  const { identities, users } = db.tables
  return db.sql
    .select({ secret: identities.secret, ...getTableColumns(users) })
    .from(identities)
    .innerJoin(users, eq(users.id, identities.userId))
    .where(and(eq(identities.provider, "password"), which))
}

export function accountFrom(row: (User & { secret: string }) | undefined): Account | null {
  if (!row) return null
  const { secret, ...user } = row
  return { user, secret }
}

async function findAccount(ctx: Base, which: SQL): Promise<Account | null> {
  const [[row]] = await ctx.db.read(selectAccount(ctx, which))
  return accountFrom(row)
}

export const findAccountOf = (ctx: Base, userId: string): Promise<Account | null> =>
  findAccount(ctx, eq(ctx.db.tables.identities.userId, userId))

export const findAccountAt = (ctx: Base, email: string): Promise<Account | null> =>
  findAccount(ctx, eq(ctx.db.tables.identities.subject, email))

type Changes = Partial<Omit<User, "id" | "revision" | "createdAt">>
type Note = { type: string; data: Record<string, unknown> }

/**
 * Writes a user's new state, the note of it and what belongs to both: all or nothing, one round trip. Throws
 * CommitRefused when another change of the user was faster, or when ours landed and its answer was lost: whoever tries
 * again sees which.
 */
export async function saveUser(
  ctx: Base,
  { id, revision: before }: User,
  changes: Changes,
  { type, data }: Note,
  also: readonly Statement[] = [],
): Promise<void> {
  const { sql: db, tables } = ctx.db
  const { users, userEvents } = tables
  const { updatedAt: at = ctx.now() } = changes
  const revision = before + 1
  // The note's key is the revision as just written. Null, or taken, it undoes what else was written.
  const written = sql<number>`(select ${users.revision} from ${users} where ${users.id} = ${id} and ${users.revision} = ${revision})`
  try {
    await ctx.db.write(
      db
        .update(users)
        .set({ ...changes, updatedAt: at, revision })
        .where(and(eq(users.id, id), eq(users.revision, before))),
      ...also,
      db.insert(userEvents).values({ userId: id, revision: written, type, data, at }),
    )
  } catch (error) {
    throw isContested(error) ? new CommitRefused({ reason: "revision" }, error) : error
  }
}

const isContested = (error: unknown) =>
  error instanceof DbError &&
  (error.fault.kind === "unique" || error.fault.kind === "not_null") &&
  error.fault.table === "user_events"
