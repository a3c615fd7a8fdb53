import { and, eq, isNull } from "drizzle-orm"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import type { Ctx } from "./ctx.ts"
import { noLongerMember, notFound } from "./errors.ts"
import { asRace, commit, commitNothing, type DomainChange, untilUncontested } from "./events.ts"
import { changeOfMember, type Member, replaceMember } from "./member-rows.ts"
import { permit } from "./permissions.ts"
import { isFollowed } from "./task-rows.ts"
import { isHere, mustNameTask } from "./tasks.ts"

// What somebody follows is theirs: it is a change of the member, not of the task, and nobody else is told.

/** The actor's row as a member. */
export function selectMyself({ db, workspaceId, actor }: Ctx) {
  const { members } = db.tables
  return db.sql
    .select()
    .from(members)
    .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId), isNull(members.removedAt)))
}

/** Makes the actor follow a task that they see, or no longer follow it. What is so already changes nothing. */
export async function follow(ctx: Ctx, idOrKey: string, isWanted: boolean): Promise<void> {
  permit(ctx, "task:read")
  permit(ctx, "profile:write")
  mustNameTask(idOrKey)
  const { db, workspaceId, actor } = ctx
  const { taskFollowers, tasks } = db.tables
  await untilUncontested(async () => {
    const [[task], [me]] = await db.read(
      db.sql
        .select({ id: tasks.id, isFollowed: isFollowed(db, actor.userId).as("is_followed") })
        .from(tasks)
        .where(isHere(ctx, idOrKey)),
      selectMyself(ctx),
    )
    if (!task) throw notFound("task")
    if (!me) throw noLongerMember(undefined)
    if (Boolean(task.isFollowed) === isWanted) return commitNothing(ctx, "profile:write", { kind: "empty" })
    const at = ctx.now()
    const taskId = task.id
    const row = { workspaceId, taskId, userId: actor.userId, createdAt: at }
    const isThis = and(
      eq(taskFollowers.workspaceId, workspaceId),
      eq(taskFollowers.taskId, taskId),
      eq(taskFollowers.userId, actor.userId),
    )
    await commitMine(
      ctx,
      me,
      at,
      isWanted ? insertRows(db, taskFollowers, [row]) : db.sql.delete(taskFollowers).where(isThis),
      isWanted
        ? changeOfMember(me, "member.followed", { before: null, after: { taskId } })
        : changeOfMember(me, "member.unfollowed", { before: { taskId }, after: null }),
    )
  })
}

/** Commits a row that is the actor's alone. That it is there already is the work of the same person a moment ago. */
export async function commitMine(
  ctx: Ctx,
  me: Member,
  at: number,
  row: Statement,
  change: DomainChange,
): Promise<void> {
  await asRace(
    commit(ctx, {
      permission: "profile:write",
      at,
      rows: [replaceMember(ctx, me, {}), row],
      changes: [change],
      answer: { kind: "empty" },
    }),
  )
}
