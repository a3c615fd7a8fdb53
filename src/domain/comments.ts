import { and, eq, sql } from "drizzle-orm"
import type { CommentQueryInput, CommentView, NewCommentInput } from "../contracts/comments.ts"
import { byteLength } from "../lib/bytes.ts"
import { accessTo, expectAccess } from "./access.ts"
import { explainTaken } from "./chosen-ids.ts"
import {
  answerOf,
  type Comment,
  changeOfComment,
  commentOf,
  commentSelection,
  commentView,
  expectComment,
  findComment,
  insertComment,
  mustNameComment,
  type PlacedComment,
  replaceComment,
} from "./comment-rows.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError, notFound } from "./errors.ts"
import { commit, commitNothing, difference, untilUncontested } from "./events.ts"
import { beyond, cutRows, type Order, orderBy, parseCursor, parseSort, placeOfId } from "./lists.ts"
import { candidatesFor, mentionedIn, mentionsIn, projectOfTask } from "./mentions.ts"
import { rebase, type Since, selectSince } from "./merging.ts"
import { permit } from "./permissions.ts"
import { renderedBytes, renderHtml } from "./rendering.ts"
import { type Expected, expectRevision, type Known } from "./revisions.ts"
import { isHere, mustNameTask } from "./task-lookup.ts"

type Render = "html" | undefined

/** A task's comments, the deleted ones among them without their text: one page in one round trip. */
export async function listComments(
  ctx: Ctx,
  idOrKey: string,
  { sort, limit, cursor, render }: CommentQueryInput,
): Promise<{ data: CommentView[]; next: string | null }> {
  permit(ctx, "task:read")
  mustNameTask(idOrKey)
  const { direction } = parseSort<"created">(sort)
  const list = `${ctx.workspaceId} ${idOrKey} comments ${sort}`
  const place = parseCursor(list, "string", cursor)
  const { db, workspaceId } = ctx
  const { comments, tasks } = db.tables
  const order: Order = { key: null, id: sql`${comments.id}`, direction }
  const taskId = sql`(select ${tasks.id} from ${tasks} where ${isHere(ctx, idOrKey)})`
  const [[task], rows] = await db.read(
    db.sql.select({ id: tasks.id }).from(tasks).where(isHere(ctx, idOrKey)),
    db.sql
      .select(commentSelection(db))
      .from(comments)
      .where(
        and(eq(comments.workspaceId, workspaceId), sql`${comments.taskId} = ${taskId}`, sql`${beyond(order, place)}`),
      )
      .orderBy(orderBy(order))
      .limit(limit + 1),
  )
  if (!task) throw notFound("task")
  const found = rows.map(commentOf)
  const shown = render ? Math.min(limit, renderable(found)) : limit
  const page = cutRows(found, shown, list, ({ id }) => placeOfId(id))
  const data = await Promise.all(page.rows.map((comment) => viewed(comment, render)))
  return { data, next: page.next }
}

/** How many of the comments are rendered in one answer: the page is short when they are long. */
function renderable(comments: Comment[]): number {
  let bytes = 0
  const tooMany = comments.findIndex(({ body }) => {
    bytes += byteLength(body)
    return bytes > renderedBytes
  })
  return tooMany === -1 ? comments.length : Math.max(1, tooMany)
}

const viewed = async (comment: Comment, render: Render): Promise<CommentView> =>
  render ? { ...commentView(comment), html: await renderHtml(comment.body, comment) } : commentView(comment)

export async function viewComment(ctx: Ctx, id: string, { render }: { render?: Render }): Promise<CommentView> {
  permit(ctx, "task:read")
  mustNameComment(id)
  const [[row]] = await ctx.db.read(findComment(ctx, id))
  const comment = expectComment(ctx, row, () => "task:read")
  return viewed(comment, render)
}

/** Says something about a task. Whoever it mentions is found in the trip that loads the task. */
export async function createComment(
  ctx: Ctx,
  idOrKey: string,
  { id: chosen, body }: NewCommentInput,
): Promise<CommentView> {
  permit(ctx, "comment:write")
  mustNameTask(idOrKey)
  const id = chosen ?? ctx.newId("comment")
  const mentions = await mentionsIn(body)
  return untilUncontested(async () => {
    const [[task], [author], ...candidates] = await ctx.db.read(
      findCommentable(ctx, idOrKey),
      findAuthor(ctx),
      ...candidatesFor(ctx, projectOfTask(ctx, idOrKey), mentions),
    )
    if (!task) throw notFound("task")
    expectAccess(ctx, "comment:write", task, "task")
    const at = ctx.now()
    const comment: PlacedComment = {
      id,
      taskId: task.id,
      projectId: task.projectId,
      body,
      ...mentionedIn(mentions, candidates.flat()),
      reactions: [],
      people: [],
      authorName: author?.name ?? "",
      createdBy: ctx.actor.userId,
      revision: 1,
      createdAt: at,
      updatedAt: at,
      editedAt: null,
      deletedAt: null,
    }
    const view = commentView(comment)
    try {
      await commit(ctx, {
        permission: "comment:write",
        at,
        rows: [insertComment(ctx, comment)],
        changes: [changeOfComment(comment, 1, "comment.created", { before: null, after: view })],
        answer: { kind: "created" },
      })
    } catch (error) {
      await explainTaken(ctx, "comment", error, [{ id: chosen }])
      throw error
    }
    return view
  })
}

