CREATE TABLE "api_keys" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"name" text collate "C" NOT NULL,
	"hash" text collate "C" NOT NULL,
	"hint" text collate "C" NOT NULL,
	"scopes" json NOT NULL,
	"expires_at" bigint,
	"last_used_at" bigint,
	"revision" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"revoked_at" bigint,
	CONSTRAINT "api_keys_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "comments" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	"body" text collate "C" NOT NULL,
	"mention_ids" json NOT NULL,
	"revision" bigint NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"edited_at" bigint,
	"deleted_at" bigint,
	CONSTRAINT "comments_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "favourites" (
	"workspace_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"project_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "favourites_workspace_id_user_id_project_id_pk" PRIMARY KEY("workspace_id","user_id","project_id")
);
--> statement-breakpoint
CREATE TABLE "invitations" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"email" text collate "C" NOT NULL,
	"role" text collate "C" NOT NULL,
	"status" text collate "C" NOT NULL,
	"generation" bigint NOT NULL,
	"expires_at" bigint NOT NULL,
	"revision" bigint NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	CONSTRAINT "invitations_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "invitees" (
	"email" text collate "C" NOT NULL,
	"workspace_id" text collate "C" NOT NULL,
	"invitation_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "invitees_email_workspace_id_invitation_id_pk" PRIMARY KEY("email","workspace_id","invitation_id")
);
--> statement-breakpoint
CREATE TABLE "labels" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"name" text collate "C" NOT NULL,
	"name_key" text collate "C" NOT NULL,
	"color" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"deleted_at" bigint,
	"merged_into" text collate "C",
	CONSTRAINT "labels_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "profiles" (
	"workspace_id" text collate "C" PRIMARY KEY NOT NULL,
	"name" text collate "C" NOT NULL,
	"revision" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"deleted_at" bigint
);
--> statement-breakpoint
CREATE TABLE "project_members" (
	"workspace_id" text collate "C" NOT NULL,
	"project_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"level" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "project_members_workspace_id_project_id_user_id_pk" PRIMARY KEY("workspace_id","project_id","user_id")
);
--> statement-breakpoint
CREATE TABLE "reactions" (
	"workspace_id" text collate "C" NOT NULL,
	"comment_id" text collate "C" NOT NULL,
	"emoji" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "reactions_workspace_id_comment_id_emoji_user_id_pk" PRIMARY KEY("workspace_id","comment_id","emoji","user_id")
);
--> statement-breakpoint
CREATE TABLE "task_aliases" (
	"workspace_id" text collate "C" NOT NULL,
	"key" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	CONSTRAINT "task_aliases_workspace_id_key_pk" PRIMARY KEY("workspace_id","key")
);
--> statement-breakpoint
CREATE TABLE "task_followers" (
	"workspace_id" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "task_followers_workspace_id_task_id_user_id_pk" PRIMARY KEY("workspace_id","task_id","user_id")
);
--> statement-breakpoint
CREATE TABLE "task_labels" (
	"workspace_id" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	"label_id" text collate "C" NOT NULL,
	CONSTRAINT "task_labels_workspace_id_task_id_label_id_pk" PRIMARY KEY("workspace_id","task_id","label_id")
);
--> statement-breakpoint
CREATE TABLE "task_relations" (
	"workspace_id" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	"kind" text collate "C" NOT NULL,
	"other_id" text collate "C" NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "task_relations_workspace_id_task_id_kind_other_id_pk" PRIMARY KEY("workspace_id","task_id","kind","other_id")
);
--> statement-breakpoint
ALTER TABLE "members" ADD COLUMN "removed_at" bigint;--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "visibility" text collate "C" DEFAULT 'workspace' NOT NULL;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "email_verified_at" bigint;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "settings" json DEFAULT '{}'::json NOT NULL;--> statement-breakpoint
ALTER TABLE "workspaces" ADD COLUMN "deleted_at" bigint;--> statement-breakpoint
ALTER TABLE "comments" ADD CONSTRAINT "comments_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "favourites" ADD CONSTRAINT "favourites_workspace_id_project_id_projects_workspace_id_id_fk" FOREIGN KEY ("workspace_id","project_id") REFERENCES "public"."projects"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "project_members" ADD CONSTRAINT "project_members_workspace_id_project_id_projects_workspace_id_id_fk" FOREIGN KEY ("workspace_id","project_id") REFERENCES "public"."projects"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "reactions" ADD CONSTRAINT "reactions_workspace_id_comment_id_comments_workspace_id_id_fk" FOREIGN KEY ("workspace_id","comment_id") REFERENCES "public"."comments"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_aliases" ADD CONSTRAINT "task_aliases_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_followers" ADD CONSTRAINT "task_followers_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_labels" ADD CONSTRAINT "task_labels_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_labels" ADD CONSTRAINT "task_labels_workspace_id_label_id_labels_workspace_id_id_fk" FOREIGN KEY ("workspace_id","label_id") REFERENCES "public"."labels"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_relations" ADD CONSTRAINT "task_relations_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_relations" ADD CONSTRAINT "task_relations_workspace_id_other_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","other_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_hash" ON "api_keys" USING btree ("workspace_id","hash");--> statement-breakpoint
CREATE INDEX "api_keys_user" ON "api_keys" USING btree ("workspace_id","user_id","id") WHERE revoked_at is null;--> statement-breakpoint
CREATE INDEX "comments_task" ON "comments" USING btree ("workspace_id","task_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "invitations_email" ON "invitations" USING btree ("workspace_id","email") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "invitations_pending" ON "invitations" USING btree ("workspace_id","id") WHERE status = 'pending';--> statement-breakpoint
CREATE UNIQUE INDEX "labels_name" ON "labels" USING btree ("workspace_id","name_key") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "project_members_user" ON "project_members" USING btree ("workspace_id","user_id","project_id");--> statement-breakpoint
CREATE INDEX "task_followers_user" ON "task_followers" USING btree ("workspace_id","user_id","task_id");--> statement-breakpoint
CREATE INDEX "task_labels_label" ON "task_labels" USING btree ("workspace_id","label_id","task_id");--> statement-breakpoint
CREATE INDEX "task_relations_other" ON "task_relations" USING btree ("workspace_id","other_id","kind","task_id");--> statement-breakpoint
CREATE INDEX "events_project" ON "events" USING btree ("workspace_id","project_id","seq") WHERE project_id is not null;--> statement-breakpoint
CREATE INDEX "members_role" ON "members" USING btree ("workspace_id","role","user_id") WHERE removed_at is null;--> statement-breakpoint
INSERT INTO "profiles" ("workspace_id", "name", "revision", "created_at", "updated_at") SELECT "id", "name", 1, "created_at", "created_at" FROM "workspaces" WHERE "id" IN (SELECT "workspace_id" FROM "heads");
