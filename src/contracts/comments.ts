import * as z from "zod"
import { toEmoji } from "../lib/emoji.ts"
import { Base, Cursor, chosenId, id, Limit, markdown, page, pathId, Revision, sortBy, Time, text } from "./common.ts"

const Person = z.object({ id: id("user"), name: z.string() })

export const Reaction = z
  .object({
    emoji: z.string(),
    userIds: z.array(id("user")).max(50).meta({ description: "The first 50 of them, by id" }),
    count: z.int().min(1),
  })
  .meta({ id: "Reaction" })

export type ReactionView = z.output<typeof Reaction>

export const Comment = z
  .object({
    id: id("comment"),
    taskId: id("task"),
    body: z.string().meta({ description: "Markdown; empty when the comment has been deleted" }),
    mentionIds: z.array(id("user")).meta({ description: "The members whom the body names, and who saw the task then" }),
    reactions: z.array(Reaction),
    author: Person,
    createdBy: id("user"),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
    editedAt: Time.nullable(),
    deletedAt: Time.nullable(),
    html: z.string().optional().meta({ description: "The body as safe HTML, with `render=html`" }),
  })
  .meta({ id: "Comment" })

export type CommentView = z.output<typeof Comment>

const body = markdown(65_536).refine((value) => value.trim() !== "", { error: "must not be empty" })

export const NewComment = z.strictObject({ id: chosenId("comment"), body })
export type NewCommentInput = z.output<typeof NewComment>
export const CommentPatch = z.strictObject({ body, revision: Revision.optional(), base: Base })

export const CommentPath = z.object({ commentId: pathId("comment") })

export const ReactionPath = CommentPath.extend({
  emoji: z
    .string()
    .transform((value, context) => {
      const found = toEmoji(value)
      if (found === null) context.addIssue({ code: "custom", message: "must be one emoji" })
      return found ?? ""
    })
    .meta({ description: "One emoji, percent-encoded" }),
})

const render = z.enum(["html"]).optional().meta({ description: "html: with the body as safe HTML beside it" })

export const OneCommentQuery = z.strictObject({ render })

export const CommentQuery = z.strictObject({
  sort: sortBy(["created"]).default("created"),
  limit: Limit,
  cursor: Cursor.optional(),
  render,
})
export type CommentQueryInput = z.output<typeof CommentQuery>
export const CommentPage = page(Comment)

// ---- who can be mentioned ----

export const MentionableQuery = z.strictObject({
  q: text(0, 100)
    .default("")
    .meta({ description: "How a word of the name begins, in any case, with or without accents" }),
  limit: z.coerce.number({ error: "must be a number" }).int().min(1).max(50).default(10),
})
export type MentionableQueryInput = z.output<typeof MentionableQuery>
export const Mentionable = z.object({ data: z.array(Person) })
export type PersonView = z.output<typeof Person>
