import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import type { TaskView } from "../contracts/tasks.ts"
import { CommitRefused } from "../db/commit.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import { expectAccess, namedLevel } from "./access.ts"
import { memberSees } from "./assignees.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, invalid } from "./errors.ts"
import { commit, commitNothing, type DomainChange, ProjectHidden, untilUncontested } from "./events.ts"
import { permit } from "./permissions.ts"
import { type Expected, expectRevision } from "./revisions.ts"
import { isHere, selectTask, taskFrom } from "./task-lookup.ts"
import { type Task, taskView } from "./task-rows.ts"

/** How many subtasks, near and far, may come along. */
const mostBelow = 100

type Moved = Pick<Task, "id" | "key" | "revision">

/**
 * Moves a task to another project with all that hangs under it. Each gets a number there, and keeps its old key as
 * another name. The task itself leaves its parent, which stays.
 */
export async function moveTask(ctx: Ctx, idOrKey: string, projectId: string, expected: Expected): Promise<TaskView> {
  permit(ctx, "task:write")
  return untilUncontested(async () => {
    const [[row], below, [target]] = await ctx.db.read(
      selectTask(ctx, idOrKey),
      selectBelow(ctx, idOrKey),
      selectTarget(ctx, projectId),
    )
    const task = taskFrom(ctx, row, "task:write")
    expectRevision(expected, task.revision)
    expectTarget(ctx, target)
    if (task.projectId === projectId) {
      await commitNothing(ctx, "task:write", { kind: "changed", body: taskView(task) })
      return taskView(task)
    }
    if (below.length > mostBelow) {
      throw new DomainError("conflict", `More than ${mostBelow} subtasks would come along: move some of them first`)
    }
    const moved = [task, ...below.toSorted((a, b) => (a.id < b.id ? -1 : 1))]
    const at = ctx.now()
    // The number is taken in the commit: until then nobody knows the key, and the receipt learns it from the event.
    const after = { ...task, projectId, parentId: null, key: "", updatedAt: at, revision: task.revision + 1 }
    try {
      const { subjects } = await commit(ctx, {
        permission: "task:write",
        at,
        rows: moveRows(ctx, task, moved, { projectId, at }),
        changes: moved.map((each) => taskMoved(each, task, projectId)),
        answer: { kind: "moved", body: taskView(after) },
      })
      return taskView({ ...after, key: subjects.find(({ id }) => id === task.id)?.key ?? "" })
    } catch (error) {
      await explainMove(ctx, error, { task, moved, projectId })
      throw error
    }
  })
}

/** What hangs under a task, near and far, and one more than may come along. */
function selectBelow(ctx: Ctx, idOrKey: string) {
  const { db, workspaceId } = ctx
  const { tasks } = db.tables
  const root = db.sql.select({ id: tasks.id }).from(tasks).where(isHere(ctx, idOrKey))
  const below = sql`with recursive down (id, key, revision) as (
    select x.id, x.key, x.revision from ${tasks} x where x.workspace_id = ${workspaceId} and x.parent_id = (select q.id from ${root} q) and x.deleted_at is null
    union
    select y.id, y.key, y.revision from down ${db.joinEach(tasks, "y", sql`y.workspace_id = ${workspaceId} and y.parent_id = down.id and y.deleted_at is null`)}
  ) select down.id, down.key, down.revision from down limit ${mostBelow + 1}`
  return db.sql
    .select({
      id: sql<string>`below.id`.as("id"),
      key: sql<string>`below.key`.as("key"),
      revision: sql<number>`below.revision`.mapWith(Number).as("revision"),
    })
    .from(sql`(${below}) below`)
}

function selectTarget(ctx: Ctx, id: string) {
  const { projects } = ctx.db.tables
  return ctx.db.sql
    .select({ visibility: projects.visibility, named: namedLevel(ctx, sql`${projects.id}`).as("named_level") })
    .from(projects)
    .where(and(eq(projects.workspaceId, ctx.workspaceId), eq(projects.id, id), isNull(projects.deletedAt)))
}

const noTarget = () => invalid({ pointer: "/projectId", detail: "There is no such project" })

/** The body names the project, so one that the actor does not see is a wrong field; one they may not change is refused. */
function expectTarget(ctx: Ctx, target: Parameters<typeof expectAccess>[2] | undefined): void {
  if (!target) throw noTarget()
  try {
    expectAccess(ctx, "task:write", target, "project")
  } catch (error) {
    throw error instanceof DomainError && error.code === "not_found" ? noTarget() : error
  }
}

