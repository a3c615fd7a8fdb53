import { and, eq, isNull, sql } from "drizzle-orm"
import { insertRows } from "../db/rows.ts"
import type { Ctx } from "./ctx.ts"
import type { FieldError } from "./errors.ts"

export type Assigned = { workspaceId: string; taskId: string; userId: string; dueSort: number }

/** Only members can be assigned: for anybody else `user_id` comes out null, which refuses the commit. */
export function insertAssignees({ db, workspaceId }: Ctx, rows: Assigned[]) {
  const { members, taskAssignees } = db.tables
  const member = sql`(select m.user_id from ${members} m where m.workspace_id = ${workspaceId} and m.user_id = ${db.given("userId")} and m.removed_at is null)`
  return insertRows(db, taskAssignees, rows, { computed: { userId: member } })
}

/** Which of the users are members. */
export function findMembers({ db, workspaceId }: Ctx, userIds: string[]) {
  const { members } = db.tables
  return db.sql
    .select({ id: members.userId })
    .from(members)
    .where(and(eq(members.workspaceId, workspaceId), isNull(members.removedAt), db.oneOf(members.userId, userIds)))
}

/** An error for each assignee who is no member; `at` points to what they were to be assigned to. */
export const strangers = (assigneeIds: string[], memberIds: Set<string>, at: string): FieldError[] =>
  assigneeIds.flatMap((id, index) =>
    memberIds.has(id) ? [] : [{ pointer: `${at}/assigneeIds/${index}`, detail: "There is no such member" }],
  )
