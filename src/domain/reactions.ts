import { and, eq } from "drizzle-orm"
import type { CommentView, ReactionView } from "../contracts/comments.ts"
import { insertRows } from "../db/rows.ts"
import type { Statement } from "../db/sql.ts"
import {
  answerOf,
  changeOfComment,
  commentView,
  expectComment,
  findComment,
  mustNameComment,
  type PlacedComment,
  replaceComment,
} from "./comment-rows.ts"
import type { Ctx } from "./ctx.ts"
import { DomainError } from "./errors.ts"
import type { EventType } from "./event-types.ts"
import { asRace, commit, commitNothing, type DomainChange, untilUncontested } from "./events.ts"
import { permit } from "./permissions.ts"

// A reaction is a change of its comment: reactions to one comment come one after the other, so the limits hold.

const emojisPerComment = 20
/** So that what a comment costs to read is bounded. */
const reactionsPerComment = 1_000

/** Reacting twice with the same emoji changes nothing. */
export const react = (ctx: Ctx, commentId: string, emoji: string): Promise<CommentView> =>
  change(ctx, commentId, emoji, (before, isThere) => {
    if (isThere) return null
    expectRoom(before, emoji)
    const row = { ...reactionOf(ctx, commentId, emoji), createdAt: ctx.now() }
    return {
      type: "comment.reacted",
      data: { before: null, after: { emoji, userId: ctx.actor.userId } },
      row: insertRows(ctx.db, ctx.db.tables.reactions, [row]),
      reactions: withReaction(before.reactions, emoji, ctx.actor.userId),
    }
  })

/** Taking back what is not there changes nothing. */
export const unreact = (ctx: Ctx, commentId: string, emoji: string): Promise<CommentView> =>
  change(ctx, commentId, emoji, (before, isThere) => {
    if (!isThere) return null
    return {
      type: "comment.unreacted",
      data: { before: { emoji, userId: ctx.actor.userId }, after: null },
      row: ctx.db.sql.delete(ctx.db.tables.reactions).where(isMine(ctx, commentId, emoji)),
      reactions: withoutReaction(before.reactions, emoji, ctx.actor.userId),
    }
  })

type Step = { type: EventType; data: DomainChange["data"]; row: Statement; reactions: ReactionView[] }

async function change(
  ctx: Ctx,
  commentId: string,
  emoji: string,
  decide: (before: PlacedComment, isThere: boolean) => Step | null,
): Promise<CommentView> {
  permit(ctx, "comment:write")
  mustNameComment(commentId)
  return untilUncontested(async () => {
    const { reactions } = ctx.db.tables
    const [[row], mine] = await ctx.db.read(
      findComment(ctx, commentId),
      ctx.db.sql
        .select({ emoji: reactions.emoji })
        .from(reactions)
        .where(isMine(ctx, commentId, emoji)),
    )
    const before = expectComment(ctx, row, () => "comment:write")
    const step = decide(before, mine.length > 0)
    if (!step) {
      await commitNothing(ctx, "comment:write", answerOf(commentView(before)))
      return commentView(before)
    }
    const at = ctx.now()
    const revision = before.revision + 1
    const after = commentView({ ...before, reactions: step.reactions, updatedAt: at, revision })
    // The same person may react twice in the same moment.
    await asRace(
      commit(ctx, {
        permission: "comment:write",
        at,
        rows: [replaceComment(ctx, before, { updatedAt: at }), step.row],
        changes: [changeOfComment(before, revision, step.type, step.data)],
        answer: answerOf(after),
      }),
    )
    return after
  })
}

const reactionOf = ({ workspaceId, actor }: Ctx, commentId: string, emoji: string) => ({
  workspaceId,
  commentId,
  emoji,
  userId: actor.userId,
})

function isMine({ db, workspaceId, actor }: Ctx, commentId: string, emoji: string) {
  const { reactions } = db.tables
  return and(
    eq(reactions.workspaceId, workspaceId),
    eq(reactions.commentId, commentId),
    eq(reactions.emoji, emoji),
    eq(reactions.userId, actor.userId),
  )
}

function expectRoom({ reactions }: PlacedComment, emoji: string): void {
  if (reactions.length >= emojisPerComment && !reactions.some((reaction) => reaction.emoji === emoji)) {
    throw new DomainError("conflict", `A comment can have ${emojisPerComment} different emoji at most`)
  }
  if (reactions.reduce((sum, { count }) => sum + count, 0) >= reactionsPerComment) {
    throw new DomainError("conflict", `A comment can have ${reactionsPerComment} reactions at most`)
  }
}

export function withReaction(reactions: ReactionView[], emoji: string, userId: string): ReactionView[] {
  if (!reactions.some((reaction) => reaction.emoji === emoji))
    return [...reactions, { emoji, userIds: [userId], count: 1 }]
  return reactions.map((reaction) =>
    reaction.emoji === emoji
      ? { emoji, userIds: [...reaction.userIds, userId].sort(), count: reaction.count + 1 }
      : reaction,
  )
}

export const withoutReaction = (reactions: ReactionView[], emoji: string, userId: string): ReactionView[] =>
  reactions
    .map((reaction) =>
      reaction.emoji === emoji
        ? { emoji, userIds: reaction.userIds.filter((id) => id !== userId), count: reaction.count - 1 }
        : reaction,
    )
    .filter(({ count }) => count > 0)
