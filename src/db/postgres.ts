import { sql } from "drizzle-orm"
import {
  bigint,
  boolean,
  customType,
  foreignKey,
  index,
  json as jsonColumn,
  pgTable,
  primaryKey,
  uniqueIndex,
} from "drizzle-orm/pg-core"
import type { EventData } from "./sqlite.ts"

// The mirror of sqlite.ts, column for column: what each table is for stands there, and tables.ts lets the compiler
// compare the rows. For an engine that distributes tables: workspace_id leads every key of a workspace's tables, the
// only foreign keys stay within a workspace, and nothing comes from a sequence.

// Byte order, as in SQLite, whatever the locale of the database: ids, keys and positions are sorted and compared.
const text = customType<{ data: string; driverData: string }>({ dataType: () => 'text collate "C"' })
const words = <const Word extends string>(name: string, _words: readonly Word[]) => text(name).$type<Word>()
const integer = (name: string) => bigint(name, { mode: "number" })
const time = integer
// json and not jsonb: it is only ever given back, and json keeps the text as it was written.
const json = jsonColumn

// ---- directory ----

export const users = pgTable("users", {
  id: text("id").primaryKey(),
  email: text("email").notNull(),
  emailVerifiedAt: time("email_verified_at"),
  name: text("name").notNull(),
  timeZone: text("time_zone").notNull(),
  settings: json("settings").$type<Record<string, unknown>>().notNull().default({}),
  revision: integer("revision").notNull(),
  createdAt: time("created_at").notNull(),
  updatedAt: time("updated_at").notNull(),
})