function moveRows(ctx: Ctx, task: Task, moved: Moved[], { projectId, at }: { projectId: string; at: number }) {
  const { db, workspaceId } = ctx
  const { projects, taskAliases, tasks } = db.tables
  const { given } = db
  const numbered = moved.map(({ id, revision }, index) => ({ id, revision, ahead: moved.length - 1 - index }))
  const rows = db.givenRows(numbered, { id: "text", revision: "integer", ahead: "integer" })
  const ids = moved.map(({ id }) => id)
  const isLive = sql`(select 1 from ${projects} o where o.workspace_id = ${workspaceId} and o.id = ${task.projectId} and o.deleted_at is null) is not null`
  // What was hung under one of them in the meantime would be left behind.
  const isWhole = sql`(select 1 from ${tasks} c where c.workspace_id = ${workspaceId} and ${db.oneOf(sql`c.parent_id`, ids)} and c.deleted_at is null and not ${db.oneOf(sql`c.id`, ids)} limit 1) is null`
  const statements: Statement[] = [
    db.sql
      .update(projects)
      .set({ taskCounter: sql`${projects.taskCounter} + ${moved.length}` })
      .where(and(eq(projects.workspaceId, workspaceId), eq(projects.id, projectId), isNull(projects.deletedAt))),
    insertRows(
      db,
      taskAliases,
      moved.map(({ id, key }) => ({ workspaceId, key, taskId: id })),
    ),
    db.sql
      .update(tasks)
      .set({
        projectId,
        key: sql`(select p.key || '-' || (p.task_counter - ${given("ahead")}) from ${rows} join ${projects} p on p.workspace_id = ${workspaceId} and p.id = ${projectId} and p.deleted_at is null where ${given("id")} = ${tasks.id})`,
        parentId: sql`case when ${tasks.id} = ${task.id} then null else ${tasks.parentId} end`,
        updatedAt: at,
        revision: sql`${tasks.revision} + 1`,
      })
      .where(
        and(
          eq(tasks.workspaceId, workspaceId),
          db.oneOf(tasks.id, ids),
          eq(tasks.projectId, task.projectId),
          isNull(tasks.deletedAt),
          sql`${tasks.revision} = (select ${given("revision")} from ${rows} where ${given("id")} = ${tasks.id})`,
          isLive,
          isWhole,
          sql`(${blindOf(ctx, projectId, sql`a.task_id = ${tasks.id}`)} limit 1) is null`,
        ),
      ),
  ]
  return statements
}

/** The members who are assigned and do not see the project: `of` says to which tasks `a.task_id`. */
function blindOf(ctx: Ctx, projectId: string, of: SQL): SQL {
  const { db, workspaceId } = ctx
  const { members, projects, taskAssignees } = db.tables
  return sql`select m.name from ${taskAssignees} a join ${members} m on m.workspace_id = ${workspaceId} and m.user_id = a.user_id and m.removed_at is null join ${projects} p on p.workspace_id = ${workspaceId} and p.id = ${projectId} where a.workspace_id = ${workspaceId} and ${of} and not ${memberSees(ctx)}`
}

function taskMoved({ id, key, revision }: Moved, task: Task, projectId: string): DomainChange {
  const parent =
    id === task.id && task.parentId !== null ? { before: { parentId: task.parentId }, after: { parentId: null } } : null
  return {
    type: "task.moved",
    subject: "task",
    subjectId: id,
    revision: revision + 1,
    projectId,
    previousProjectId: task.projectId,
    // The new key stands on the event itself.
    data: { before: { projectId: task.projectId, key, ...parent?.before }, after: { projectId, ...parent?.after } },
  }
}

/** Throws what the caller can mend, or that it was a race. */
async function explainMove(
  ctx: Ctx,
  error: unknown,
  { task, moved, projectId }: { task: Task; moved: Moved[]; projectId: string },
): Promise<void> {
  const hidden = error instanceof ProjectHidden ? error.projectIds : new Set()
  if (hidden.has(projectId) && !hidden.has(task.projectId)) throw noTarget()
  if (!(error instanceof CommitRefused)) return
  const { reason } = error.refusal
  // The project was deleted in the same moment, or a key was taken by a move that went before.
  if (reason === "not_null" || reason === "unique") throw new CommitRefused({ reason: "row" }, error.cause)
  if (reason !== "row") return
  const ids = moved.map(({ id }) => id)
  const [blind] = await ctx.db.read(
    ctx.db.sql
      .select({ name: sql<string>`blind.name`.as("name") })
      .from(sql`(${blindOf(ctx, projectId, ctx.db.oneOf(sql`a.task_id`, ids))} limit 20) blind`),
  )
  if (blind.length === 0) return
  const names = [...new Set(blind.map(({ name }) => name))].join(", ")
  throw invalid({ pointer: "/projectId", detail: `${names}: assigned, and cannot see this project` })
}
