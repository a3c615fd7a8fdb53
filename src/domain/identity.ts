import { and, asc, eq, sql } from "drizzle-orm"
import type { SignedInView, TokensView, UserView, WorkspaceView } from "../contracts/auth.ts"
import { isUnique, ReadOnly } from "../db/db.ts"
import type { Row } from "../db/tables.ts"
import { accessTokenLife, type Role } from "../lib/access-token.ts"
import { isCommonPassword } from "../lib/common-passwords.ts"
import { rfc3339, second } from "../lib/time.ts"
import type { IdentityCtx } from "./ctx.ts"
import { DomainError, type FieldError, invalid } from "./errors.ts"
import { untilUncontested } from "./events.ts"
import { asMember, foundWorkspace, renameMember } from "./workspaces.ts"

type User = Row<"users">
type Workspace = Pick<Row<"workspaces">, "id" | "name" | "inboxId">

export function userView({ id, email, name, timeZone, revision, createdAt, updatedAt }: User): UserView {
  return { id, email, name, timeZone, revision, createdAt: rfc3339(createdAt), updatedAt: rfc3339(updatedAt) }
}

const workspaceView = ({ id, name, inboxId }: Workspace): WorkspaceView => ({ id, name, inboxId })

// ---- register ----

type Registration = { email: string; password: string; name: string }

/** Why a password is refused, if it is. Its length has been checked already. */
export function passwordErrors({ email, password }: Pick<Registration, "email" | "password">): FieldError[] {
  const told = (detail: string) => [{ pointer: "/password", detail }]
  // In the form that is hashed: full-width letters make no other password.
  const plain = password.normalize("NFKC")
  if (plain.toLowerCase() === email) return told("must not be the e-mail address")
  if (isCommonPassword(plain)) return told("is one of the most common passwords")
  return []
}

/**
 * Creates a user with a workspace of their own, and signs them in. The directory is written first, then the workspace;
 * whoever crashes in between is complete after their first login, because both use ids made before.
 */
export async function register(ctx: IdentityCtx, registration: Registration): Promise<SignedInView> {
  const errors = passwordErrors(registration)
  if (errors.length > 0) throw invalid(...errors)
  return ctx.hasher.admit(ctx.now(), async () => {
    const { user, workspace } = await enterDirectory(ctx, registration)
    await foundWorkspace(ctx, user, workspace)
    return signIn(ctx, user, workspace, "owner")
  })
}

async function enterDirectory(ctx: IdentityCtx, { email, password, name }: Registration) {
  const { sql: db, tables } = ctx.db
  const { identities, users, workspaces, memberships, userEvents } = tables
  const at = ctx.now()
  const user: User = { id: ctx.newId("user"), email, name, timeZone: "UTC", revision: 1, createdAt: at, updatedAt: at }
  const workspace = { id: ctx.newId("workspace"), name: `${name}'s workspace`, inboxId: ctx.newId("project") }
  // Hashed before anybody knows whether the address is free: the time an answer takes does not tell.
  const secret = await ctx.hasher.hash(password)
  try {
    await ctx.db.write(
      db.insert(identities).values({ provider: "password", subject: email, userId: user.id, secret, updatedAt: at }),
      db.insert(users).values(user),
      db.insert(workspaces).values({ ...workspace, createdBy: user.id, createdAt: at }),
      db.insert(memberships).values({ userId: user.id, workspaceId: workspace.id, createdAt: at }),
      db.insert(userEvents).values({ userId: user.id, revision: 1, type: "user.registered", data: {}, at }),
    )
  } catch (error) {
    if (!isUnique(error)) throw error
    const [[owner]] = await ctx.db.read(
      db.select({ userId: identities.userId }).from(identities).where(isIdentity(ctx, email)),
    )
    // Our own row in the way: an earlier attempt landed and its answer was lost.
    if (owner?.userId !== user.id) {
      const errors = [{ pointer: "/email", detail: "cannot be registered; sign in if it is yours" }]
      throw new DomainError("conflict", "This e-mail address cannot be registered", { errors, cause: error })
    }
  }
  return { user, workspace }
}

const isIdentity = ({ db: { tables } }: IdentityCtx, email: string) =>
  and(eq(tables.identities.provider, "password"), eq(tables.identities.subject, email))

// ---- sign in ----

const wrongCredentials = () => new DomainError("unauthenticated", "The e-mail address or the password is wrong")

