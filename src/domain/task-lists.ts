import { and, eq, type SQL, sql } from "drizzle-orm"
import type { TaskAnswerView, TaskQueryInput, taskSorts } from "../contracts/tasks.ts"
import type { Scan } from "../db/scan.ts"
import { idPattern } from "../lib/ids.ts"
import { startOfDate } from "../lib/time.ts"
import { andVisible } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { type DomainError, invalid, notFound } from "./errors.ts"
import { beyond, cutPage, examinedRows, formatCursor, type Order, orderBy, parseCursor, parseSort } from "./lists.ts"
import { permit } from "./permissions.ts"
import { projectedView, taskSelection } from "./task-rows.ts"

type Sort = (typeof taskSorts)[number]
type ScopeKind = "workspace" | "project" | "parent" | "assignee" | "label"

/** The legal lists: each pair of scope and sort is one index in db/sqlite.ts. The first sort is the default. */
export const taskLists = {
  workspace: ["created", "updated", "due"],
  project: ["position", "created", "updated", "due"],
  parent: ["position"],
  assignee: ["due", "created"],
  label: ["created"],
} as const satisfies Record<ScopeKind, readonly [Sort, ...Sort[]]>

const keyTypes = { position: "string", created: "string", updated: "number", due: "number" } as const

type Filters = Omit<TaskQueryInput, "sort" | "limit" | "cursor" | "fields" | "include">
type Scope = { kind: ScopeKind; id: string; filters: Filters }

const assignedTo = (ctx: Pick<Ctx, "actor">, assignee: Filters["assignee"]) =>
  assignee === "me" ? ctx.actor.userId : assignee

/** The narrowest thing that the query names is the scope; whatever else it names filters. */
export function scopeOf(ctx: Pick<Ctx, "workspaceId" | "actor">, query: Filters): Scope {
  const { project, parent, assignee, label, ...rest } = query
  const assigned = assignedTo(ctx, assignee)
  if (parent) return { kind: "parent", id: parent, filters: { ...rest, project, assignee: assigned, label } }
  if (project) return { kind: "project", id: project, filters: { ...rest, assignee: assigned, label } }
  if (assigned) return { kind: "assignee", id: assigned, filters: { ...rest, label } }
  if (label) return { kind: "label", id: label, filters: rest }
  return { kind: "workspace", id: ctx.workspaceId, filters: rest }
}

function sortOf(kind: ScopeKind, asked: TaskQueryInput["sort"]) {
  const legal: readonly Sort[] = taskLists[kind]
  const sort = parseSort<Sort>(asked ?? taskLists[kind][0])
  if (!legal.includes(sort.by)) {
    const article = kind === "assignee" ? "an" : "a"
    throw invalid({ pointer: "?sort", detail: `a list of ${article} ${kind} can be sorted by ${legal.join(", ")}` })
  }
  return sort
}

const nameable = ["project", "parent", "assignee", "label"] as const
type Named = (typeof nameable)[number]

const unknown = (names: Named[]): DomainError =>
  invalid(
    ...names.map((name) => ({
      pointer: `?${name}`,
      detail: `There is no such ${name === "assignee" ? "member" : name}`,
    })),
  )

type Page = { data: TaskAnswerView[]; next: string | null }

