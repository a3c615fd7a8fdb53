import { and, asc, eq, gt, isNull, or } from "drizzle-orm"
import type { ListedWorkspaceView, WorkspaceQueryInput } from "../contracts/workspaces.ts"
import type { Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import type { Role } from "../lib/roles.ts"
import { day, rfc3339, rfc3339OrNull } from "../lib/time.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import { commit, commitNothing, type DomainChange, untilUncontested } from "./events.ts"
import { workspaceView } from "./founding.ts"
import { cutRows, parseCursor, placeOfId } from "./lists.ts"
import { permit, permitSession } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"

type Profile = Row<"profiles">

/** How long a deleted workspace can be restored. */
export const deletionGrace = 30 * day

// ---- mine ----

/** The workspaces that the actor belongs to, the deleted ones among them as long as they can be restored. */
export async function listWorkspaces(
  ctx: Ctx,
  { limit, cursor }: WorkspaceQueryInput,
): Promise<{ data: ListedWorkspaceView[]; next: string | null }> {
  permitSession(ctx.actor)
  const { db, actor } = ctx
  const list = `${actor.userId} workspaces`
  const place = parseCursor(list, "string", cursor)
  const since = ctx.now() - deletionGrace
  const { workspaces, memberships } = db.tables
  const [rows] = await db.read(
    db.sql
      .select({
        id: workspaces.id,
        name: workspaces.name,
        inboxId: workspaces.inboxId,
        joinedAt: memberships.createdAt,
        deletedAt: workspaces.deletedAt,
      })
      .from(memberships)
      .innerJoin(workspaces, eq(workspaces.id, memberships.workspaceId))
      .where(
        and(
          eq(memberships.userId, actor.userId),
          place ? gt(memberships.workspaceId, place.id) : undefined,
          or(isNull(workspaces.deletedAt), gt(workspaces.deletedAt, since)),
        ),
      )
      .orderBy(asc(memberships.workspaceId))
      .limit(limit + 1),
  )
  const page = cutRows(rows, limit, list, ({ id }) => placeOfId(id))
  const data = page.rows.map(({ joinedAt, deletedAt, ...workspace }) => ({
    ...workspaceView(workspace),
    isActive: workspace.id === ctx.workspaceId,
    joinedAt: rfc3339(joinedAt),
    deletedAt: rfc3339OrNull(deletedAt),
  }))
  return { data, next: page.next }
}

// ---- rename, delete, restore ----

// The right to these is the workspace's to tell, so its commit comes first and the directory follows. A directory that
// was left behind is set right by the next who does it, or who comes by (entering.ts).

async function getProfile(ctx: Ctx): Promise<Profile> {
  const { profiles } = ctx.db.tables
  const [[profile]] = await ctx.db.read(
    ctx.db.sql.select().from(profiles).where(eq(profiles.workspaceId, ctx.workspaceId)),
  )
  if (!profile) throw notFound("workspace")
  return profile
}

function replaceProfile({ db, workspaceId }: Ctx, before: Profile, set: Partial<Profile>) {
  const { profiles } = db.tables
  return db.sql
    .update(profiles)
    .set({ ...set, revision: before.revision + 1 })
    .where(and(eq(profiles.workspaceId, workspaceId), eq(profiles.revision, before.revision)))
}

const changeOfProfile = (before: Profile, type: DomainChange["type"], data: DomainChange["data"]): DomainChange => ({
  type,
  subject: "workspace",
  subjectId: before.workspaceId,
  revision: before.revision + 1,
  projectId: null,
  data,
})

type ProfileView = { id: string; name: string; revision: number; createdAt: string; updatedAt: string }

const profileView = ({ workspaceId, name, revision, createdAt, updatedAt }: Profile): ProfileView => ({
  id: workspaceId,
  name,
  revision,
  createdAt: rfc3339(createdAt),
  updatedAt: rfc3339(updatedAt),
})

/** Only the workspace that the token names is at hand: a path with another one names nothing. */
export function mustBeActive(ctx: Ctx, workspaceId: string): void {
  if (workspaceId !== ctx.workspaceId) throw notFound("workspace here: switch to it first, with POST /auth/switch")
}

export async function getWorkspace(ctx: Ctx, workspaceId: string): Promise<ProfileView> {
  permit(ctx, "workspace:read")
  mustBeActive(ctx, workspaceId)
  return profileView(await getProfile(ctx))
}

export async function renameWorkspace(
  ctx: Ctx,
  workspaceId: string,
  name: string | undefined,
  expected: Expected,
): Promise<ProfileView> {
  permit(ctx, "workspace:manage")
  mustBeActive(ctx, workspaceId)
  const { db } = ctx
  const { workspaces } = db.tables
  const renamed = await untilUncontested(async () => {
    const before = await getProfile(ctx)
    expectRevision(expected, before.revision)
    if (name === undefined || before.name === name) {
      await commitNothing(ctx, "workspace:manage", { kind: "changed", body: profileView(before) })
      return before
    }
    const at = ctx.now()
    const after: Profile = { ...before, name, updatedAt: at, revision: before.revision + 1 }
    await commit(ctx, {
      permission: "workspace:manage",
      at,
      rows: [replaceProfile(ctx, before, { name, updatedAt: at })],
      changes: [changeOfProfile(before, "workspace.updated", { before: { name: before.name }, after: { name } })],
      answer: { kind: "changed", body: profileView(after) },
    })
    return after
  })
  await db.write(db.sql.update(workspaces).set({ name: renamed.name }).where(eq(workspaces.id, workspaceId)))
  return profileView(renamed)
}

/** Deletes the workspace for everybody. For 30 days an owner can restore it. */
export async function deleteWorkspace(ctx: Ctx, workspaceId: string, expected: Expected): Promise<void> {
  permit(ctx, "workspace:own")
  mustBeActive(ctx, workspaceId)
  const deletedAt = await untilUncontested(async () => {
    const before = await getProfile(ctx)
    if (before.deletedAt !== null) {
      // It may have been cut off before the directory knew.
      await markDeleted(ctx, before.deletedAt)
      throw notFound("workspace")
    }
    expectRevision(expected, before.revision)
    const at = ctx.now()
    await commit(ctx, {
      permission: "workspace:own",
      at,
      rows: [replaceProfile(ctx, before, { deletedAt: at, updatedAt: at })],
      changes: [changeOfProfile(before, "workspace.deleted", { before: { name: before.name }, after: null })],
      answer: { kind: "empty" },
    })
    return at
  })
  await markDeleted(ctx, deletedAt)
}

/** Tells the directory since when a workspace is deleted; null for one that is not. */
export async function markDeleted(
  { db, workspaceId }: Pick<Ctx, "db" | "workspaceId">,
  deletedAt: number | null,
): Promise<void> {
  const { workspaces } = db.tables
  await db.write(db.sql.update(workspaces).set({ deletedAt }).where(eq(workspaces.id, workspaceId)))
}

/** Brings a deleted workspace back, as it was. Its owners can, from whatever workspace they are in. */
export async function restoreWorkspace(ctx: Ctx, workspaceId: string): Promise<ProfileView> {
  permitSession(ctx.actor)
  if (!idPattern("workspace").test(workspaceId)) throw notFound("workspace")
  const role = await findRole(ctx, workspaceId)
  if (!role) throw notFound("workspace")
  const there: Ctx = { ...ctx, workspaceId, actor: { ...ctx.actor, role } }
  permit(there, "workspace:own")
  const restored = await untilUncontested(async () => {
    const before = await getProfile(there)
    if (before.deletedAt === null) return before
    if (before.deletedAt <= ctx.now() - deletionGrace) {
      throw new DomainError("conflict", "Its time to be restored is over")
    }
    const at = ctx.now()
    const after: Profile = { ...before, deletedAt: null, updatedAt: at, revision: before.revision + 1 }
    await commit(there, {
      permission: "workspace:own",
      at,
      rows: [replaceProfile(there, before, { deletedAt: null, updatedAt: at })],
      changes: [changeOfProfile(before, "workspace.restored", { before: null, after: { name: before.name } })],
      answer: { kind: "changed", body: profileView(after) },
      isDespiteDeletion: true,
    })
    return after
  })
  await markDeleted(there, null)
  return profileView(restored)
}

/** The actor's role in another workspace than the active one, as it stands now; null when they are no member. */
async function findRole({ db, actor }: Ctx, workspaceId: string): Promise<Role | null> {
  const { members } = db.tables
  const [[member]] = await db.read(
    db.sql
      .select({ role: members.role, removedAt: members.removedAt })
      .from(members)
      .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId))),
  )
  return member && member.removedAt === null ? member.role : null
}