export const identities = pgTable(
  "identities",
  {
    provider: words("provider", ["password"]).notNull(),
    subject: text("subject").notNull(),
    userId: text("user_id").notNull(),
    secret: text("secret").notNull(),
    updatedAt: time("updated_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.subject] }), index("identities_user").on(t.userId)],
)

export const workspaces = pgTable("workspaces", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  inboxId: text("inbox_id").notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: time("created_at").notNull(),
  deletedAt: time("deleted_at"),
})

export const profiles = pgTable("profiles", {
  workspaceId: text("workspace_id").primaryKey(),
  name: text("name").notNull(),
  revision: integer("revision").notNull(),
  createdAt: time("created_at").notNull(),
  updatedAt: time("updated_at").notNull(),
  deletedAt: time("deleted_at"),
})

export const memberships = pgTable(
  "memberships",
  {
    userId: text("user_id").notNull(),
    workspaceId: text("workspace_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.workspaceId] })],
)

export const userEvents = pgTable(
  "user_events",
  {
    userId: text("user_id").notNull(),
    revision: integer("revision").notNull(),
    type: text("type").notNull(),
    data: json("data").$type<Record<string, unknown>>().notNull(),
    at: time("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.revision] })],
)

export const invitees = pgTable(
  "invitees",
  {
    email: text("email").notNull(),
    workspaceId: text("workspace_id").notNull(),
    invitationId: text("invitation_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.email, t.workspaceId, t.invitationId] })],
)

// ---- tenant ----

export const heads = pgTable("heads", {
  workspaceId: text("workspace_id").primaryKey(),
  seq: integer("seq").notNull(),
  pumpedSeq: integer("pumped_seq").notNull(),
})

export const members = pgTable(
  "members",
  {
    workspaceId: text("workspace_id").notNull(),
    userId: text("user_id").notNull(),
    role: words("role", ["owner", "admin", "member", "guest"]).notNull(),
    name: text("name").notNull(),
    revision: integer("revision").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    removedAt: time("removed_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.userId] }),
    index("members_role").on(t.workspaceId, t.role, t.userId).where(sql`removed_at is null`),
  ],
)

export const invitations = pgTable(
  "invitations",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    email: text("email").notNull(),
    role: words("role", ["owner", "admin", "member", "guest"]).notNull(),
    status: words("status", ["pending", "accepted", "revoked"]).notNull(),
    generation: integer("generation").notNull(),
    expiresAt: time("expires_at").notNull(),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    uniqueIndex("invitations_email").on(t.workspaceId, t.email).where(sql`status = 'pending'`),
    index("invitations_pending").on(t.workspaceId, t.id).where(sql`status = 'pending'`),
  ],
)

export const apiKeys = pgTable(
  "api_keys",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    userId: text("user_id").notNull(),
    name: text("name").notNull(),
    hash: text("hash").notNull(),
    hint: text("hint").notNull(),
    scopes: json("scopes").$type<string[]>().notNull(),
    expiresAt: time("expires_at"),
    lastUsedAt: time("last_used_at"),
    revision: integer("revision").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    revokedAt: time("revoked_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    uniqueIndex("api_keys_hash").on(t.workspaceId, t.hash),
    index("api_keys_user").on(t.workspaceId, t.userId, t.id).where(sql`revoked_at is null`),
  ],
)

export const projects = pgTable(
  "projects",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    key: text("key").notNull(),
    name: text("name").notNull(),
    description: text("description").notNull(),
    visibility: words("visibility", ["workspace", "private"]).notNull().default("workspace"),
    isInbox: boolean("is_inbox").notNull(),
    taskCounter: integer("task_counter").notNull(),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    deletedAt: time("deleted_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    uniqueIndex("projects_key").on(t.workspaceId, t.key),
    index("projects_created").on(t.workspaceId, t.id).where(sql`deleted_at is null`),
    index("projects_updated").on(t.workspaceId, t.updatedAt, t.id).where(sql`deleted_at is null`),
  ],
)

export const projectMembers = pgTable(
  "project_members",
  {
    workspaceId: text("workspace_id").notNull(),
    projectId: text("project_id").notNull(),
    userId: text("user_id").notNull(),
    level: integer("level").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.projectId, t.userId] }),
    foreignKey({ columns: [t.workspaceId, t.projectId], foreignColumns: [projects.workspaceId, projects.id] }),
    index("project_members_user").on(t.workspaceId, t.userId, t.projectId),
  ],
)

export const favourites = pgTable(
  "favourites",
  {
    workspaceId: text("workspace_id").notNull(),
    userId: text("user_id").notNull(),
    projectId: text("project_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.userId, t.projectId] }),
    foreignKey({ columns: [t.workspaceId, t.projectId], foreignColumns: [projects.workspaceId, projects.id] }),
  ],
)

export const tasks = pgTable(
  "tasks",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    projectId: text("project_id").notNull(),
    parentId: text("parent_id"),
    key: text("key").notNull(),
    title: text("title").notNull(),
    description: text("description").notNull(),
    status: words("status", ["todo", "in_progress", "done", "cancelled"]).notNull(),
    priority: integer("priority").notNull(),
    startDate: text("start_date"),
    startAt: time("start_at"),
    dueDate: text("due_date"),
    dueAt: time("due_at"),
    dueSort: time("due_sort").notNull(),
    position: text("position").notNull(),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    completedAt: time("completed_at"),
    deletedAt: time("deleted_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    foreignKey({ columns: [t.workspaceId, t.projectId], foreignColumns: [projects.workspaceId, projects.id] }),
    uniqueIndex("tasks_key").on(t.workspaceId, t.key),
    index("tasks_updated").on(t.workspaceId, t.updatedAt, t.id).where(sql`deleted_at is null`),
    index("tasks_due").on(t.workspaceId, t.dueSort, t.id).where(sql`deleted_at is null`),
    index("tasks_project_created").on(t.workspaceId, t.projectId, t.id).where(sql`deleted_at is null`),
    index("tasks_project_position").on(t.workspaceId, t.projectId, t.position, t.id).where(sql`deleted_at is null`),
    index("tasks_project_updated").on(t.workspaceId, t.projectId, t.updatedAt, t.id).where(sql`deleted_at is null`),
    index("tasks_project_due").on(t.workspaceId, t.projectId, t.dueSort, t.id).where(sql`deleted_at is null`),
    index("tasks_parent_position")
      .on(t.workspaceId, t.parentId, t.position, t.id)
      .where(sql`deleted_at is null and parent_id is not null`),
  ],
)

export const taskAssignees = pgTable(
  "task_assignees",
  {
    workspaceId: text("workspace_id").notNull(),
    taskId: text("task_id").notNull(),
    userId: text("user_id").notNull(),
    dueSort: time("due_sort").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.taskId, t.userId] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    index("task_assignees_created").on(t.workspaceId, t.userId, t.taskId),
    index("task_assignees_due").on(t.workspaceId, t.userId, t.dueSort, t.taskId),
  ],
)

export const labels = pgTable(
  "labels",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    nameKey: text("name_key").notNull(),
    color: text("color").notNull(),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    deletedAt: time("deleted_at"),
    mergedInto: text("merged_into"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    uniqueIndex("labels_name").on(t.workspaceId, t.nameKey).where(sql`deleted_at is null`),
  ],
)

export const taskLabels = pgTable(
  "task_labels",
  {
    workspaceId: text("workspace_id").notNull(),
    taskId: text("task_id").notNull(),
    labelId: text("label_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.taskId, t.labelId] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    foreignKey({ columns: [t.workspaceId, t.labelId], foreignColumns: [labels.workspaceId, labels.id] }),
    index("task_labels_label").on(t.workspaceId, t.labelId, t.taskId),
  ],
)

export const taskRelations = pgTable(
  "task_relations",
  {
    workspaceId: text("workspace_id").notNull(),
    taskId: text("task_id").notNull(),
    kind: words("kind", ["blocks", "relates", "duplicates"]).notNull(),
    otherId: text("other_id").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.taskId, t.kind, t.otherId] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    foreignKey({ columns: [t.workspaceId, t.otherId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    index("task_relations_other").on(t.workspaceId, t.otherId, t.kind, t.taskId),
  ],
)

export const taskAliases = pgTable(
  "task_aliases",
  {
    workspaceId: text("workspace_id").notNull(),
    key: text("key").notNull(),
    taskId: text("task_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.key] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
  ],
)

export const taskFollowers = pgTable(
  "task_followers",
  {
    workspaceId: text("workspace_id").notNull(),
    taskId: text("task_id").notNull(),
    userId: text("user_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.taskId, t.userId] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    index("task_followers_user").on(t.workspaceId, t.userId, t.taskId),
  ],
)

export const projectFollowers = pgTable(
  "project_followers",
  {
    workspaceId: text("workspace_id").notNull(),
    projectId: text("project_id").notNull(),
    userId: text("user_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.projectId, t.userId] }),
    foreignKey({ columns: [t.workspaceId, t.projectId], foreignColumns: [projects.workspaceId, projects.id] }),
  ],
)

export const mutes = pgTable(
  "mutes",
  {
    workspaceId: text("workspace_id").notNull(),
    userId: text("user_id").notNull(),
    subjectId: text("subject_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.userId, t.subjectId] })],
)

export const reminders = pgTable(
  "reminders",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    taskId: text("task_id").notNull(),
    userId: text("user_id").notNull(),
    at: time("at"),
    beforeMs: integer("before_ms"),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    index("reminders_task").on(t.workspaceId, t.taskId, t.userId, t.id),
  ],
)

export const comments = pgTable(
  "comments",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    taskId: text("task_id").notNull(),
    body: text("body").notNull(),
    mentionIds: json("mention_ids").$type<string[]>().notNull(),
    mentionCalls: json("mention_calls").$type<Record<string, string>>().notNull().default({}),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    editedAt: time("edited_at"),
    deletedAt: time("deleted_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    foreignKey({ columns: [t.workspaceId, t.taskId], foreignColumns: [tasks.workspaceId, tasks.id] }),
    index("comments_task").on(t.workspaceId, t.taskId, t.id),
  ],
)

export const reactions = pgTable(
  "reactions",
  {
    workspaceId: text("workspace_id").notNull(),
    commentId: text("comment_id").notNull(),
    emoji: text("emoji").notNull(),
    userId: text("user_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.commentId, t.emoji, t.userId] }),
    foreignKey({ columns: [t.workspaceId, t.commentId], foreignColumns: [comments.workspaceId, comments.id] }),
  ],
)

export const events = pgTable(
  "events",
  {
    workspaceId: text("workspace_id").notNull(),
    seq: integer("seq").notNull(),
    type: text("type").notNull(),
    subjectId: text("subject_id").notNull(),
    subjectKey: text("subject_key"),
    // Both databases tell the first NOT NULL column that breaks, in this order: see sqlite.ts.
    actorRole: text("actor_role").notNull(),
    revision: integer("revision").notNull(),
    actorId: text("actor_id").notNull(),
    source: text("source").notNull(),
    projectId: text("project_id"),
    previousProjectId: text("previous_project_id"),
    commitId: text("commit_id").notNull(),
    data: json("data").$type<EventData>().notNull(),
    at: time("at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.seq] }),
    uniqueIndex("events_subject_revision").on(t.workspaceId, t.subjectId, t.revision),
    index("events_project").on(t.workspaceId, t.projectId, t.seq).where(sql`project_id is not null`),
  ],
)

export const receipts = pgTable(
  "receipts",
  {
    workspaceId: text("workspace_id").notNull(),
    actorId: text("actor_id").notNull(),
    key: text("key").notNull(),
    fingerprint: text("fingerprint").notNull(),
    answer: words("answer", [
      "created",
      "created_many",
      "made",
      "changed",
      "commented",
      "moved",
      "empty",
      "secret",
    ]).notNull(),
    body: json("body").$type<Record<string, unknown>>(),
    firstSeq: integer("first_seq").notNull(),
    lastSeq: integer("last_seq").notNull(),
    commitId: text("commit_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.actorId, t.key] })],
)

export const webhooks = pgTable(
  "webhooks",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    url: text("url").notNull(),
    description: text("description").notNull(),
    events: json("events").$type<string[]>().notNull(),
    projectIds: json("project_ids").$type<string[]>(),
    labelIds: json("label_ids").$type<string[]>(),
    generation: integer("generation").notNull(),
    previousUntil: time("previous_until"),
    status: words("status", ["active", "disabled"]).notNull(),
    disabledReason: text("disabled_reason"),
    failingSince: time("failing_since"),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    deletedAt: time("deleted_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    index("webhooks_live").on(t.workspaceId, t.id).where(sql`deleted_at is null`),
  ],
)

export const webhookDeliveries = pgTable(
  "webhook_deliveries",
  {
    workspaceId: text("workspace_id").notNull(),
    webhookId: text("webhook_id").notNull(),
    seq: integer("seq").notNull(),
    type: text("type").notNull(),
    status: words("status", ["pending", "delivered", "failed"]).notNull(),
    attempts: integer("attempts").notNull(),
    nextAttemptAt: time("next_attempt_at"),
    lastStatus: integer("last_status"),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.webhookId, t.seq] }),
    foreignKey({ columns: [t.workspaceId, t.webhookId], foreignColumns: [webhooks.workspaceId, webhooks.id] }),
    index("webhook_deliveries_due")
      .on(t.workspaceId, t.webhookId, t.nextAttemptAt, t.seq)
      .where(sql`next_attempt_at is not null`),
  ],
)

export const webhookAttempts = pgTable(
  "webhook_attempts",
  {
    workspaceId: text("workspace_id").notNull(),
    webhookId: text("webhook_id").notNull(),
    seq: integer("seq").notNull(),
    attempt: integer("attempt").notNull(),
    at: time("at").notNull(),
    durationMs: integer("duration_ms").notNull(),
    status: integer("status"),
    error: text("error"),
    request: json("request").$type<Record<string, unknown>>().notNull(),
    response: json("response").$type<Record<string, unknown>>(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.webhookId, t.seq, t.attempt] }),
    foreignKey({
      columns: [t.workspaceId, t.webhookId, t.seq],
      foreignColumns: [webhookDeliveries.workspaceId, webhookDeliveries.webhookId, webhookDeliveries.seq],
    }),
  ],
)

// ---- the instance ----

export const jobs = pgTable("jobs", {
  name: text("name").primaryKey(),
  cursor: text("cursor"),
  startedAt: time("started_at").notNull(),
  durationMs: integer("duration_ms").notNull(),
  lagMs: integer("lag_ms").notNull(),
  examined: integer("examined").notNull(),
  done: integer("done").notNull(),
  error: text("error"),
})
