import { and, asc, eq, sql } from "drizzle-orm"
import type { SignedInView, TokensView } from "../contracts/auth.ts"
import { isUnique } from "../db/db.ts"
import type { Row } from "../db/tables.ts"
import { accessTokenLife } from "../lib/access-token.ts"
import type { Role } from "../lib/roles.ts"
import { second } from "../lib/time.ts"
import type { Actor, IdentityCtx } from "./ctx.ts"
import { enter, enterAny, inPassing } from "./entering.ts"
import { DomainError, invalid } from "./errors.ts"
import { draftWorkspace, enterWorkspaceInDirectory, foundWorkspace, workspaceView } from "./founding.ts"
import { passwordErrors } from "./passwords.ts"
import { permitSession } from "./permissions.ts"
import { accountFrom, selectAccount, type User, userView } from "./user-rows.ts"

type Workspace = Pick<Row<"workspaces">, "id" | "name" | "inboxId">

// ---- register ----

type Registration = { email: string; password: string; name: string }

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
    return signIn(ctx, { user, provenAt: user.createdAt }, workspace, "owner")
  })
}

async function enterDirectory(ctx: IdentityCtx, { email, password, name }: Registration) {
  const { sql: db, tables } = ctx.db
  const { identities, users, userEvents } = tables
  const at = ctx.now()
  const times = { createdAt: at, updatedAt: at }
  const id = ctx.newId("user")
  const user: User = { id, email, emailVerifiedAt: null, name, timeZone: "UTC", settings: {}, revision: 1, ...times }
  const workspace = draftWorkspace(ctx, `${name}'s workspace`)
  // Hashed before anybody knows whether the address is free: the time an answer takes does not tell.
  const secret = await ctx.hasher.hash(password)
  try {
    await ctx.db.write(
      db.insert(identities).values({ provider: "password", subject: email, userId: id, secret, updatedAt: at }),
      db.insert(users).values(user),
      ...enterWorkspaceInDirectory(ctx, id, workspace, at),
      db.insert(userEvents).values({ userId: id, revision: 1, type: "user.registered", data: {}, at }),
    )
  } catch (error) {
    if (!isUnique(error)) throw error
    const [[owner]] = await ctx.db.read(
      db.select({ userId: identities.userId }).from(identities).where(isIdentity(ctx, email)),
    )
    // Our own row in the way: an earlier attempt landed and its answer was lost.
    if (owner?.userId !== id) {
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
    const provenAt = ctx.now()
    const found = await findAccount(ctx, email)
    if (!found) {
      await ctx.hasher.pretend(password)
      throw wrongCredentials()
    }
    if (!(await ctx.hasher.verify(password, found.secret))) throw wrongCredentials()
    if (ctx.hasher.isOutdated(found.secret)) await rehash(ctx, { email, password, outdated: found.secret })
    const { workspace, role } = await enterAny(ctx, found.user, found.workspaces)
    return signIn(ctx, { user: found.user, provenAt }, workspace, role)
  })
}

// A workspace that lets its member in is found among the first few: they leave the list when they end.
const triedAtMost = 20

/** The account behind an address, with its workspaces, oldest first. */
async function findAccount(ctx: IdentityCtx, email: string) {
  const { sql: db, tables } = ctx.db
  const { identities, workspaces, memberships } = tables
  const owner = db.select({ userId: identities.userId }).from(identities).where(isIdentity(ctx, email))
  const [[found], joined] = await ctx.db.read(
    selectAccount(ctx, eq(identities.subject, email)),
    db
      .select({ id: workspaces.id, name: workspaces.name, inboxId: workspaces.inboxId })
      .from(memberships)
      .innerJoin(workspaces, eq(workspaces.id, memberships.workspaceId))
      .where(eq(memberships.userId, sql`(${owner})`))
      // The deleted ones last: one that has just been restored may not be known as such.
      .orderBy(
        sql`case when ${workspaces.deletedAt} is null then 0 else 1 end`,
        asc(memberships.createdAt),
        asc(workspaces.id),
      )
      .limit(triedAtMost),
  )
  const account = accountFrom(found)
  return account && { ...account, workspaces: joined }
}

type Outdated = { email: string; password: string; outdated: string }

/** Brings the hash up to today's parameters, unless there is another password by now. */
async function rehash(ctx: IdentityCtx, { email, password, outdated }: Outdated): Promise<void> {
  const secret = await ctx.hasher.hash(password)
  const { identities } = ctx.db.tables
  const isStill = and(isIdentity(ctx, email), eq(identities.secret, outdated))
  await inPassing(ctx.db.write(ctx.db.sql.update(identities).set({ secret, updatedAt: ctx.now() }).where(isStill)))
}

type Proven = { user: User; provenAt: number }

async function signIn(
  ctx: IdentityCtx,
  { user, provenAt }: Proven,
  workspace: Workspace,
  role: Role,
): Promise<SignedInView> {
  const grant = await ctx.sessions.open({
    sessionId: ctx.newId("session"),
    userId: user.id,
    workspaceId: workspace.id,
    provenAt,
    ...ctx.device,
  })
  // The password was changed while it was checked: it is the wrong one by now.
  if (!grant) throw wrongCredentials()
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
  const role = await enter(ctx, grant.userId, grant.workspaceId)
  if (!role) throw refused()
  return issueTokens(ctx, grant, role)
}

/** Moves the actor's device to another of their workspaces: new tokens, and the refresh token of before is used up. */
export async function switchWorkspace(ctx: IdentityCtx, actor: Actor, workspaceId: string): Promise<TokensView> {
  permitSession(actor)
  const role = await enter(ctx, actor.userId, workspaceId)
  if (!role) throw invalid({ pointer: "/workspaceId", detail: "There is no such workspace of yours" })
  const grant = await ctx.sessions.move(actor.userId, actor.sessionId, workspaceId)
  if (!grant) throw new DomainError("unauthenticated", "This session has ended")
  return issueTokens(ctx, grant, role)
}
