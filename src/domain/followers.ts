import { and, eq } from "drizzle-orm"
import { insertRows } from "../db/rows.ts"
import type { Ctx } from "./ctx.ts"
import { noLongerMember, notFound } from "./errors.ts"
import { commitNothing, untilUncontested } from "./events.ts"
import { changeOfMember, commitMine, selectMyself } from "./member-rows.ts"
import { permit } from "./permissions.ts"
import { isHere, mustNameTask } from "./task-lookup.ts"
import { isFollowed } from "./task-rows.ts"

// What somebody follows is theirs: it is a change of the member, not of the task, and nobody else is told.

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
        .select({
          id: tasks.id,
          projectId: tasks.projectId,
          isFollowed: isFollowed(db, actor.userId).as("is_followed"),
        })
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
    await commitMine(ctx, me, {
      permission: "task:read",
      about: { projectId: task.projectId, level: "view" },
      at,
      row: isWanted ? insertRows(db, taskFollowers, [row]) : db.sql.delete(taskFollowers).where(isThis),
      change: isWanted
        ? changeOfMember(me, "member.followed", { before: null, after: { taskId } })
        : changeOfMember(me, "member.unfollowed", { before: { taskId }, after: null }),
    })
  })
}
