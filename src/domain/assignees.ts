import { and, eq, sql } from "drizzle-orm"
import { given, insertRows } from "../db/rows.ts"
import { members, taskAssignees } from "../db/sqlite.ts"
import type { Ctx } from "./ctx.ts"
import type { FieldError } from "./errors.ts"

export type Assigned = { workspaceId: string; taskId: string; userId: string; dueSort: number }

/** Only members can be assigned: for anybody else `user_id` comes out null, which refuses the commit. */
export function insertAssignees(ctx: Ctx, rows: Assigned[]) {
  const member = sql`(select m.user_id from ${members} m where m.workspace_id = ${ctx.workspaceId} and m.user_id = ${given("userId")})`
  return insertRows(ctx.db.sql, taskAssignees, rows, { computed: { userId: member } })
}

/** Which of the users are members. */
export const findMembers = (ctx: Ctx, userIds: string[]) =>
  ctx.db.sql
    .select({ id: members.userId })
    .from(members)
    .where(
      and(
        eq(members.workspaceId, ctx.workspaceId),
        sql`${members.userId} in (select value from json_each(${JSON.stringify(userIds)}))`,
      ),
    )

/** An error for each assignee who is no member; `at` points to what they were to be assigned to. */
export const strangers = (assigneeIds: string[], memberIds: Set<string>, at: string): FieldError[] =>
  assigneeIds.flatMap((id, index) =>
    memberIds.has(id) ? [] : [{ pointer: `${at}/assigneeIds/${index}`, detail: "There is no such member" }],
  )
