import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import { idPattern } from "../lib/ids.ts"
import { sees } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { noLongerMember, notFound } from "./errors.ts"
import type { EventType } from "./event-types.ts"
import { commitNothing, untilUncontested } from "./events.ts"
import { changeOfMember, commitMine, selectMyself } from "./member-rows.ts"
import { permit } from "./permissions.ts"
import { isHere, mustNameTask } from "./task-lookup.ts"

// What somebody wants to hear of, and what not. Like what they follow, it is theirs alone.

/** Makes the actor follow a project that they see, or no longer follow it. What is so already changes nothing. */
export async function followProject(ctx: Ctx, projectId: string, isWanted: boolean): Promise<void> {
  permit(ctx, "project:read")
  permit(ctx, "profile:write")
  await mustSeeProject(ctx, projectId)
  const { db, workspaceId, actor } = ctx
  const { projectFollowers } = db.tables
  const isThis = and(
    eq(projectFollowers.workspaceId, workspaceId),
    eq(projectFollowers.projectId, projectId),
    eq(projectFollowers.userId, actor.userId),
  )
  const row = { workspaceId, projectId, userId: actor.userId, createdAt: ctx.now() }
  await change(ctx, isWanted, {
    permission: "project:read",
    projectId,
    is: sql`(select 1 from ${projectFollowers} where ${isThis}) is not null`,
    set: () => insertRows(db, projectFollowers, [row]),
    clear: () => db.sql.delete(projectFollowers).where(isThis),
    types: ["member.followed", "member.unfollowed"],
    fields: { projectId },
  })
}

/** Silences a project for the actor, or lets it speak again. */
export async function muteProject(ctx: Ctx, projectId: string, isWanted: boolean): Promise<void> {
  permit(ctx, "project:read")
  permit(ctx, "profile:write")
  await mustSeeProject(ctx, projectId)
  await mute(ctx, isWanted, { permission: "project:read", subjectId: projectId, projectId, fields: { projectId } })
}

/** Silences a task for the actor, or lets it speak again. */
export async function muteTask(ctx: Ctx, idOrKey: string, isWanted: boolean): Promise<void> {
  permit(ctx, "task:read")
  permit(ctx, "profile:write")
  const { id, projectId } = await findTask(ctx, idOrKey)
  await mute(ctx, isWanted, { permission: "task:read", subjectId: id, projectId, fields: { taskId: id } })
}

type Silenced = Pick<Change, "permission" | "projectId" | "fields"> & { subjectId: string }

async function mute(ctx: Ctx, isWanted: boolean, { subjectId, ...what }: Silenced): Promise<void> {
  const { db, workspaceId, actor } = ctx
  const { mutes } = db.tables
  const isThis = and(eq(mutes.workspaceId, workspaceId), eq(mutes.userId, actor.userId), eq(mutes.subjectId, subjectId))
  await change(ctx, isWanted, {
    ...what,
    is: sql`(select 1 from ${mutes} where ${isThis}) is not null`,
    set: () => insertRows(db, mutes, [{ workspaceId, userId: actor.userId, subjectId, createdAt: ctx.now() }]),
    clear: () => db.sql.delete(mutes).where(isThis),
    types: ["member.muted", "member.unmuted"],
  })
}

type Change = {
  permission: "project:read" | "task:read"
  /** Who sees it decides who may. */
  projectId: string
  /** Whether it is so now. */
  is: SQL
  set: () => Statement
  clear: () => Statement
  types: [EventType, EventType]
  fields: Record<string, string>
}

async function change(ctx: Ctx, isWanted: boolean, wanted: Change): Promise<void> {
  const { permission, projectId, is, set, clear, types, fields } = wanted
  const { db, workspaceId, actor } = ctx
  const { members } = db.tables
  await untilUncontested(async () => {
    const [[me], [state]] = await db.read(
      selectMyself(ctx),
      db.sql
        .select({ is: sql<number | boolean>`${is}`.as("is_so") })
        .from(members)
        .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId))),
    )
    if (!me) throw noLongerMember(undefined)
    if (Boolean(state?.is) === isWanted) return commitNothing(ctx, "profile:write", { kind: "empty" })
    await commitMine(ctx, me, {
      permission,
      about: { projectId, level: "view" },
      at: ctx.now(),
      row: isWanted ? set() : clear(),
      change: isWanted
        ? changeOfMember(me, types[0], { before: null, after: fields })
        : changeOfMember(me, types[1], { before: fields, after: null }),
    })
  })
}

async function mustSeeProject(ctx: Ctx, id: string): Promise<void> {
  if (!idPattern("project").test(id)) throw notFound("project")
  const { db, workspaceId } = ctx
  const { projects } = db.tables
  const isSeen = sees(ctx, { id: sql`${projects.id}`, visibility: sql`${projects.visibility}` }) ?? undefined
  const [[row]] = await db.read(
    db.sql
      .select({ id: projects.id })
      .from(projects)
      .where(and(eq(projects.workspaceId, workspaceId), eq(projects.id, id), isNull(projects.deletedAt), isSeen)),
  )
  if (!row) throw notFound("project")
}

async function findTask(ctx: Ctx, idOrKey: string): Promise<{ id: string; projectId: string }> {
  mustNameTask(idOrKey)
  const { tasks } = ctx.db.tables
  const [[row]] = await ctx.db.read(
    ctx.db.sql.select({ id: tasks.id, projectId: tasks.projectId }).from(tasks).where(isHere(ctx, idOrKey)),
  )
  if (!row) throw notFound("task")
  return row
}
