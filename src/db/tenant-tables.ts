import type { Tables } from "./tables.ts"

type Name = keyof Tables

/**
 * The tables of a workspace, children before the tables that they refer to, each with the columns of its primary key
 * beside `workspace_id`. The profile is last: it tells that the workspace is deleted.
 */
export const tenantTables = [
  ["webhookAttempts", ["webhookId", "seq", "attempt"]],
  ["webhookDeliveries", ["webhookId", "seq"]],
  ["webhooks", ["id"]],
  ["reactions", ["commentId", "emoji", "userId"]],
  ["comments", ["id"]],
  ["reminders", ["id"]],
  ["taskFollowers", ["taskId", "userId"]],
  ["taskAliases", ["key"]],
  ["taskRelations", ["taskId", "kind", "otherId"]],
  ["taskLabels", ["taskId", "labelId"]],
  ["taskAssignees", ["taskId", "userId"]],
  ["labels", ["id"]],
  ["tasks", ["id"]],
  ["favourites", ["userId", "projectId"]],
  ["projectFollowers", ["projectId", "userId"]],
  ["projectMembers", ["projectId", "userId"]],
  ["mutes", ["userId", "subjectId"]],
  ["projects", ["id"]],
  ["apiKeys", ["id"]],
  ["receipts", ["actorId", "key"]],
  ["events", ["seq"]],
  ["invitations", ["id"]],
  ["members", ["userId"]],
  ["heads", []],
  ["profiles", []],
] as const satisfies readonly (readonly [Name, readonly string[]])[]

export type TenantTable = (typeof tenantTables)[number]