/** One page in one round trip. Throws `invalid_input` for what is not there, an illegal sort, a foreign cursor. */
export async function listTasks(ctx: Ctx, query: TaskQueryInput, missing = unknown): Promise<Page> {
  permit(ctx, "task:read")
  const scope = scopeOf(ctx, query)
  const { by, direction } = sortOf(scope.kind, query.sort)
  const list = [ctx.workspaceId, "tasks", scope.kind, scope.id, by, direction].join(" ")
  const place = parseCursor(list, keyTypes[by], query.cursor)

  const { db } = ctx
  const { tasks, heads } = db.tables
  const { limit } = query
  const residual = residualOf(ctx, scope)
  const scan: Scan = {
    entries: entriesOf(ctx, scope, by, (order) => ({ from: beyond(order, place), orderBy: orderBy(order) }), direction),
    residual: residual.condition,
    isById: by === "created",
    direction,
    limit,
    window: windowOf(limit, residual.reads + readsPerEntry[scope.kind]),
  }
  const [rows, [head]] = await db.read(
    db.sql
      .select({
        ...taskSelection(db, query, ctx.actor),
        k: sql<string | number>`page.k`.as("k"),
        isBoundary: sql<number>`page.is_boundary`.as("is_boundary"),
      })
      .from(sql`${db.scanPage(scan)} page`)
      .innerJoin(tasks, and(eq(tasks.workspaceId, ctx.workspaceId), eq(tasks.id, sql`page.id`))),
    db.sql
      .select({ one: sql<number>`1`.as("one"), ...presenceOf(ctx, query) })
      .from(heads)
      .where(eq(heads.workspaceId, ctx.workspaceId)),
  )
  const absent = nameable.filter((name) => query[name] && !head?.[name])
  if (absent.length > 0) throw missing(absent)

  const page = cutPage(rows, limit, direction)
  return {
    data: page.rows.map((row) => projectedView(row, query)),
    next: page.next && formatCursor(list, page.next),
  }
}

/** The list of one project, which its path names: a project that is not there is `not_found`. */
export async function listProjectTasks(ctx: Ctx, projectId: string, query: TaskQueryInput): Promise<Page> {
  if (!idPattern("project").test(projectId)) throw notFound("project")
  return listTasks(ctx, { ...query, project: projectId }, (absent) =>
    absent.includes("project") ? notFound("project") : unknown(absent),
  )
}

// ---- the scan ----

// An entry is read once for the page and once for the boundary; that of an assignee or a label also joins its task.
const readsPerEntry = { workspace: 2, project: 2, parent: 2, assignee: 3, label: 3 } as const

// Two reads are set aside for each row of the page: whom it is assigned to, and which labels it has. The window is never
// smaller than the page and one more, so that a list without filters fills its pages and needs no boundary.
const windowOf = (limit: number, reads: number) => Math.max(limit + 1, Math.floor((examinedRows - 2 * limit) / reads))

const sortColumns = {
  position: sql`t.position`,
  created: null,
  updated: sql`t.updated_at`,
  due: sql`t.due_sort`,
} as const

// What the residual filters look at.
const filterColumns = sql`t.status, t.priority, t.due_sort, t.updated_at, t.project_id, t.deleted_at`

function entriesOf(
  ctx: Ctx,
  { kind, id }: Scope,
  by: Sort,
  bounds: (order: Order) => { from: SQL; orderBy: SQL },
  direction: Order["direction"],
): Scan["entries"] {
  const { tasks, taskAssignees, taskLabels } = ctx.db.tables
  if (kind === "assignee" || kind === "label") {
    const owned = {
      assignee: sql`${taskAssignees} a where a.workspace_id = ${ctx.workspaceId} and a.user_id = ${id}`,
      label: sql`${taskLabels} a where a.workspace_id = ${ctx.workspaceId} and a.label_id = ${id}`,
    }[kind]
    const key = by === "due" ? sql`a.due_sort` : null
    const range = bounds({ key, id: sql`a.task_id`, direction })
    return (limit, isNarrow) => {
      const entries = sql`select a.task_id as id, ${key ?? sql`a.task_id`} as k from ${owned} and ${range.from} order by ${range.orderBy} limit ${limit}`
      // Limited before the join, so that no plan can join what the limit would drop.
      return isNarrow
        ? entries
        : sql`select owned.id, owned.k, ${filterColumns} from (${entries}) owned ${ctx.db.joinInOrder} ${tasks} t on t.workspace_id = ${ctx.workspaceId} and t.id = owned.id`
    }
  }
  const key = sortColumns[by]
  const range = bounds({ key, id: sql`t.id`, direction })
  const here = sql`t.deleted_at is null`
  const within = {
    // By creation this is the primary key, where the deleted stand too: skipping them here would not be bounded.
    workspace: key ? here : sql`true`,
    project: sql`t.project_id = ${id} and ${here}`,
    parent: sql`t.parent_id = ${id} and ${here}`,
  }[kind]
  return (limit, isNarrow) =>
    sql`select t.id, ${key ?? sql`t.id`} as k ${isNarrow ? sql`` : sql`, ${filterColumns}`} from ${tasks} t where t.workspace_id = ${ctx.workspaceId} and ${within} and ${range.from} order by ${range.orderBy} limit ${limit}`
}