/** Signs in. An unknown address gets the same answer as a wrong password, in about the same time. */
export async function login(
  ctx: IdentityCtx,
  { email, password }: { email: string; password: string },
): Promise<SignedInView> {
  return ctx.hasher.admit(ctx.now(), async () => {
    const found = await findAccount(ctx, email)
    if (!found) {
      await ctx.hasher.pretend(password)
      throw wrongCredentials()
    }
    if (!(await ctx.hasher.verify(password, found.secret))) throw wrongCredentials()
    if (ctx.hasher.isOutdated(found.secret)) await rehash(ctx, email, password)
    const role = await enterWorkspace(ctx, found.user, found.workspace)
    return signIn(ctx, found.user, found.workspace, role)
  })
}

/** The account behind an address, with its first workspace. */
async function findAccount(ctx: IdentityCtx, email: string) {
  const { sql: db, tables } = ctx.db
  const { identities, users, workspaces, memberships } = tables
  const [[row]] = await ctx.db.read(
    db
      .select({
        secret: identities.secret,
        id: users.id,
        email: users.email,
        name: users.name,
        timeZone: users.timeZone,
        revision: users.revision,
        createdAt: users.createdAt,
        updatedAt: users.updatedAt,
        // Named apart, because D1's batch returns rows by column name and equal names shift the values.
        workspaceId: sql<string>`${workspaces.id}`.as("workspace_id"),
        workspaceName: sql<string>`${workspaces.name}`.as("workspace_name"),
        inboxId: workspaces.inboxId,
      })
      .from(identities)
      .innerJoin(users, eq(users.id, identities.userId))
      .innerJoin(memberships, eq(memberships.userId, users.id))
      .innerJoin(workspaces, eq(workspaces.id, memberships.workspaceId))
      .where(isIdentity(ctx, email))
      .orderBy(asc(memberships.createdAt))
      .limit(1),
  )
  if (!row) return null
  const { secret, workspaceId, workspaceName, inboxId, ...user } = row
  return { secret, user, workspace: { id: workspaceId, name: workspaceName, inboxId } }
}

/** Brings the hash up to today's parameters. */
async function rehash(ctx: IdentityCtx, email: string, password: string): Promise<void> {
  const secret = await ctx.hasher.hash(password)
  const { sql: db, tables } = ctx.db
  await unlessReadOnly(
    ctx.db.write(db.update(tables.identities).set({ secret, updatedAt: ctx.now() }).where(isIdentity(ctx, email))),
  )
}

/** What can as well be done at the next sign-in does not keep anybody out. */
async function unlessReadOnly(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof ReadOnly)) throw error
  }
}

/** The user's role, after repairing what a crash between directory and workspace may have left undone. */
function enterWorkspace(ctx: IdentityCtx, user: User, workspace: Workspace): Promise<Role> {
  return untilUncontested(async () => {
    const { member, isFounded } = await findMember(ctx, user.id, workspace.id)
    if (member) {
      if (member.name !== user.name) await unlessReadOnly(renameMember(asMember(ctx, member), member, user.name))
      return member.role
    }
    if (isFounded) throw new DomainError("forbidden", "You are no longer a member of this workspace")
    await foundWorkspace(ctx, user, workspace)
    return "owner"
  })
}

/** The membership, and whether the workspace has had its first commit. */
async function findMember(ctx: IdentityCtx, userId: string, workspaceId: string) {
  const { sql: db, tables } = ctx.db
  const { members, heads } = tables
  const [[member], [head]] = await ctx.db.read(
    db
      .select()
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, userId))),
    db.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId)),
  )
  return { member: member ?? null, isFounded: head !== undefined }
}

async function signIn(ctx: IdentityCtx, user: User, workspace: Workspace, role: Role): Promise<SignedInView> {
  const grant = await ctx.sessions.open({
    sessionId: ctx.newId("session"),
    userId: user.id,
    workspaceId: workspace.id,
    ...ctx.device,
  })
  return { user: userView(user), workspace: workspaceView(workspace), ...(await issueTokens(ctx, grant, role)) }
}

type Granted = { sessionId: string; userId: string; workspaceId: string; refreshToken: string }

async function issueTokens(ctx: IdentityCtx, grant: Granted, role: Role): Promise<TokensView> {
  const { refreshToken, ...claims } = grant
  const accessToken = await ctx.tokens.issue({ ...claims, role }, ctx.now())
  return { accessToken, refreshToken, expiresIn: accessTokenLife / second }
}

// ---- stay signed in, sign out ----

/** Exchanges a refresh token for the next pair. The role is read anew, so a change reaches the user here at the latest. */
export async function refresh(ctx: IdentityCtx, refreshToken: string): Promise<TokensView> {
  const refused = () => new DomainError("unauthenticated", "This refresh token is not valid (any more)")
  const grant = await ctx.sessions.rotate(refreshToken)
  if (!grant) throw refused()
  const { member } = await findMember(ctx, grant.userId, grant.workspaceId)
  if (!member) throw refused()
  return issueTokens(ctx, grant, member.role)
}
