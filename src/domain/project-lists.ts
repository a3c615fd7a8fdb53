import { and, eq, getTableColumns, isNull, type SQL, sql } from "drizzle-orm"
import type { ProjectQueryInput, ProjectView, projectSorts } from "../contracts/projects.ts"
import type { Place } from "../db/scan.ts"
import { sees } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import {
  beyond,
  cutPage,
  type Direction,
  examinedRows,
  formatCursor,
  type Order,
  orderBy,
  parseCursor,
  parseSort,
} from "./lists.ts"
import { permit } from "./permissions.ts"
import { projectView } from "./projects.ts"

type Sort = (typeof projectSorts)[number]

// An entry is read once for the page and once for the boundary; then whether the actor is named there.
const readsPerEntry = 3

/** The projects that the actor sees: one page in one round trip. */
export async function listProjects(
  ctx: Ctx,
  { sort, limit, cursor }: ProjectQueryInput,
): Promise<{ data: ProjectView[]; next: string | null }> {
  permit(ctx, "project:read")
  const { by, direction } = parseSort<Sort>(sort)
  const list = `${ctx.workspaceId} projects ${sort}`
  const place = parseCursor(list, by === "created" ? "string" : "number", cursor)
  const bounds = { by, direction, limit, place }
  const residual = sees(ctx, { id: sql`entry.id`, visibility: sql`entry.visibility` })
  const [rows] = await ctx.db.read(residual ? selectSeen(ctx, residual, bounds) : selectAll(ctx, bounds))
  const cut = cutPage(rows, limit, direction)
  return {
    data: cut.rows.map(projectView),
    next: cut.next && formatCursor(list, cut.next),
  }
}

type Bounds = { by: Sort; direction: Direction; limit: number; place: Place | null }

/** For whoever sees every project: the rows where they stand, for there is nothing to look past. */
function selectAll({ db, workspaceId }: Ctx, { by, direction, limit, place }: Bounds) {
  const { projects } = db.tables
  const order = orderOf(by, direction, sql`${projects.id}`, sql`${projects.updatedAt}`)
  return db.sql
    .select({
      ...getTableColumns(projects),
      k: sql<string | number>`${order.key ?? order.id}`.as("k"),
      isBoundary: sql<number>`0`.as("is_boundary"),
    })
    .from(projects)
    .where(and(eq(projects.workspaceId, workspaceId), isNull(projects.deletedAt), beyond(order, place)))
    .orderBy(orderBy(order))
    .limit(limit + 1)
}

/** For everybody else: no more than a window, however much of it they do not see. */
function selectSeen({ db, workspaceId }: Ctx, residual: SQL, { by, direction, limit, place }: Bounds) {
  const { projects } = db.tables
  const order = orderOf(by, direction, sql`t.id`, sql`t.updated_at`)
  const page = db.scanPage({
    entries: (count, isNarrow) =>
      sql`select t.id, ${order.key ?? order.id} as k ${isNarrow ? sql`` : sql`, t.visibility`} from ${projects} t where t.workspace_id = ${workspaceId} and t.deleted_at is null and ${beyond(order, place)} order by ${orderBy(order)} limit ${count}`,
    residual,
    isById: order.key === null,
    direction,
    limit,
    window: Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / readsPerEntry)),
  })
  return db.sql
    .select({
      ...getTableColumns(projects),
      k: sql<string | number>`page.k`.as("k"),
      isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
    })
    .from(sql`${page} page`)
    .innerJoin(projects, and(eq(projects.workspaceId, workspaceId), eq(projects.id, sql`page.id`)))
}

const orderOf = (by: Sort, direction: Direction, id: SQL, updatedAt: SQL): Order => ({
  key: by === "created" ? null : updatedAt,
  id,
  direction,
})