function findCommentable(ctx: Ctx, idOrKey: string) {
  const { tasks } = ctx.db.tables
  return ctx.db.sql
    .select({ id: tasks.id, projectId: tasks.projectId, ...accessTo(ctx, sql`${tasks.projectId}`) })
    .from(tasks)
    .where(isHere(ctx, idOrKey))
}

function findAuthor({ db, workspaceId, actor }: Ctx) {
  const { members } = db.tables
  return db.sql
    .select({ name: members.name })
    .from(members)
    .where(and(eq(members.workspaceId, workspaceId), eq(members.userId, actor.userId)))
}

/**
 * Puts another text in the place of one's own. The log tells that it was done, and no text any more: a comment's text
 * stands in one entry at most, as long as it is what the comment says.
 */
export async function updateComment(ctx: Ctx, id: string, body: string, known: Known): Promise<CommentView> {
  permit(ctx, "comment:write")
  mustNameComment(id)
  const mentions = await mentionsIn(body)
  return untilUncontested(async () => {
    const log = selectSince(ctx, id, known)
    const [[row], ...found] = await ctx.db.read(
      findComment(ctx, id),
      ...log,
      ...candidatesFor(ctx, projectOfComment(ctx, id), mentions),
    )
    const since = found.slice(0, log.length).flat() as Since[]
    const candidates = found.slice(log.length) as { id: string; name: string }[][]
    const before = expectComment(ctx, row, () => "comment:write")
    if (before.createdBy !== ctx.actor.userId) throw new DomainError("forbidden", "Only its author may edit a comment")
    expectRevision(known, before.revision)
    rebase(known, commentView(before), since.map(withoutText), { body })
    if (body === before.body) {
      await commitNothing(ctx, "comment:write", answerOf(commentView(before)))
      return commentView(before)
    }
    const at = ctx.now()
    const set = { body, ...mentionedIn(mentions, candidates.flat()), updatedAt: at, editedAt: at }
    const after = commentView({ ...before, ...set, revision: before.revision + 1 })
    const data = difference({ ...commentView(before), body: "" }, { ...after, body: "" })
    await commit(ctx, {
      permission: "comment:write",
      at,
      rows: [replaceComment(ctx, before, set), forgetText(ctx, before.id)],
      changes: [changeOfComment(before, before.revision + 1, "comment.updated", data)],
      answer: answerOf(after),
    })
    return after
  })
}

/** The log does not keep what a comment said: that it was something else is all that is known. */
const withoutText = ({ revision, before }: Since): Since => ({
  revision,
  before: JSON.stringify("editedAt" in (JSON.parse(before ?? "{}") as object) ? { body: null } : {}),
})

function projectOfComment({ db, workspaceId }: Ctx, id: string) {
  const { comments, tasks } = db.tables
  return sql`(select t.project_id from ${comments} c join ${tasks} t on t.workspace_id = ${workspaceId} and t.id = c.task_id where c.workspace_id = ${workspaceId} and c.id = ${id})`
}

/**
 * Takes away what was said, from the log too, and leaves that something was said: its author may, and whoever manages
 * the project.
 */
export async function deleteComment(ctx: Ctx, id: string, expected: Expected): Promise<void> {
  permit(ctx, "task:read")
  mustNameComment(id)
  await untilUncontested(async () => {
    const [[row]] = await ctx.db.read(findComment(ctx, id))
    const permission = row?.createdBy === ctx.actor.userId ? "comment:write" : "project:manage"
    const before = expectComment(ctx, row, () => permission)
    expectRevision(expected, before.revision)
    const { reactions } = ctx.db.tables
    const at = ctx.now()
    await commit(ctx, {
      permission,
      at,
      rows: [
        replaceComment(ctx, before, { body: "", mentionIds: [], mentionCalls: {}, updatedAt: at, deletedAt: at }),
        ctx.db.sql
          .delete(reactions)
          .where(and(eq(reactions.workspaceId, ctx.workspaceId), eq(reactions.commentId, before.id))),
        forgetText(ctx, before.id),
      ],
      changes: [changeOfComment(before, before.revision + 1, "comment.deleted", { before: { id }, after: null })],
      answer: { kind: "empty" },
    })
  })
}

/** Takes the text that a comment began with out of the log. */
function forgetText({ db, workspaceId }: Ctx, id: string) {
  const { events } = db.tables
  return db.sql
    .update(events)
    .set({ data: db.jsonBlanked(events.data, ["after", "body"]) })
    .where(and(eq(events.workspaceId, workspaceId), eq(events.subjectId, id), eq(events.revision, 1)))
}
