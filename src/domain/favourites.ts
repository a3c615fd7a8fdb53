import { and, eq, getTableColumns, isNull, sql } from "drizzle-orm"
import type { FavouriteQueryInput, ProjectView } from "../contracts/projects.ts"
import { insertRows } from "../db/rows.ts"
import { idPattern } from "../lib/ids.ts"
import { andVisible, sees } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { noLongerMember, notFound } from "./errors.ts"
import { commitNothing, untilUncontested } from "./events.ts"
import { beyond, cutPage, examinedRows, formatCursor, type Order, orderBy, parseCursor } from "./lists.ts"
import { changeOfMember, commitMine, selectMyself } from "./member-rows.ts"
import { permit } from "./permissions.ts"
import { projectView } from "./projects.ts"

// The projects that somebody keeps at hand. Like what they follow, it is theirs alone.

// An entry is read once for the page and once for the boundary; then its project, and who is named there.
const readsPerEntry = 4

/** The actor's favourites that they see, by the project's id: one page in one round trip. */
export async function listFavourites(
  ctx: Ctx,
  { limit, cursor }: FavouriteQueryInput,
): Promise<{ data: ProjectView[]; next: string | null }> {
  permit(ctx, "project:read")
  const { db, workspaceId, actor } = ctx
  const list = `${workspaceId} favourites ${actor.userId}`
  const place = parseCursor(list, "string", cursor)
  const { favourites, projects } = db.tables
  const order: Order = { key: null, id: sql`f.project_id`, direction: "asc" }
  const page = db.scanPage({
    entries: (count) =>
      sql`select f.project_id as id, f.project_id as k from ${favourites} f where f.workspace_id = ${workspaceId} and f.user_id = ${actor.userId} and ${beyond(order, place)} order by ${orderBy(order)} limit ${count}`,
    residual: sql`(select 1 from ${projects} p where p.workspace_id = ${workspaceId} and p.id = entry.id and p.deleted_at is null ${andVisible(ctx)}) is not null`,
    isById: true,
    direction: "asc",
    limit,
    window: Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / readsPerEntry)),
  })
  const [rows] = await db.read(
    db.sql
      .select({
        ...getTableColumns(projects),
        k: sql<string>`page.k`.as("k"),
        isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
      })
      .from(sql`${page} page`)
      .innerJoin(projects, and(eq(projects.workspaceId, workspaceId), eq(projects.id, sql`page.id`))),
  )
  const cut = cutPage(rows, limit, "asc")
  return { data: cut.rows.map(projectView), next: cut.next && formatCursor(list, cut.next) }
}

/** Makes a project that the actor sees a favourite of theirs, or none any more. What is so already changes nothing. */
export async function favour(ctx: Ctx, projectId: string, isWanted: boolean): Promise<void> {
  permit(ctx, "project:read")
  permit(ctx, "profile:write")
  if (!idPattern("project").test(projectId)) throw notFound("project")
  const { db, workspaceId, actor } = ctx
  const { favourites, projects } = db.tables
  const isThis = and(
    eq(favourites.workspaceId, workspaceId),
    eq(favourites.userId, actor.userId),
    eq(favourites.projectId, projectId),
  )
  await untilUncontested(async () => {
    const [[project], [favourite], [me]] = await db.read(
      db.sql
        .select({ id: projects.id })
        .from(projects)
        .where(
          and(
            eq(projects.workspaceId, workspaceId),
            eq(projects.id, projectId),
            isNull(projects.deletedAt),
            sees(ctx, { id: sql`${projects.id}`, visibility: sql`${projects.visibility}` }) ?? undefined,
          ),
        ),
      db.sql.select({ id: favourites.projectId }).from(favourites).where(isThis),
      selectMyself(ctx),
    )
    if (!project) throw notFound("project")
    if (!me) throw noLongerMember(undefined)
    if (Boolean(favourite) === isWanted) return commitNothing(ctx, "profile:write", { kind: "empty" })
    const at = ctx.now()
    const row = { workspaceId, userId: actor.userId, projectId, createdAt: at }
    await commitMine(ctx, me, {
      permission: "project:read",
      about: { projectId, level: "view" },
      at,
      row: isWanted ? insertRows(db, favourites, [row]) : db.sql.delete(favourites).where(isThis),
      change: isWanted
        ? changeOfMember(me, "member.favourite_added", { before: null, after: { projectId } })
        : changeOfMember(me, "member.favourite_removed", { before: { projectId }, after: null }),
    })
  })
}
