import { and, eq, isNull, type SQL, type SQLWrapper, sql } from "drizzle-orm"
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
  const { db, workspaceId, actor } = ctx
  const { projectFollowers: f } = db.tables
  await change(ctx, isWanted, {
    what: "project",
    permission: "project:read",
    find: projectWith(ctx, projectId, (_, id) => isKept(ctx, f, sql`k.project_id = ${id}`)),
    set: () => insertRows(db, f, [{ workspaceId, projectId, userId: actor.userId, createdAt: ctx.now() }]),
    clear: () =>
      db.sql
        .delete(f)
        .where(and(eq(f.workspaceId, workspaceId), eq(f.projectId, projectId), eq(f.userId, actor.userId))),
    types: ["member.followed", "member.unfollowed"],
    field: "projectId",
  })
}

/** Silences a project for the actor, or lets it speak again. */
export async function muteProject(ctx: Ctx, projectId: string, isWanted: boolean): Promise<void> {
  permit(ctx, "project:read")
  permit(ctx, "profile:write")
  const find = projectWith(ctx, projectId, isMuted)
  await change(ctx, isWanted, { what: "project", permission: "project:read", find, field: "projectId", ...muting(ctx) })
}

/** Silences a task for the actor, or lets it speak again. */
export async function muteTask(ctx: Ctx, idOrKey: string, isWanted: boolean): Promise<void> {
  permit(ctx, "task:read")
  permit(ctx, "profile:write")
  const find = taskWith(ctx, idOrKey, isMuted)
  await change(ctx, isWanted, { what: "task", permission: "task:read", find, field: "taskId", ...muting(ctx) })
}

// Conditions are parts of their own: a column that stands in the selection itself is written without its table.
const isKept = ({ workspaceId, actor }: Ctx, table: SQLWrapper, ofSubject: SQL) =>
  sql<
    number | boolean
  >`((select 1 from ${table} k where k.workspace_id = ${workspaceId} and k.user_id = ${actor.userId} and ${ofSubject}) is not null)`

const isMuted = (ctx: Ctx, id: SQL) => isKept(ctx, ctx.db.tables.mutes, sql`k.subject_id = ${id}`)

/** A project that the actor sees, and whether something is so of it. */
function projectWith(ctx: Ctx, id: string, isSo: typeof isMuted) {
  if (!idPattern("project").test(id)) throw notFound("project")
  const { db, workspaceId } = ctx
  const { projects } = db.tables
  const isSeen = sees(ctx, { id: sql`${projects.id}`, visibility: sql`${projects.visibility}` }) ?? undefined
  return db.sql
    .select({
      id: projects.id,
      projectId: sql<string>`${projects.id}`.as("project_id"),
      isSo: isSo(ctx, sql`${projects.id}`).as("is_so"),
    })
    .from(projects)
    .where(and(eq(projects.workspaceId, workspaceId), eq(projects.id, id), isNull(projects.deletedAt), isSeen))
}

/** A task that the actor sees, and whether something is so of it. */
function taskWith(ctx: Ctx, idOrKey: string, isSo: typeof isMuted) {
  mustNameTask(idOrKey)
  const { tasks } = ctx.db.tables
  return ctx.db.sql
    .select({
      id: tasks.id,
      projectId: sql<string>`${tasks.projectId}`.as("project_id"),
      isSo: isSo(ctx, sql`${tasks.id}`).as("is_so"),
    })
    .from(tasks)
    .where(isHere(ctx, idOrKey))
}

function muting(ctx: Ctx): Pick<Change, "set" | "clear" | "types"> {
  const { db, workspaceId, actor } = ctx
  const { mutes: m } = db.tables
  return {
    set: (subjectId) => insertRows(db, m, [{ workspaceId, userId: actor.userId, subjectId, createdAt: ctx.now() }]),
    clear: (subjectId) =>
      db.sql
        .delete(m)
        .where(and(eq(m.workspaceId, workspaceId), eq(m.userId, actor.userId), eq(m.subjectId, subjectId))),
    types: ["member.muted", "member.unmuted"],
  }
}

type Change = {
  what: "project" | "task"
  permission: "project:read" | "task:read"
  /** Finds the subject as the actor sees it, its project, and whether it is so now. */
  find: ReturnType<typeof projectWith> | ReturnType<typeof taskWith>
  set: (subjectId: string) => Statement
  clear: (subjectId: string) => Statement
  types: [EventType, EventType]
  field: "projectId" | "taskId"
}

async function change(ctx: Ctx, isWanted: boolean, wanted: Change): Promise<void> {
  const { what, permission, find, set, clear, types, field } = wanted
  await untilUncontested(async () => {
    const [[found], [me]] = await ctx.db.read(find, selectMyself(ctx))
    if (!found) throw notFound(what)
    if (!me) throw noLongerMember(undefined)
    const { id, projectId, isSo } = found
    if (Boolean(isSo) === isWanted) return commitNothing(ctx, "profile:write", { kind: "empty" })
    const fields = { [field]: id }
    await commitMine(ctx, me, {
      permission,
      about: { projectId, level: "view" },
      at: ctx.now(),
      row: isWanted ? set(id) : clear(id),
      change: isWanted
        ? changeOfMember(me, types[0], { before: null, after: fields })
        : changeOfMember(me, types[1], { before: fields, after: null }),
    })
  })
}
