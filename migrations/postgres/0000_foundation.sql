CREATE TABLE "events" (
	"workspace_id" text collate "C" NOT NULL,
	"seq" bigint NOT NULL,
	"type" text collate "C" NOT NULL,
	"subject_id" text collate "C" NOT NULL,
	"subject_key" text collate "C",
	"actor_role" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"actor_id" text collate "C" NOT NULL,
	"source" text collate "C" NOT NULL,
	"project_id" text collate "C",
	"previous_project_id" text collate "C",
	"commit_id" text collate "C" NOT NULL,
	"data" json NOT NULL,
	"at" bigint NOT NULL,
	CONSTRAINT "events_workspace_id_seq_pk" PRIMARY KEY("workspace_id","seq")
);
--> statement-breakpoint
CREATE TABLE "heads" (
	"workspace_id" text collate "C" PRIMARY KEY NOT NULL,
	"seq" bigint NOT NULL,
	"pumped_seq" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "identities" (
	"provider" text collate "C" NOT NULL,
	"subject" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"secret" text collate "C" NOT NULL,
	"updated_at" bigint NOT NULL,
	CONSTRAINT "identities_provider_subject_pk" PRIMARY KEY("provider","subject")
);
--> statement-breakpoint
CREATE TABLE "members" (
	"workspace_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"role" text collate "C" NOT NULL,
	"name" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	CONSTRAINT "members_workspace_id_user_id_pk" PRIMARY KEY("workspace_id","user_id")
);
--> statement-breakpoint
CREATE TABLE "memberships" (
	"user_id" text collate "C" NOT NULL,
	"workspace_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "memberships_user_id_workspace_id_pk" PRIMARY KEY("user_id","workspace_id")
);
--> statement-breakpoint
CREATE TABLE "projects" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"key" text collate "C" NOT NULL,
	"name" text collate "C" NOT NULL,
	"description" text collate "C" NOT NULL,
	"is_inbox" boolean NOT NULL,
	"task_counter" bigint NOT NULL,
	"revision" bigint NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"deleted_at" bigint,
	CONSTRAINT "projects_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "receipts" (
	"workspace_id" text collate "C" NOT NULL,
	"actor_id" text collate "C" NOT NULL,
	"key" text collate "C" NOT NULL,
	"fingerprint" text collate "C" NOT NULL,
	"answer" text collate "C" NOT NULL,
	"body" json,
	"first_seq" bigint NOT NULL,
	"last_seq" bigint NOT NULL,
	"commit_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "receipts_workspace_id_actor_id_key_pk" PRIMARY KEY("workspace_id","actor_id","key")
);
--> statement-breakpoint
CREATE TABLE "task_assignees" (
	"workspace_id" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"due_sort" bigint NOT NULL,
	CONSTRAINT "task_assignees_workspace_id_task_id_user_id_pk" PRIMARY KEY("workspace_id","task_id","user_id")
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"project_id" text collate "C" NOT NULL,
	"parent_id" text collate "C",
	"key" text collate "C" NOT NULL,
	"title" text collate "C" NOT NULL,
	"description" text collate "C" NOT NULL,
	"status" text collate "C" NOT NULL,
	"priority" bigint NOT NULL,
	"start_date" text collate "C",
	"start_at" bigint,
	"due_date" text collate "C",
	"due_at" bigint,
	"due_sort" bigint NOT NULL,
	"position" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"completed_at" bigint,
	"deleted_at" bigint,
	CONSTRAINT "tasks_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "user_events" (
	"user_id" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"type" text collate "C" NOT NULL,
	"data" json NOT NULL,
	"at" bigint NOT NULL,
	CONSTRAINT "user_events_user_id_revision_pk" PRIMARY KEY("user_id","revision")
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"email" text collate "C" NOT NULL,
	"name" text collate "C" NOT NULL,
	"time_zone" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "workspaces" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"name" text collate "C" NOT NULL,
	"inbox_id" text collate "C" NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "task_assignees" ADD CONSTRAINT "task_assignees_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_workspace_id_project_id_projects_workspace_id_id_fk" FOREIGN KEY ("workspace_id","project_id") REFERENCES "public"."projects"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "events_subject_revision" ON "events" USING btree ("workspace_id","subject_id","revision");--> statement-breakpoint
CREATE INDEX "identities_user" ON "identities" USING btree ("user_id");--> statement-breakpoint
CREATE UNIQUE INDEX "projects_key" ON "projects" USING btree ("workspace_id","key");--> statement-breakpoint
CREATE INDEX "projects_created" ON "projects" USING btree ("workspace_id","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "projects_updated" ON "projects" USING btree ("workspace_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "task_assignees_created" ON "task_assignees" USING btree ("workspace_id","user_id","task_id");--> statement-breakpoint
CREATE INDEX "task_assignees_due" ON "task_assignees" USING btree ("workspace_id","user_id","due_sort","task_id");--> statement-breakpoint
CREATE UNIQUE INDEX "tasks_key" ON "tasks" USING btree ("workspace_id","key");--> statement-breakpoint
CREATE INDEX "tasks_updated" ON "tasks" USING btree ("workspace_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "tasks_due" ON "tasks" USING btree ("workspace_id","due_sort","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "tasks_project_created" ON "tasks" USING btree ("workspace_id","project_id","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "tasks_project_position" ON "tasks" USING btree ("workspace_id","project_id","position","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "tasks_project_updated" ON "tasks" USING btree ("workspace_id","project_id","updated_at","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "tasks_project_due" ON "tasks" USING btree ("workspace_id","project_id","due_sort","id") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "tasks_parent_position" ON "tasks" USING btree ("workspace_id","parent_id","position","id") WHERE deleted_at is null and parent_id is not null;