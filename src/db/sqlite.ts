import { sql } from "drizzle-orm"
import { foreignKey, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core"

// Times are epoch milliseconds. Two groups of tables live here and may one day live apart, so no statement joins
// across them: the directory (who exists) and the tenant tables (what a workspace holds), whose keys and indexes all
// begin with workspace_id.

const time = (name: string) => integer(name)

// ---- directory ----

export const users = sqliteTable("users", {
  id: text("id").primaryKey(),
  email: text("email").notNull(),
  /** When the user proved that they read mail at this address. */
  emailVerifiedAt: time("email_verified_at"),
  name: text("name").notNull(),
  timeZone: text("time_zone").notNull(),
  /** What the user has chosen; contracts/me.ts says what there is, and what holds where nothing was chosen. */
  settings: text("settings", { mode: "json" }).$type<Record<string, unknown>>().notNull().default({}),
  revision: integer("revision").notNull(),
  createdAt: time("created_at").notNull(),
  updatedAt: time("updated_at").notNull(),
})

/** How a user proves who they are. `subject` is unique within its provider; for "password" it is the normalised e-mail. */
export const identities = sqliteTable(
  "identities",
  {
    provider: text("provider", { enum: ["password"] }).notNull(),
    subject: text("subject").notNull(),
    userId: text("user_id").notNull(),
    secret: text("secret").notNull(),
    updatedAt: time("updated_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.subject] }), index("identities_user").on(t.userId)],
)

export const workspaces = sqliteTable("workspaces", {
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  inboxId: text("inbox_id").notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: time("created_at").notNull(),
  deletedAt: time("deleted_at"),
})

/** The workspace as its members know it; the directory's name follows it. */
export const profiles = sqliteTable("profiles", {
  workspaceId: text("workspace_id").primaryKey(),
  name: text("name").notNull(),
  revision: integer("revision").notNull(),
  createdAt: time("created_at").notNull(),
  updatedAt: time("updated_at").notNull(),
  deletedAt: time("deleted_at"),
})

/** A locator: in which workspaces to look for a user. The authoritative row is in `members`. */
export const memberships = sqliteTable(
  "memberships",
  {
    userId: text("user_id").notNull(),
    workspaceId: text("workspace_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.workspaceId] })],
)

/** What happened to a user outside any workspace. */
export const userEvents = sqliteTable(
  "user_events",
  {
    userId: text("user_id").notNull(),
    revision: integer("revision").notNull(),
    type: text("type").notNull(),
    data: text("data", { mode: "json" }).$type<Record<string, unknown>>().notNull(),
    at: time("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.userId, t.revision] })],
)

/** Where to look for the invitations of an address. The invitation itself belongs to its workspace. */
export const invitees = sqliteTable(
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

/** Where a workspace's event log ends. */
export const heads = sqliteTable("heads", {
  workspaceId: text("workspace_id").primaryKey(),
  seq: integer("seq").notNull(),
  pumpedSeq: integer("pumped_seq").notNull(),
})

export const members = sqliteTable(
  "members",
  {
    workspaceId: text("workspace_id").notNull(),
    userId: text("user_id").notNull(),
    role: text("role", { enum: ["owner", "admin", "member", "guest"] }).notNull(),
    name: text("name").notNull(),
    revision: integer("revision").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    /** Of those who are no longer members the row stays: the log and old tasks still name them. */
    removedAt: time("removed_at"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.userId] }),
    index("members_role").on(t.workspaceId, t.role, t.userId).where(sql`removed_at is null`),
  ],
)

export const invitations = sqliteTable(
  "invitations",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    email: text("email").notNull(),
    role: text("role", { enum: ["owner", "admin", "member", "guest"] }).notNull(),
    status: text("status", { enum: ["pending", "accepted", "revoked"] }).notNull(),
    /** Which of the tokens that were sent is the valid one; sending it again makes another. */
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

export const apiKeys = sqliteTable(
  "api_keys",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    userId: text("user_id").notNull(),
    name: text("name").notNull(),
    /** SHA-256 of the whole key, which is 256 random bits: nothing slower is needed. */
    hash: text("hash").notNull(),
    /** How the key begins and ends, to recognise it by. */
    hint: text("hint").notNull(),
    scopes: text("scopes", { mode: "json" }).$type<string[]>().notNull(),
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

export const projects = sqliteTable(
  "projects",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    key: text("key").notNull(),
    name: text("name").notNull(),
    description: text("description").notNull(),
    /** Open to the whole workspace but for guests, or to its own members only. */
    visibility: text("visibility", { enum: ["workspace", "private"] })
      .notNull()
      .default("workspace"),
    isInbox: integer("is_inbox", { mode: "boolean" }).notNull(),
    /** The number of the newest task; a task's own number is taken from it in the commit that creates the task. */
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

/** Who has been named to a project, and what they may do there: 1 view, 2 comment, 3 complete, 4 edit, 5 manage. */
export const projectMembers = sqliteTable(
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

export const favourites = sqliteTable(
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

// Each index is a billed row per write: there are eight, and domain/lists.ts says which list reads which.
export const tasks = sqliteTable(
  "tasks",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    projectId: text("project_id").notNull(),
    parentId: text("parent_id"),
    key: text("key").notNull(),
    title: text("title").notNull(),
    description: text("description").notNull(),
    status: text("status", { enum: ["todo", "in_progress", "done", "cancelled"] }).notNull(),
    priority: integer("priority").notNull(),
    startDate: text("start_date"),
    startAt: time("start_at"),
    dueDate: text("due_date"),
    dueAt: time("due_at"),
    /** Where the due date stands in a sorted list; never null, so that keyset pagination works. */
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

/** Who works on what, with the task's sort keys copied so that "assigned to me" is one range of one index. */
export const taskAssignees = sqliteTable(
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

export const labels = sqliteTable(
  "labels",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    /** The name as it is compared: two labels of a workspace never differ in case only. */
    nameKey: text("name_key").notNull(),
    color: text("color").notNull(),
    revision: integer("revision").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: time("created_at").notNull(),
    updatedAt: time("updated_at").notNull(),
    deletedAt: time("deleted_at"),
    /** Of a label that was merged: the one that took its tasks. */
    mergedInto: text("merged_into"),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    uniqueIndex("labels_name").on(t.workspaceId, t.nameKey).where(sql`deleted_at is null`),
  ],
)

export const taskLabels = sqliteTable(
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

/** One row a relation: `relates` is kept with the smaller id first, the others from the one that blocks or duplicates. */
export const taskRelations = sqliteTable(
  "task_relations",
  {
    workspaceId: text("workspace_id").notNull(),
    taskId: text("task_id").notNull(),
    kind: text("kind", { enum: ["blocks", "relates", "duplicates"] }).notNull(),
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

/** The keys that a task had before it was moved to another project. */
export const taskAliases = sqliteTable(
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

export const taskFollowers = sqliteTable(
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

/** Who is told of what happens in a project: new tasks, and what is said about any of them. */
export const projectFollowers = sqliteTable(
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

/** The tasks and projects of which somebody wants to hear nothing, whatever else would tell them. */
export const mutes = sqliteTable(
  "mutes",
  {
    workspaceId: text("workspace_id").notNull(),
    userId: text("user_id").notNull(),
    /** A task or a project: their ids tell them apart. */
    subjectId: text("subject_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.userId, t.subjectId] })],
)

/** When somebody wants to be reminded of a task: at a time, or so long before it is due. One of the two is set. */
export const reminders = sqliteTable(
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

/** A deleted one stays, without its text: answers still make sense around it. */
export const comments = sqliteTable(
  "comments",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    taskId: text("task_id").notNull(),
    body: text("body").notNull(),
    /** The members whom the text names. */
    mentionIds: text("mention_ids", { mode: "json" }).$type<string[]>().notNull(),
    /** Whom the text means by which name: people are called something else later on. */
    mentionCalls: text("mention_calls", { mode: "json" }).$type<Record<string, string>>().notNull().default({}),
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

export const reactions = sqliteTable(
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

/** The log: one row per change, numbered per workspace without gaps. */
export const events = sqliteTable(
  "events",
  {
    workspaceId: text("workspace_id").notNull(),
    seq: integer("seq").notNull(),
    type: text("type").notNull(),
    subjectId: text("subject_id").notNull(),
    /** The subject's human key (WEB-42), where it has one. */
    subjectKey: text("subject_key"),
    // These two are taken by subquery inside the commit. The revision is null, and so refuses the whole commit, when the
    // row was not written as planned. Both databases tell the first NOT NULL column that breaks, in this order.
    actorRole: text("actor_role").notNull(),
    revision: integer("revision").notNull(),
    actorId: text("actor_id").notNull(),
    source: text("source").notNull(),
    projectId: text("project_id"),
    previousProjectId: text("previous_project_id"),
    commitId: text("commit_id").notNull(),
    data: text("data", { mode: "json" }).$type<EventData>().notNull(),
    at: time("at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.seq] }),
    uniqueIndex("events_subject_revision").on(t.workspaceId, t.subjectId, t.revision),
    index("events_project").on(t.workspaceId, t.projectId, t.seq).where(sql`project_id is not null`),
  ],
)

/** The changed fields in wire form, and nothing else. `before` is null for what was created, `after` for what was deleted. */
export type EventData = { before: Record<string, unknown> | null; after: Record<string, unknown> | null }

/** The stored answer to a request that carried an Idempotency-Key. */
export const receipts = sqliteTable(
  "receipts",
  {
    workspaceId: text("workspace_id").notNull(),
    actorId: text("actor_id").notNull(),
    key: text("key").notNull(),
    fingerprint: text("fingerprint").notNull(),
    answer: text("answer", {
      enum: ["created", "created_many", "made", "changed", "commented", "moved", "empty", "secret"],
    }).notNull(),
    /** The answer's body when it was known before the commit; what was created is read from its events instead. */
    body: text("body", { mode: "json" }).$type<Record<string, unknown>>(),
    firstSeq: integer("first_seq").notNull(),
    lastSeq: integer("last_seq").notNull(),
    commitId: text("commit_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.actorId, t.key] })],
)

/** Where the log of a workspace is sent. Its secrets follow from the instance key, so none is stored. */
export const webhooks = sqliteTable(
  "webhooks",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    url: text("url").notNull(),
    description: text("description").notNull(),
    /** Types of events; empty: all of them. */
    events: text("events", { mode: "json" }).$type<string[]>().notNull(),
    /** Null: every project that is open to the workspace. */
    projectIds: text("project_ids", { mode: "json" }).$type<string[]>(),
    /** Null: whatever labels a task has. */
    labelIds: text("label_ids", { mode: "json" }).$type<string[]>(),
    /** Which secret is the newest; the one before signs as well until `previousUntil`. */
    generation: integer("generation").notNull(),
    previousUntil: time("previous_until"),
    status: text("status", { enum: ["active", "disabled"] }).notNull(),
    /** Why it is disabled: by whom, or by which answer. */
    disabledReason: text("disabled_reason"),
    /** Since when no delivery has come through; null when the last one did. */
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

/** What is owed to a webhook: one row per event, which is the truth about it whatever queues carry. */
export const webhookDeliveries = sqliteTable(
  "webhook_deliveries",
  {
    workspaceId: text("workspace_id").notNull(),
    webhookId: text("webhook_id").notNull(),
    seq: integer("seq").notNull(),
    type: text("type").notNull(),
    status: text("status", { enum: ["pending", "delivered", "failed"] }).notNull(),
    attempts: integer("attempts").notNull(),
    /** When to try next; null when that is over. */
    nextAttemptAt: time("next_attempt_at"),
    /** The HTTP status of the last answer; null when none came. */
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

/** Each try of a delivery: what was sent, what came back, and how long it took. */
export const webhookAttempts = sqliteTable(
  "webhook_attempts",
  {
    workspaceId: text("workspace_id").notNull(),
    webhookId: text("webhook_id").notNull(),
    seq: integer("seq").notNull(),
    attempt: integer("attempt").notNull(),
    at: time("at").notNull(),
    durationMs: integer("duration_ms").notNull(),
    /** Null when no answer came; then `error` says why. */
    status: integer("status"),
    error: text("error"),
    request: text("request", { mode: "json" }).$type<Record<string, unknown>>().notNull(),
    response: text("response", { mode: "json" }).$type<Record<string, unknown>>(),
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

/** What runs in the background: how far it came, and how its last run went. */
export const jobs = sqliteTable("jobs", {
  name: text("name").primaryKey(),
  /** Where the next run goes on; null at the beginning. */
  cursor: text("cursor"),
  startedAt: time("started_at").notNull(),
  durationMs: integer("duration_ms").notNull(),
  /** How late it was for the oldest thing that it found to do; 0 when there was none. */
  lagMs: integer("lag_ms").notNull(),
  examined: integer("examined").notNull(),
  done: integer("done").notNull(),
  error: text("error"),
})
