import { and, eq, getTableColumns, sql } from "drizzle-orm"
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
  const order: Order = { key: by === "created" ? null : sql`t.updated_at`, id: sql`t.id`, direction }
  const page = db.scanPage({
    entries: (count, isNarrow) =>
      sql`select t.id, ${order.key ?? order.id} as k ${isNarrow ? sql`` : sql`, t.visibility`} from ${projects} t where t.workspace_id = ${workspaceId} and t.deleted_at is null and ${beyond(order, place)} order by ${orderBy(order)} limit ${count}`,
    residual: reaches(ctx, "view", { id: sql`entry.id`, visibility: sql`entry.visibility` }),
    direction,
    limit,
    window: Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / readsPerEntry)),
  })
  const [rows, [head]] = await db.read(
    db.sql
      .select({
        ...getTableColumns(projects),
        k: sql<string | number>`page.k`.as("k"),
        isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
      })
      .from(sql`${page} page`)
      .innerJoin(projects, and(eq(projects.workspaceId, workspaceId), eq(projects.id, sql`page.id`))),
    db.sql.select({ seq: heads.seq }).from(heads).where(eq(heads.workspaceId, workspaceId)),
  )
  const cut = cutPage(rows, limit, direction)
  return {
    data: cut.rows.map(projectView),
    next: cut.next && formatCursor(list, cut.next),
    seq: head?.seq ?? 0,
  }
}