/** The conditions that no index decides, over the columns of an entry, and how many rows they read per entry. */
function residualOf(ctx: Ctx, { kind, filters }: Scope): { condition: SQL | null; reads: number } {
  const { status, priority, dueBefore, dueAfter, updatedAfter, project, assignee, label } = filters
  const { oneOf, tables } = ctx.db
  const { projects, taskAssignees, taskLabels } = tables
  const plain = [
    kind === "workspace" && sql`entry.deleted_at is null`,
    status && oneOf(sql`entry.status`, status),
    priority && oneOf(sql`entry.priority`, priority.map(Number)),
    dueBefore && sql`entry.due_sort < ${pointInTime(dueBefore)}`,
    dueAfter && sql`entry.due_sort >= ${pointInTime(dueAfter)}`,
    updatedAfter && sql`entry.updated_at > ${pointInTime(updatedAfter)}`,
    project && sql`entry.project_id = ${project}`,
  ].filter(isCondition)
  // These look elsewhere, so they come last: only entries that pass everything before are looked up.
  const lookups = [
    assignee &&
      isFound(
        sql`${taskAssignees} a where a.workspace_id = ${ctx.workspaceId} and a.task_id = entry.id and a.user_id = ${assignee}`,
      ),
    label &&
      isFound(
        sql`${taskLabels} x where x.workspace_id = ${ctx.workspaceId} and x.task_id = entry.id and x.label_id = ${label}`,
      ),
    (kind === "workspace" || kind === "assignee" || kind === "label") &&
      isFound(
        sql`${projects} p where p.workspace_id = ${ctx.workspaceId} and p.id = entry.project_id and p.deleted_at is null ${andVisible(ctx)}`,
      ),
  ].filter(isCondition)
  const conditions = [...plain, ...lookups]
  return {
    condition: conditions.length > 0 ? sql.join(conditions, sql` and `) : null,
    // Of a project that is not open to everybody, it is also asked who is named there.
    reads: lookups.length + (ctx.actor.role === "owner" ? 0 : 1),
  }
}

// Not `exists`, which Postgres may turn into a join with everything that could be found.
const isFound = (from: SQL) => sql`(select 1 from ${from}) is not null`

const isCondition = (condition: unknown): condition is SQL => typeof condition === "object"

const pointInTime = (value: string) => (value.length === 10 ? startOfDate(value) : Date.parse(value))

/** What tells, in the trip of the page, whether the things that the query names are there. */
function presenceOf(ctx: Ctx, { project, parent, assignee, label }: Pick<Filters, Named>) {
  const { labels, projects, tasks, members } = ctx.db.tables
  const isThere = (found: SQL) => sql<number>`exists (select 1 from ${found})`
  const ofWorkspace = sql`where x.workspace_id = ${ctx.workspaceId}`
  const ofLiveProject = isFound(
    sql`${projects} p where p.workspace_id = x.workspace_id and p.id = x.project_id and p.deleted_at is null ${andVisible(ctx)}`,
  )
  const lookups = {
    project: sql`${projects} p where p.workspace_id = ${ctx.workspaceId} and p.id = ${project} and p.deleted_at is null ${andVisible(ctx)}`,
    parent: sql`${tasks} x ${ofWorkspace} and x.id = ${parent} and x.deleted_at is null and ${ofLiveProject}`,
    assignee: sql`${members} x ${ofWorkspace} and x.user_id = ${assignedTo(ctx, assignee)}`,
    label: sql`${labels} x ${ofWorkspace} and x.id = ${label} and x.deleted_at is null`,
  }
  return {
    ...(project && { project: isThere(lookups.project).as("project") }),
    ...(parent && { parent: isThere(lookups.parent).as("parent") }),
    ...(assignee && { assignee: isThere(lookups.assignee).as("assignee") }),
    ...(label && { label: isThere(lookups.label).as("label") }),
  }
}
