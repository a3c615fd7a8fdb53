import { and, eq, isNull, type SQL, sql } from "drizzle-orm"
import type { CommentView, PersonView, ReactionView } from "../contracts/comments.ts"
import { type Dialect, perDialect } from "../db/dialect.ts"
import { insertRows } from "../db/rows.ts"
import type { Row } from "../db/tables.ts"
import { idPattern } from "../lib/ids.ts"
import { rfc3339, rfc3339OrNull } from "../lib/time.ts"
import { accessTo, andVisible, expectAccess, type Visibility } from "./access.ts"
import type { Ctx } from "./ctx.ts"
import { notFound } from "./errors.ts"
import type { EventType } from "./event-types.ts"
import type { DomainChange } from "./events.ts"
import { type Permission, permit } from "./permissions.ts"

// How a comment stands in the database, in the log, and outside.

type Columns = Omit<Row<"comments">, "workspaceId">
export type Comment = Columns & { authorName: string; reactions: ReactionView[]; people: PersonView[] }

/** A comment with the project that its task is in. */
export type PlacedComment = Comment & { projectId: string }

export const reactorsShown = 50

export function commentView(comment: Comment): CommentView {
  const { id, taskId, body, mentionIds, createdBy, revision } = comment
  const reactions = comment.reactions.map((reaction) => ({
    ...reaction,
    userIds: reaction.userIds.slice(0, reactorsShown),
  }))
  return {
    id,
    taskId,
    body,
    mentionIds,
    reactions,
    author: { id: createdBy, name: comment.authorName },
    createdBy,
    revision,
    createdAt: rfc3339(comment.createdAt),
    updatedAt: rfc3339(comment.updatedAt),
    editedAt: rfc3339OrNull(comment.editedAt),
    deletedAt: rfc3339OrNull(comment.deletedAt),
  }
}

/** Everything about a comment in one row: what belongs to it comes as JSON. */
export const commentSelection = perDialect((dialect) => {
  const { comments, members } = dialect.tables
  const { jsonArray, jsonItem, jsonObject, elements } = dialect
  const ofWorkspace = sql`m.workspace_id = ${comments.workspaceId}`
  const isAuthor = sql`m.user_id = ${comments.createdBy}`
  // A lookup for each, and no join, for which all members might be read.
  const name = sql`(select m.name from ${members} m where ${ofWorkspace} and m.user_id = c.value)`
  const person = jsonObject({ id: sql`c.value`, name })
  const mentioned = elements(sql`${comments.mentionIds}`)
  return {
    id: comments.id,
    taskId: comments.taskId,
    body: comments.body,
    mentionIds: comments.mentionIds,
    mentionCalls: comments.mentionCalls,
    revision: comments.revision,
    createdBy: comments.createdBy,
    createdAt: comments.createdAt,
    updatedAt: comments.updatedAt,
    editedAt: comments.editedAt,
    deletedAt: comments.deletedAt,
    authorName: sql<string>`(select m.name from ${members} m where ${ofWorkspace} and ${isAuthor})`.as("author_name"),
    reactions: reactionsOf(dialect).as("reactions"),
    people: jsonArray(jsonItem(sql`person`), sql`(select ${person} as person from ${mentioned}) mentioned`).as(
      "people",
    ),
  }
})

/** By emoji, in the order in which each was first used. */
function reactionsOf({ tables, jsonArray, jsonItem, jsonObject }: Dialect): SQL<string> {
  const { comments, reactions } = tables
  const ofComment = sql`r.workspace_id = ${comments.workspaceId} and r.comment_id = ${comments.id}`
  // One more than is shown, for when one of them takes theirs back.
  const userIds = jsonArray(
    sql`user_id`,
    sql`(select r.user_id from ${reactions} r where ${ofComment} and r.emoji = e.emoji order by r.user_id limit ${sql.raw(String(reactorsShown + 1))}) who`,
  )
  const entry = jsonObject({ emoji: sql`e.emoji`, count: sql`e.n`, userIds })
  const emojis = sql`(select r.emoji, count(r.user_id) as n, min(r.created_at) as since from ${reactions} r where ${ofComment} group by r.emoji) e`
  return jsonArray(
    jsonItem(sql`entry`),
    sql`(select ${entry} as entry from ${emojis} order by e.since, e.emoji) reaction`,
  )
}

