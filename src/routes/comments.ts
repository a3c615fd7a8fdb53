import { Hono } from "hono"
import {
  Comment,
  CommentPage,
  CommentPatch,
  CommentPath,
  CommentQuery,
  Mentionable,
  MentionableQuery,
  NewComment,
  OneCommentQuery,
  ReactionPath,
} from "../contracts/comments.ts"
import { TaskPath } from "../contracts/tasks.ts"
import * as comments from "../domain/comments.ts"
import { listMentionable } from "../domain/mentions.ts"
import { react, unreact } from "../domain/reactions.ts"
import { conditional, expectedRevision, knownRevision, whole } from "../http/conditional.ts"
import type { AppEnv } from "../http/context.ts"
import { body, cachedOperation, operation, params, query } from "../http/contract.ts"
import { created } from "../http/created.ts"
import { page } from "../http/pagination.ts"

export const commentRoutes = new Hono<AppEnv>()

commentRoutes.get(
  "/tasks/:idOrKey/comments",
  cachedOperation("List the comments on a task", CommentPage, {
    description:
      "A deleted comment keeps its place, without its text. With `render=html` a page ends after 128 KiB of Markdown.",
  }),
  params(TaskPath),
  query(CommentQuery),
  async (c) => page(c, await comments.listComments(c.var.ctx, c.req.valid("param").idOrKey, c.req.valid("query"))),
)

commentRoutes.post(
  "/tasks/:idOrKey/comments",
  operation("Comment on a task", Comment, 201, {
    description:
      'Mentions are @[Ada Lovelace](usr_…) as completion puts it in, @ada and @"Ada Lovelace". A name counts when it is the name of one member alone, among the first 1,000 of the workspace, who sees the task; anything else stays text.',
  }),
  params(TaskPath),
  body(NewComment),
  async (c) => {
    const { idOrKey } = c.req.valid("param")
    return created(c, await comments.createComment(c.var.ctx, idOrKey, c.req.valid("json")))
  },
)

commentRoutes.get(
  "/tasks/:idOrKey/mentionable",
  cachedOperation("Complete a mention: members who see the task, by name", Mentionable),
  params(TaskPath),
  query(MentionableQuery),
  async (c) => {
    return whole(c, await listMentionable(c.var.ctx, c.req.valid("param").idOrKey, c.req.valid("query")))
  },
)

commentRoutes.get(
  "/comments/:commentId",
  cachedOperation("Get a comment", Comment),
  params(CommentPath),
  query(OneCommentQuery),
  async (c) => {
    const { commentId } = c.req.valid("param")
    const comment = await comments.viewComment(c.var.ctx, commentId, c.req.valid("query"))
    return conditional(c, comment, { revision: comment.revision, ofLog: true })
  },
)

commentRoutes.patch(
  "/comments/:commentId",
  operation("Edit a comment, which only its author may", Comment),
  params(CommentPath),
  body(CommentPatch),
  async (c) => {
    const { body: text, revision, base } = c.req.valid("json")
    const { commentId } = c.req.valid("param")
    const comment = await comments.updateComment(c.var.ctx, commentId, text, knownRevision(c, { revision, base }))
    return conditional(c, comment, comment)
  },
)

commentRoutes.delete(
  "/comments/:commentId",
  operation("Delete a comment: its author may, and whoever manages the project"),
  params(CommentPath),
  async (c) => {
    await comments.deleteComment(c.var.ctx, c.req.valid("param").commentId, expectedRevision(c))
    return c.body(null, 204)
  },
)

commentRoutes.put(
  "/comments/:commentId/reactions/:emoji",
  operation("React to a comment with an emoji", Comment),
  params(ReactionPath),
  async (c) => {
    const { commentId, emoji } = c.req.valid("param")
    const comment = await react(c.var.ctx, commentId, emoji)
    return conditional(c, comment, comment)
  },
)

commentRoutes.delete(
  "/comments/:commentId/reactions/:emoji",
  operation("Take a reaction back", Comment),
  params(ReactionPath),
  async (c) => {
    const { commentId, emoji } = c.req.valid("param")
    const comment = await unreact(c.var.ctx, commentId, emoji)
    return conditional(c, comment, comment)
  },
)
