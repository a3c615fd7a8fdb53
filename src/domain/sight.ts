import { and, eq, sql } from "drizzle-orm"
import type { EventView } from "../contracts/events.ts"
import type { LogEntry } from "../db/commit.ts"
import type { Db } from "../db/db.ts"
import type { Dialect } from "../db/dialect.ts"
import type { Role } from "../lib/roles.ts"
import { levelIn, type Visibility } from "./access.ts"
import { eventView, ofActor, ofEverybody, ofManagers, otherIn, relating } from "./activity-views.ts"

// Who is told of an entry, for many viewers at once and without asking the database for each. activity.ts says the same
// in SQL for one viewer.

export type SightedProject = { visibility: Visibility; named: ReadonlySet<string> }

/** What decides who sees what: as it is now, which may be later than the entry. */
export type Sight = {
  projects: ReadonlyMap<string, SightedProject>
  /** In which project the tasks are that entries name beside their subject. */
  taskProjects: ReadonlyMap<string, string>
}

export type Viewer = { userId: string; role: Role }

export function seesProject({ userId, role }: Viewer, project: SightedProject | undefined): boolean {
  if (!project) return false
  return levelIn(role, { visibility: project.visibility, named: project.named.has(userId) ? 1 : null }) > 0
}

/** An entry as a viewer is told it; null for one that is not for them. */
export function viewFor(viewer: Viewer, entry: LogEntry, { projects, taskProjects }: Sight): EventView | null {
  const sees = (projectId: string | null | undefined) =>
    projectId ? seesProject(viewer, projects.get(projectId)) : false
  const other = otherIn(entry)
  return eventView(
    {
      ...entry,
      isSeen: entry.projectId === null ? ofWorkspace(viewer, entry) : sees(entry.projectId),
      isPreviousSeen: sees(entry.previousProjectId),
      isOtherSeen: other !== null && sees(taskProjects.get(other)),
    },
    viewer,
  )
}

/** What is not about a project: a guest is told what is about them and of labels, members all but what managers need. */
function ofWorkspace({ userId, role }: Viewer, { type, actorId, subjectId }: LogEntry): boolean {
  const isMine = actorId === userId
  if (ofActor.has(type) && !isMine) return false
  if (role === "guest") return subjectId === userId || ofEverybody.has(type)
  return role !== "member" || isMine || !ofManagers.has(type)
}

/** The projects and other tasks that decide who is told of the entries. */
export function decisiveIn(entries: readonly LogEntry[]): { projectIds: string[]; taskIds: string[] } {
  const projectIds = entries.flatMap(({ projectId, previousProjectId }) => [projectId, previousProjectId])
  return {
    projectIds: [...new Set(projectIds.filter((id) => id !== null))],
    taskIds: [...new Set(entries.filter(({ type }) => relating.has(type)).flatMap((entry) => otherIn(entry) ?? []))],
  }
}

/** What decides about the projects; of those that never were, nothing. */
export const selectVisibility = (
  { sql: builder, tables: { projects }, oneOf }: Dialect,
  workspaceId: string,
  ids: string[],
) =>
  builder
    .select({ id: projects.id, visibility: projects.visibility })
    .from(projects)
    .where(and(eq(projects.workspaceId, workspaceId), oneOf(projects.id, ids)))

export const selectProjectsOfTasks = (
  { sql: builder, tables: { tasks }, oneOf }: Dialect,
  workspaceId: string,
  ids: string[],
) =>
  builder
    .select({ id: tasks.id, projectId: tasks.projectId })
    .from(tasks)
    .where(and(eq(tasks.workspaceId, workspaceId), oneOf(tasks.id, ids)))

/** In which projects tasks are; those that never were are left out. */
export async function findProjectsOfTasks(
  db: Db,
  workspaceId: string,
  taskIds: string[],
): Promise<Map<string, string>> {
  if (taskIds.length === 0) return new Map()
  const [rows] = await db.read(selectProjectsOfTasks(db, workspaceId, taskIds))
  return new Map(rows.map(({ id, projectId }) => [id, projectId]))
}

/** Who sees the projects, and what the people are in the workspace: one trip. Who is no member has no role. */
export async function findSight(
  db: Db,
  workspaceId: string,
  { projectIds, userIds }: { projectIds: string[]; userIds: string[] },
): Promise<{ projects: Map<string, SightedProject>; roles: Map<string, Role> }> {
  const { sql: builder, oneOf } = db
  const { members, projectMembers } = db.tables
  const [found, named, people] = await db.read(
    selectVisibility(db, workspaceId, projectIds),
    builder
      .select({ projectId: projectMembers.projectId, userId: projectMembers.userId })
      .from(projectMembers)
      .where(and(eq(projectMembers.workspaceId, workspaceId), oneOf(projectMembers.projectId, projectIds))),
    builder
      .select({ userId: members.userId, role: members.role })
      .from(members)
      .where(
        and(eq(members.workspaceId, workspaceId), oneOf(members.userId, userIds), sql`${members.removedAt} is null`),
      ),
  )
  const namedIn = Map.groupBy(named, ({ projectId }) => projectId)
  return {
    projects: new Map(
      found.map(({ id, visibility }) => [
        id,
        { visibility, named: new Set((namedIn.get(id) ?? []).map(({ userId }) => userId)) },
      ]),
    ),
    roles: new Map(people.map(({ userId, role }) => [userId, role])),
  }
}
