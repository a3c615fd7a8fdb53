import { and, eq, getTableColumns, type SQL, sql } from "drizzle-orm"
import type { EventView } from "../contracts/events.ts"
import type { Row } from "../db/tables.ts"
import { rfc3339 } from "../lib/time.ts"
import { reaches } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import type { EventType } from "./events.ts"
import { cutPage, examinedRows } from "./lists.ts"
import { permit } from "./permissions.ts"

/** What concerns only those who manage the workspace's people: addresses, and who holds keys. */
const ofManagers: EventType[] = [
  "invitation.created",
  "invitation.resent",
  "invitation.accepted",
  "invitation.revoked",
  "api_key.created",
  "api_key.updated",
  "api_key.revoked",
]

// An entry, the project it was in, and who is named there.
const readsPerEntry = 5

/**
 * The log after `after`, oldest first, as far as the actor may see it. `next` is the last number examined: a page may be
 * short or empty and still have more behind it.
 */
export async function listEvents(
  ctx: Ctx,
  { after, limit }: { after: number; limit: number },
): Promise<{ data: EventView[]; next: number }> {
  permit(ctx, "event:read")
  const { db, workspaceId } = ctx
  const { events } = db.tables
  const ofEntry = sql`e.type, e.actor_id, e.subject_id, e.project_id, e.previous_project_id`
  const page = db.scanPage({
    entries: (count, isNarrow) =>
      sql`select e.seq as id, e.seq as k ${isNarrow ? sql`` : sql`, ${ofEntry}`} from ${events} e where e.workspace_id = ${workspaceId} and e.seq > ${after} order by e.seq limit ${count}`,
    residual: seen(ctx),
    direction: "asc",
    limit,
    window: Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / readsPerEntry)),
  })
  const [rows] = await db.read(
    db.sql
      .select({
        ...getTableColumns(events),
        k: sql<number>`page.k`.as("k"),
        isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
      })
      .from(sql`${page} page`)
      .innerJoin(events, and(eq(events.workspaceId, workspaceId), eq(events.seq, sql`page.id`))),
  )
  const cut = cutPage(
    rows.map((row) => ({ ...row, id: "" })),
    limit,
    "asc",
  )
  const last = cut.next?.k ?? cut.rows.at(-1)?.k ?? after
  return { data: cut.rows.map(eventView), next: Number(last) }
}

/** Which entries the actor may see: null for an owner, who sees them all. */
function seen(ctx: Ctx): SQL | null {
  const { db, workspaceId, actor } = ctx
  const { projects } = db.tables
  const condition = reaches(ctx, "view", { id: sql`p.id`, visibility: sql`p.visibility` })
  if (!condition) return null
  // Where it is now decides: what was moved out of sight is out of sight, with all that it was.
  const ofProject = sql`(select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = entry.project_id and ${condition}) is not null`
  const ofWorkspace = {
    owner: sql`true`,
    admin: sql`true`,
    member: sql`(entry.actor_id = ${actor.userId} or not ${db.oneOf(sql`entry.type`, ofManagers)})`,
    guest: sql`entry.subject_id = ${actor.userId}`,
  }[actor.role]
  return sql`(case when entry.project_id is null then ${ofWorkspace} else ${ofProject} end)`
}

function eventView(row: Row<"events">): EventView {
  const { seq, type, subjectId, subjectKey, revision, actorId, actorRole, source, at } = row
  const { projectId, previousProjectId, data } = row
  const who = { actorId, actorRole, source }
  return { seq, type, subjectId, subjectKey, revision, ...who, projectId, previousProjectId, data, at: rfc3339(at) }
}
