import { and, eq, getTableColumns, type SQL, sql } from "drizzle-orm"
import type { ActivityQueryInput, ActivityView } from "../contracts/activity.ts"
import type { EventView } from "../contracts/events.ts"
import { idPattern } from "../lib/ids.ts"
import { andVisible } from "./access.ts"
import { activityView, eventView, ofActor, ofEverybody, ofManagers, relating } from "./activity-views.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import { cutPage, type Direction, examinedRows, formatCursor, orderBy, parseCursor } from "./lists.ts"
import { permit } from "./permissions.ts"
import { mustNameTask } from "./task-lookup.ts"

// An entry, the project it was in, and who is named there.
const readsPerEntry = 5
// And where it was before, or what it says.
const readsPerTold = 7

/**
 * The log after `after`, oldest first, as far as the actor may see it. `next` is the last number examined: a page may be
 * short or empty and still have more behind it.
 */
export async function listEvents(
  ctx: Ctx,
  { after, limit }: { after: number; limit: number },
): Promise<{ data: EventView[]; next: number }> {
  permit(ctx, "event:read")
  const entries = {
    within: sql`e.seq > ${after}`,
    key: bySeq,
    direction: "asc",
    limit,
    residual: told(ctx),
    reads: readsPerTold,
  } as const
  const isSeen = sql<number | null>`(case when ${seen(ctx, eventColumns(ctx))} then 1 end)`
  const [rows] = await ctx.db.read(selectEntries(ctx, entries, { isSeen: isSeen.as("is_seen") }))
  const cut = cutPage(rows.map(placed), limit, "asc")
  const last = cut.next?.k ?? cut.rows.at(-1)?.k ?? after
  return { data: cut.rows.flatMap((row) => eventView(row, ctx.actor) ?? []), next: Number(last) }
}

type Entries = {
  /** Where in the log to look, of the workspace's entries `e`. */
  within: SQL
  /** What they are ordered by, which no two of them share. */
  key: SQL
  direction: Direction
  limit: number
  residual: SQL | null
  /** How many index entries a row of the window may cost. */
  reads?: number
}

// The number of an entry in the log, which is its id.
const bySeq = sql`e.seq`

/** The entries of a page, with what the actor must see to be told all of them. */
function selectEntries<Extra extends Record<string, SQL.Aliased>>(
  ctx: Ctx,
  { within, key, direction, limit, residual, reads = readsPerEntry }: Entries,
  extra: Extra,
) {
  const { db, workspaceId } = ctx
  const { events, projects, tasks } = db.tables
  const ofEntry = sql`e.type, e.actor_id, e.subject_id, e.project_id, e.previous_project_id`
  const order = orderBy({ key: null, id: key, direction })
  const page = db.scanPage({
    entries: (count, isNarrow) =>
      sql`select e.seq as id, ${key} as k ${isNarrow ? sql`` : sql`, ${ofEntry}`} from ${events} e where e.workspace_id = ${workspaceId} and ${within} order by ${order} limit ${count}`,
    residual,
    isById: key === bySeq,
    direction,
    limit,
    window: Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / reads)),
  })
  const { workspaceId: _workspace, commitId: _commit, ...columns } = getTableColumns(events)
  const seenProject = (id: SQL) =>
    sql`select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = ${id} ${andVisible(ctx)}`
  const previous = sql<number | null>`(${seenProject(sql`${events.previousProjectId}`)})`
  const otherId = sql`coalesce(${db.jsonAt(events.data, ["after", "otherId"])}, ${db.jsonAt(events.data, ["before", "otherId"])})`
  const otherProject = sql`(select t.project_id from ${tasks} t where t.workspace_id = ${workspaceId} and t.id = ${otherId})`
  const other = sql<number | null>`(case when ${events.type} in (${sql.join(
    [...relating].map((type) => sql`${type}`),
    sql`, `,
  )}) then (${seenProject(otherProject)}) end)`
  return db.sql
    .select({
      ...columns,
      ...extra,
      isPreviousSeen: previous.as("is_previous_seen"),
      isOtherSeen: other.as("is_other_seen"),
      k: sql<number>`page.k`.as("k"),
      isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
    })
    .from(sql`${page} page`)
    .innerJoin(events, and(eq(events.workspaceId, workspaceId), eq(events.seq, sql`page.id`)))
}

/** A row as lists cut them: its key alone says where it stands. */
const placed = <Found extends { k: number }>(row: Found) => ({ ...row, k: Number(row.k), id: "" })

/** Columns of an entry, under whatever name a statement has them. */
type EntryColumns = Record<"type" | "actorId" | "subjectId" | "projectId", SQL>

const scanned: EntryColumns = {
  type: sql`entry.type`,
  actorId: sql`entry.actor_id`,
  subjectId: sql`entry.subject_id`,
  projectId: sql`entry.project_id`,
}

function eventColumns({ db: { tables } }: Ctx): EntryColumns {
  const { type, actorId, subjectId, projectId } = tables.events
  return { type: sql`${type}`, actorId: sql`${actorId}`, subjectId: sql`${subjectId}`, projectId: sql`${projectId}` }
}

/** Which entries the actor may see. */
function seen(ctx: Ctx, { type, actorId, subjectId, projectId }: EntryColumns = scanned): SQL {
  const { db, actor } = ctx
  const isTold = sql`(${actorId} = ${actor.userId} or not ${db.oneOf(type, [...ofActor])})`
  // An owner sees every project.
  if (actor.role === "owner") return isTold
  // Where it is now decides: what was moved out of sight is out of sight, with all that it was.
  const ofWorkspace = {
    admin: sql`true`,
    member: sql`(${actorId} = ${actor.userId} or not ${db.oneOf(type, [...ofManagers])})`,
    guest: sql`(${subjectId} = ${actor.userId} or ${db.oneOf(type, [...ofEverybody])})`,
  }[actor.role]
  return sql`(case when ${projectId} is null then ${isTold} and ${ofWorkspace} else ${isProjectSeen(ctx, projectId)} end)`
}

