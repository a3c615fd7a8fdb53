import * as z from "zod"
import { Cursor, id, Limit, page, pathId, Time } from "./common.ts"
import { notificationKinds } from "./me.ts"

export const Notification = z
  .object({
    id: id("notification"),
    kind: z.enum(notificationKinds),
    seq: z
      .int()
      .meta({ description: "The entry of the log that it is about; of `due` the time, in epoch milliseconds" }),
    task: z
      .object({ id: id("task"), key: z.string(), title: z.string() })
      .meta({ description: "As it was called then; without a title once you see it no more" }),
    projectId: id("project"),
    actor: z.object({ id: id("user"), name: z.string().nullable() }).nullable(),
    text: z.string().meta({
      description:
        "How the comment begins; of `due`, when the task is due, or that it is a reminder. Empty once you do not see the task any more",
    }),
    at: Time,
    readAt: Time.nullable(),
  })
  .meta({ id: "Notification" })

export type NotificationView = z.output<typeof Notification>

export const NotificationQuery = z.strictObject({
  unread: z.stringbool({ error: "must be true or false" }).default(false).meta({ description: "Only what is unread" }),
  limit: Limit,
  cursor: Cursor.optional(),
})
export type NotificationQueryInput = z.output<typeof NotificationQuery>

export const NotificationPage = page(Notification)
export const NotificationPath = z.object({ notificationId: pathId("notification") })

export const UnreadCount = z
  .object({
    unread: z.int().meta({ description: "In the active workspace" }),
    workspaces: z
      .record(z.string(), z.int())
      .meta({ description: "By workspace, where there is something unread; a key is told of its own only" }),
  })
  .meta({ id: "UnreadCount" })

export const Reading = z.strictObject({
  upTo: id("notification").optional().meta({ description: "What is not newer than this; everything when omitted" }),
})
