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
  name: text("name").notNull(),
  timeZone: text("time_zone").notNull(),
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
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.userId] })],
)

export const projects = sqliteTable(
  "projects",
  {
    workspaceId: text("workspace_id").notNull(),
    id: text("id").notNull(),
    key: text("key").notNull(),
    name: text("name").notNull(),
    description: text("description").notNull(),
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
    // These two are taken by subquery inside the commit. Null, and so a refusal of the whole commit, is what they are
    // when the actor may no longer do this or the row was not written as planned; the first of them is told.
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
    answer: text("answer", { enum: ["created", "created_many", "changed", "empty"] }).notNull(),
    /** The answer's body when it was known before the commit; what was created is read from its events instead. */
    body: text("body", { mode: "json" }).$type<Record<string, unknown>>(),
    firstSeq: integer("first_seq").notNull(),
    lastSeq: integer("last_seq").notNull(),
    commitId: text("commit_id").notNull(),
    createdAt: time("created_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.actorId, t.key] })],
)