const isProjectSeen = (ctx: Ctx, id: SQL) =>
  sql`(select 1 from ${ctx.db.tables.projects} p where p.workspace_id = ${ctx.workspaceId} and p.id = ${id} ${andVisible(ctx)}) is not null`

/** Which entries the actor is told: those they see, and those by which something went out of their sight. */
function told(ctx: Ctx): SQL {
  const { db, workspaceId, actor } = ctx
  if (actor.role === "owner") return seen(ctx)
  const { events } = db.tables
  const data = (part: "before" | "after", field: string) =>
    sql`(select ${db.jsonAt(sql`v.data`, [part, field])} from ${events} v where v.workspace_id = ${workspaceId} and v.seq = entry.id)`
  const isClosed = actor.role === "guest" ? sql`false` : sql`${data("after", "visibility")} = 'private'`
  return sql`(${seen(ctx)} or case entry.type when 'task.moved' then ${isProjectSeen(ctx, sql`entry.previous_project_id`)} when 'project.member_removed' then ${data("before", "userId")} = ${actor.userId} when 'project.updated' then ${isClosed} else false end)`
}

// ---- feeds, newest first ----

type Page = { data: ActivityView[]; next: string | null }

type Feed = {
  /** What its cursors are for. */
  name: string
  within: SQL
  key: SQL
  residual: SQL | null
  /** Finds something when the actor sees what the feed is of. */
  isHere: SQL
}

/** What happened in the workspace, as far as the actor may see it. */
export async function listActivity(ctx: Ctx, query: ActivityQueryInput): Promise<Page> {
  permit(ctx, "event:read")
  const feed = { name: "workspace", within: sql`true`, key: bySeq, residual: seen(ctx), isHere: sql`1` }
  return readFeed(ctx, feed, query, "workspace")
}

/** What happened in a project. Of what has moved, what happened elsewhere is not among it. */
export async function listProjectActivity(ctx: Ctx, projectId: string, query: ActivityQueryInput): Promise<Page> {
  permit(ctx, "event:read")
  permit(ctx, "project:read")
  if (!idPattern("project").test(projectId)) throw notFound("project")
  const { db, workspaceId } = ctx
  const { projects } = db.tables
  const isHere = sql`(select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = ${projectId} and p.deleted_at is null ${andVisible(ctx)})`
  const within = sql`e.project_id = ${projectId}`
  // Who sees the project sees whatever happened in it.
  return readFeed(ctx, { name: projectId, within, key: bySeq, residual: null, isHere }, query, "project")
}

/** What happened to a task, but for what happened to it where the actor does not see. */
export async function listTaskActivity(ctx: Ctx, idOrKey: string, query: ActivityQueryInput): Promise<Page> {
  permit(ctx, "event:read")
  permit(ctx, "task:read")
  const { db, workspaceId } = ctx
  const { projects, tasks } = db.tables
  const taskId = taskNamed(ctx, idOrKey)
  const inProject = sql`(select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = t.project_id and p.deleted_at is null ${andVisible(ctx)})`
  const isHere = sql`(select 1 from ${tasks} t where t.workspace_id = ${workspaceId} and t.id = ${taskId} and t.deleted_at is null and ${inProject} is not null)`
  const within = sql`e.subject_id = ${taskId}`
  // By revision, which grows as the number does: it is what the index of a subject is ordered by.
  return readFeed(ctx, { name: idOrKey, within, key: sql`e.revision`, residual: seen(ctx), isHere }, query, "task")
}

/** The id of a task by its id, its key, or a key that it had. */
function taskNamed({ db, workspaceId }: Ctx, idOrKey: string): SQL {
  mustNameTask(idOrKey)
  if (idPattern("task").test(idOrKey)) return sql`${idOrKey}`
  const { tasks, taskAliases } = db.tables
  const current = sql`(select t.id from ${tasks} t where t.workspace_id = ${workspaceId} and t.key = ${idOrKey})`
  const former = sql`(select a.task_id from ${taskAliases} a where a.workspace_id = ${workspaceId} and a.key = ${idOrKey})`
  return sql`coalesce(${current}, ${former})`
}

/** One page in one round trip. Throws `not_found` for what the actor does not see. */
async function readFeed(ctx: Ctx, feed: Feed, { limit, cursor }: ActivityQueryInput, what: string): Promise<Page> {
  const { name, within, key, residual, isHere } = feed
  const list = `${ctx.workspaceId} activity ${name}`
  const place = parseCursor(list, "number", cursor)
  const range = place ? sql`${within} and ${key} < ${place.k}` : within
  const { db, workspaceId } = ctx
  const { events, heads, members } = db.tables
  const actorName = sql<
    string | null
  >`(select m.name from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${events.actorId})`
  const [rows, [head]] = await db.read(
    selectEntries(
      ctx,
      { within: range, key, direction: "desc", limit, residual },
      { actorName: actorName.as("actor_name") },
    ),
    db.sql
      .select({ isHere: sql<number | null>`${isHere}`.as("is_here") })
      .from(heads)
      .where(eq(heads.workspaceId, workspaceId)),
  )
  if (!head?.isHere) throw notFound(what)
  const page = cutPage(rows.map(placed), limit, "desc")
  return { data: page.rows.map(activityView), next: page.next && formatCursor(list, page.next) }
}
