import { type SQL, sql } from "drizzle-orm"
import { type Level, levels, type Role } from "../lib/roles.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { forbidden, levelFor, type Permission, rolesThatMay } from "./permissions.ts"

export type Visibility = "workspace" | "private"

/** What a role may do in a project that is open to the workspace. Being named to a project can only add to it. */
const openLevels = { owner: levels.manage, admin: levels.manage, member: levels.edit, guest: 0 } as const

/** The roles that reach a level in open projects without being named. */
export const rolesInOpenProjects = (level: Level): Role[] =>
  (Object.keys(openLevels) as Role[]).filter((role) => openLevels[role] >= levels[level])

/** The level of a member with `role`, who is named to the project with the level `named`. 0: they do not see it. */
export function levelIn(role: Role, { visibility, named }: { visibility: Visibility; named: number | null }): number {
  // An owner answers for the whole workspace: nothing in it is hidden from them, and no project can be lost.
  if (role === "owner") return levels.manage
  return Math.max(visibility === "workspace" ? openLevels[role] : 0, named ?? 0)
}

type Viewer = Pick<Ctx, "db" | "workspaceId" | "actor">
/** Columns of a project, under whatever name a statement has them. */
type ProjectColumns = { id: SQL; visibility: SQL }

/**
 * Whether the actor sees a project, as a condition of the statement that reads it. Trusts the role of the token; null
 * where nothing needs to be asked. Not `exists`: Postgres may turn it into a join with all that is found.
 */
export function sees(viewer: Viewer, { id, visibility }: ProjectColumns): SQL | null {
  const { role } = viewer.actor
  if (role === "owner") return null
  const isNamed = sql`${namedLevel(viewer, id)} is not null`
  return openLevels[role] > 0 ? sql`(${visibility} = 'workspace' or ${isNamed})` : isNamed
}

/** The level with which a project names the actor; null when it does not. */
export function namedLevel({ db, workspaceId, actor }: Viewer, projectId: SQL): SQL<number | null> {
  const { projectMembers } = db.tables
  return sql`(select named.level from ${projectMembers} named where named.workspace_id = ${workspaceId} and named.project_id = ${projectId} and named.user_id = ${actor.userId})`
}

type Asked = { permission: Permission; level: Level; projectIds: SQL }

/**
 * Whether the actor, as they stand now and not as their token says, has a permission, and a level in every project of a
 * JSON array, deleted ones too: what was in them is still in the log. Nothing is asked for null. As in `sees`, no `exists`
 * for what is looked up one by one.
 */
export function reachesAll({ db, workspaceId, actor }: Viewer, { permission, level, projectIds }: Asked) {
  const { members, projects } = db.tables
  const isOpen = sql`coalesce((select p.visibility from ${projects} p where p.workspace_id = ${workspaceId} and p.id = c.value), '') = 'workspace'`
  const isNamed = sql`coalesce(${namedLevel({ db, workspaceId, actor }, sql`c.value`)}, 0) >= ${levels[level]}`
  const reaches = sql`((${db.oneOf(sql`m.role`, rolesInOpenProjects(level))} and ${isOpen}) or ${isNamed})`
  const lacksNone = sql`(m.role = 'owner' or not exists (select 1 from ${db.elements(projectIds)} where not ${reaches}))`
  return sql<
    number | boolean
  >`exists (select 1 from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${actor.userId} and m.removed_at is null and ${db.oneOf(sql`m.role`, rolesThatMay(permission))} and ${lacksNone})`
}

/** What decides about access, to be read beside a row that belongs to the project. */
export function accessTo(viewer: Viewer, projectId: SQL) {
  const { projects } = viewer.db.tables
  const visibility = sql<Visibility>`(select p.visibility from ${projects} p where p.workspace_id = ${viewer.workspaceId} and p.id = ${projectId})`
  return { visibility: visibility.as("visibility"), named: namedLevel(viewer, projectId).as("named_level") }
}

/** `and …`, for statements that name the project's row `p`. */
export function andVisible(viewer: Viewer): SQL {
  const condition = sees(viewer, { id: sql`p.id`, visibility: sql`p.visibility` })
  return condition ? sql`and ${condition}` : sql``
}

/** Refuses what the actor sees and may not do with 403, and what they do not see with 404. */
export function expectAccess(
  { actor }: Viewer,
  permission: Permission,
  project: { visibility: Visibility; named: number | null },
  what: "project" | "task" | "comment",
): void {
  const level = levelFor(permission)
  const reached = levelIn(actor.role, project)
  if (reached === 0) throw notFound(what)
  if (level && reached < levels[level]) throw forbidden(permission)
}