type Selected = Columns & { authorName: string; reactions: string; people: string }

export function commentOf({ reactions, people, ...columns }: Selected): Comment {
  const found = JSON.parse(reactions) as (Omit<ReactionView, "userIds"> & { userIds: string[] | string })[]
  return {
    ...columns,
    // JSON within JSON comes as text from one of the databases.
    reactions: found.map(({ userIds, ...reaction }) => ({
      ...reaction,
      userIds: typeof userIds === "string" ? (JSON.parse(userIds) as string[]) : userIds,
    })),
    people: JSON.parse(people) as PersonView[],
  }
}

/** The comment of that id, if it and its task are there and the actor sees them. */
export function findComment(ctx: Ctx, id: string) {
  const { db, workspaceId } = ctx
  const { comments, projects, tasks } = db.tables
  const project = sql`${projects} p where p.workspace_id = ${workspaceId} and p.id = ${tasks.projectId} and p.deleted_at is null`
  return db.sql
    .select({
      ...commentSelection(db),
      projectId: tasks.projectId,
      ...accessTo(ctx, sql`${tasks.projectId}`),
    })
    .from(comments)
    .innerJoin(tasks, and(eq(tasks.workspaceId, workspaceId), eq(tasks.id, comments.taskId)))
    .where(
      and(
        eq(comments.workspaceId, workspaceId),
        eq(comments.id, id),
        isNull(comments.deletedAt),
        isNull(tasks.deletedAt),
        sql`(select 1 from ${project} ${andVisible(ctx)}) is not null`,
      ),
    )
}

type Found = Selected & { projectId: string; visibility: Visibility; named: number | null }

/** Throws `not_found` where nothing was found, and `forbidden` where the actor may not do this. */
export function expectComment(
  ctx: Ctx,
  row: Found | undefined,
  permission: (comment: Found) => Permission,
): PlacedComment {
  if (!row) throw notFound("comment")
  const { visibility, named, projectId, ...comment } = row
  const needed = permission(row)
  permit(ctx, needed)
  expectAccess(ctx, needed, { visibility, named }, "comment")
  return { ...commentOf(comment), projectId }
}

export function mustNameComment(id: string): void {
  if (!idPattern("comment").test(id)) throw notFound("comment")
}

/** Whether the task is still there, in the project that the change was decided for. */
function isStillIn({ db, workspaceId }: Ctx, taskId: string, projectId: string): SQL {
  const { projects, tasks } = db.tables
  return sql`(select 1 from ${tasks} t join ${projects} p on p.workspace_id = ${workspaceId} and p.id = t.project_id where t.workspace_id = ${workspaceId} and t.id = ${taskId} and t.project_id = ${projectId} and t.deleted_at is null and p.deleted_at is null) is not null`
}

export function insertComment(ctx: Ctx, { projectId, ...comment }: PlacedComment) {
  const { authorName: _name, reactions: _reactions, people: _people, ...columns } = comment
  const row = { ...columns, workspaceId: ctx.workspaceId }
  const tail = sql`where ${isStillIn(ctx, comment.taskId, projectId)}`
  return insertRows(ctx.db, ctx.db.tables.comments, [row], { tail })
}

export function replaceComment(ctx: Ctx, before: PlacedComment, set: Partial<Columns>) {
  const { comments } = ctx.db.tables
  return ctx.db.sql
    .update(comments)
    .set({ ...set, revision: before.revision + 1 })
    .where(
      and(
        eq(comments.workspaceId, ctx.workspaceId),
        eq(comments.id, before.id),
        eq(comments.revision, before.revision),
        isStillIn(ctx, before.taskId, before.projectId),
      ),
    )
}

export const changeOfComment = (
  { id, projectId }: Pick<PlacedComment, "id" | "projectId">,
  revision: number,
  type: EventType,
  data: DomainChange["data"],
): DomainChange => ({ type, subject: "comment", subjectId: id, revision, projectId, data })

/** What a repeat of the request is told. The receipt keeps no text, so that none outlives its comment. */
export const answerOf = (view: CommentView) => ({ kind: "commented", body: { ...view, body: "" } }) as const
