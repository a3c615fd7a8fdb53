import { type SQL, sql } from "drizzle-orm"
import type { Role } from "../lib/roles.ts"
import type { Dialect } from "./dialect.ts"
import type { Statement } from "./sql.ts"

/** What it takes in some projects: a level by name, or one of these roles where they are open. */
type Access = { projectIds: string[]; level: number; openTo: readonly Role[] }

/** Who commits, and what is asked of them before any row is written, whatever their token says. */
export type CommitActor = {
  id: string
  source: string
  /** The roles whose holder may do this; "any" for the system. */
  roles: readonly Role[] | "any"
  access: readonly Access[]
  /** The API key through which they act: it must be live at that moment, too. */
  apiKeyId?: string | null
  /** Whether it may be done in a workspace that has been deleted. */
  isDespiteDeletion?: boolean
  /** Whether the actor becomes a member by it, so that their role is not asked for. */
  isJoining?: boolean
}

type Work = { workspaceId: string; at: number; actor: CommitActor }

/**
 * Refuses the commit unless the actor's role, their API key and their place in the changes' projects suffice as they
 * stand now: behind the head, which holds off other writers, and before the rows, which may change the actor's own
 * right. For whoever may, it writes nothing; for others a head without a number, which that column does not take.
 */
export function expectActor(db: Dialect, work: Work): Statement[] {
  if (work.actor.roles === "any") return []
  const { heads } = db.tables
  return [
    db.sql
      .insert(heads)
      .select(sql`select ${work.workspaceId}, cast(null as bigint), 0 where not (${mayCommit(db, work)})`),
  ]
}

const isThere = (from: SQL) => sql`exists (select 1 from ${from})`

function mayCommit(db: Dialect, { workspaceId, at, actor }: Work): SQL {
  const { id, roles, access, apiKeyId = null, isDespiteDeletion = false, isJoining = false } = actor
  const { apiKeys, members, profiles } = db.tables
  const isDeleted = isThere(sql`${profiles} w where w.workspace_id = ${workspaceId} and w.deleted_at is not null`)
  if (isJoining) return sql`not ${isDeleted}`
  const isLive = sql`k.revoked_at is null and (k.expires_at is null or k.expires_at > ${at})`
  const conditions = [
    db.oneOf(sql`m.role`, roles === "any" ? [] : roles),
    apiKeyId !== null &&
      isThere(sql`${apiKeys} k where k.workspace_id = ${workspaceId} and k.id = ${apiKeyId} and ${isLive}`),
    !isDespiteDeletion && sql`not ${isDeleted}`,
    ...access.map((asked) => hasAccess(db, { workspaceId, userId: id, ...asked })),
  ].filter((condition) => condition !== false && condition !== null)
  return isThere(
    sql`${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${id} and m.removed_at is null and ${sql.join(conditions, sql` and `)}`,
  )
}

/** Whether the member `m` has a level in all of the projects. An owner has every project. */
function hasAccess(
  { tables, given, givenRows, oneOf }: Dialect,
  { workspaceId, userId, projectIds, level, openTo }: Access & { workspaceId: string; userId: string },
): SQL {
  const { projects, projectMembers } = tables
  const project = given("projectId")
  const rows = givenRows(
    projectIds.map((projectId) => ({ projectId })),
    { projectId: "text" },
  )
  const isOpen = isThere(
    sql`${projects} p where p.workspace_id = ${workspaceId} and p.id = ${project} and p.visibility = 'workspace'`,
  )
  const isNamed = isThere(
    sql`${projectMembers} named where named.workspace_id = ${workspaceId} and named.project_id = ${project} and named.user_id = ${userId} and named.level >= ${level}`,
  )
  return sql`(m.role = 'owner' or not ${isThere(sql`${rows} where not ((${oneOf(sql`m.role`, openTo)} and ${isOpen}) or ${isNamed})`)})`
}
