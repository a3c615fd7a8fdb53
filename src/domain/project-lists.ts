import { and, eq, getTableColumns, isNull, type SQL, sql } from "drizzle-orm"
import type { ProjectQueryInput, ProjectView, projectSorts } from "../contracts/projects.ts"
import { reaches } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { beyond, cutPage, examinedRows, formatCursor, type Order, orderBy, parseCursor, parseSort } from "./lists.ts"
import { permit } from "./permissions.ts"
import { projectView } from "./projects.ts"

type Sort = (typeof projectSorts)[number]

// An entry is read once for the page and once for the boundary; then whether the actor is named there.
const readsPerEntry = 3

/** The projects that the actor sees: one page in one round trip. */
export async function listProjects(
  ctx: Ctx,
  { sort, limit, cursor }: ProjectQueryInput,
): Promise<{ data: ProjectView[]; next: string | null; seq: number }> {
  permit(ctx, "project:read")
  const { by, direction } = parseSort<Sort>(sort)
  const list = `${ctx.workspaceId} projects ${sort}`
  const place = parseCursor(list, by === "created" ? "string" : "number", cursor)
  const { db, workspaceId } = ctx
  const { projects, heads } = db.tables
  const residual = reaches(ctx, "view", { id: sql`entry.id`, visibility: sql`entry.visibility` })
  const columns = getTableColumns(projects)
  const ofWorkspace = eq(projects.workspaceId, workspaceId)
  const orderOf = (id: SQL, updatedAt: SQL): Order => ({ key: by === "created" ? null : updatedAt, id, direction })
  const own = orderOf(sql`${projects.id}`, sql`${projects.updatedAt}`)
  // Whoever sees them all reads the rows where they stand: nothing is to be looked past.
  const whole = db.sql
    .select({
      ...columns,
      k: sql<string | number>`${own.key ?? own.id}`.as("k"),
      isBoundary: sql<number>`0`.as("is_boundary"),
    })
    .from(projects)
    .where(and(ofWorkspace, isNull(projects.deletedAt), beyond(own, place)))
    .orderBy(orderBy(own))
    .limit(limit + 1)
  const order = orderOf(sql`t.id`, sql`t.updated_at`)
  const page = db.scanPage({
    entries: (count, isNarrow) =>
      sql`select t.id, ${order.key ?? order.id} as k ${isNarrow ? sql`` : sql`, t.visibility`} from ${projects} t where t.workspace_id = ${workspaceId} and t.deleted_at is null and ${beyond(order, place)} order by ${orderBy(order)} limit ${count}`,
    residual,
    direction,
    limit,
    window: Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / readsPerEntry)),
  })
  const seen = db.sql
    .select({
      ...columns,
      k: sql<string | number>`page.k`.as("k"),
      isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
    })
    .from(sql`${page} page`)
    .innerJoin(projects, and(ofWorkspace, eq(projects.id, sql`page.id`)))
  const head = db.sql.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId))
  const [rows, [at]] = residual ? await db.read(seen, head) : await db.read(whole, head)
  const cut = cutPage(rows, limit, direction)
  return {
    data: cut.rows.map(projectView),
    next: cut.next && formatCursor(list, cut.next),
    seq: at?.seq ?? 0,
  }
}
