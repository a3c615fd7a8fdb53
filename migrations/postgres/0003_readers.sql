CREATE TABLE "jobs" (
	"name" text collate "C" PRIMARY KEY NOT NULL,
	"cursor" text collate "C",
	"started_at" bigint NOT NULL,
	"duration_ms" bigint NOT NULL,
	"lag_ms" bigint NOT NULL,
	"examined" bigint NOT NULL,
	"done" bigint NOT NULL,
	"error" text collate "C"
);
--> statement-breakpoint
CREATE TABLE "mutes" (
	"workspace_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"subject_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "mutes_workspace_id_user_id_subject_id_pk" PRIMARY KEY("workspace_id","user_id","subject_id")
);
--> statement-breakpoint
CREATE TABLE "project_followers" (
	"workspace_id" text collate "C" NOT NULL,
	"project_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	CONSTRAINT "project_followers_workspace_id_project_id_user_id_pk" PRIMARY KEY("workspace_id","project_id","user_id")
);
--> statement-breakpoint
CREATE TABLE "reminders" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"task_id" text collate "C" NOT NULL,
	"user_id" text collate "C" NOT NULL,
	"at" bigint,
	"before_ms" bigint,
	"created_at" bigint NOT NULL,
	CONSTRAINT "reminders_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
CREATE TABLE "webhook_attempts" (
	"workspace_id" text collate "C" NOT NULL,
	"webhook_id" text collate "C" NOT NULL,
	"seq" bigint NOT NULL,
	"attempt" bigint NOT NULL,
	"at" bigint NOT NULL,
	"duration_ms" bigint NOT NULL,
	"status" bigint,
	"error" text collate "C",
	"request" json NOT NULL,
	"response" json,
	CONSTRAINT "webhook_attempts_workspace_id_webhook_id_seq_attempt_pk" PRIMARY KEY("workspace_id","webhook_id","seq","attempt")
);
--> statement-breakpoint
CREATE TABLE "webhook_deliveries" (
	"workspace_id" text collate "C" NOT NULL,
	"webhook_id" text collate "C" NOT NULL,
	"seq" bigint NOT NULL,
	"type" text collate "C" NOT NULL,
	"status" text collate "C" NOT NULL,
	"attempts" bigint NOT NULL,
	"next_attempt_at" bigint,
	"last_status" bigint,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	CONSTRAINT "webhook_deliveries_workspace_id_webhook_id_seq_pk" PRIMARY KEY("workspace_id","webhook_id","seq")
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"workspace_id" text collate "C" NOT NULL,
	"id" text collate "C" NOT NULL,
	"url" text collate "C" NOT NULL,
	"description" text collate "C" NOT NULL,
	"events" json NOT NULL,
	"project_ids" json,
	"label_ids" json,
	"generation" bigint NOT NULL,
	"previous_until" bigint,
	"status" text collate "C" NOT NULL,
	"disabled_reason" text collate "C",
	"failing_since" bigint,
	"revision" bigint NOT NULL,
	"created_by" text collate "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"deleted_at" bigint,
	CONSTRAINT "webhooks_workspace_id_id_pk" PRIMARY KEY("workspace_id","id")
);
--> statement-breakpoint
ALTER TABLE "project_followers" ADD CONSTRAINT "project_followers_workspace_id_project_id_projects_workspace_id_id_fk" FOREIGN KEY ("workspace_id","project_id") REFERENCES "public"."projects"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "reminders" ADD CONSTRAINT "reminders_workspace_id_task_id_tasks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","task_id") REFERENCES "public"."tasks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_attempts" ADD CONSTRAINT "webhook_attempts_workspace_id_webhook_id_seq_webhook_deliveries_workspace_id_webhook_id_seq_fk" FOREIGN KEY ("workspace_id","webhook_id","seq") REFERENCES "public"."webhook_deliveries"("workspace_id","webhook_id","seq") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_workspace_id_webhook_id_webhooks_workspace_id_id_fk" FOREIGN KEY ("workspace_id","webhook_id") REFERENCES "public"."webhooks"("workspace_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "reminders_task" ON "reminders" USING btree ("workspace_id","task_id","user_id","id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_due" ON "webhook_deliveries" USING btree ("workspace_id","webhook_id","next_attempt_at","seq") WHERE next_attempt_at is not null;--> statement-breakpoint
CREATE INDEX "webhooks_live" ON "webhooks" USING btree ("workspace_id","id") WHERE deleted_at is null;--> statement-breakpoint
-- What was logged before there were readers is nobody's news.
UPDATE "heads" SET "pumped_seq" = "seq";
