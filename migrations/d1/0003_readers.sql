CREATE TABLE `jobs` (
	`name` text PRIMARY KEY NOT NULL,
	`cursor` text,
	`started_at` integer NOT NULL,
	`duration_ms` integer NOT NULL,
	`lag_ms` integer NOT NULL,
	`examined` integer NOT NULL,
	`done` integer NOT NULL,
	`error` text
);
--> statement-breakpoint
CREATE TABLE `mutes` (
	`workspace_id` text NOT NULL,
	`user_id` text NOT NULL,
	`subject_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `user_id`, `subject_id`)
);
--> statement-breakpoint
CREATE TABLE `project_followers` (
	`workspace_id` text NOT NULL,
	`project_id` text NOT NULL,
	`user_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `project_id`, `user_id`),
	FOREIGN KEY (`workspace_id`,`project_id`) REFERENCES `projects`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `reminders` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`task_id` text NOT NULL,
	`user_id` text NOT NULL,
	`at` integer,
	`before_ms` integer,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `reminders_task` ON `reminders` (`workspace_id`,`task_id`,`user_id`,`id`);--> statement-breakpoint
CREATE TABLE `webhook_attempts` (
	`workspace_id` text NOT NULL,
	`webhook_id` text NOT NULL,
	`seq` integer NOT NULL,
	`attempt` integer NOT NULL,
	`at` integer NOT NULL,
	`duration_ms` integer NOT NULL,
	`status` integer,
	`error` text,
	`request` text NOT NULL,
	`response` text,
	PRIMARY KEY(`workspace_id`, `webhook_id`, `seq`, `attempt`),
	FOREIGN KEY (`workspace_id`,`webhook_id`,`seq`) REFERENCES `webhook_deliveries`(`workspace_id`,`webhook_id`,`seq`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `webhook_deliveries` (
	`workspace_id` text NOT NULL,
	`webhook_id` text NOT NULL,
	`seq` integer NOT NULL,
	`type` text NOT NULL,
	`status` text NOT NULL,
	`attempts` integer NOT NULL,
	`next_attempt_at` integer,
	`last_status` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `webhook_id`, `seq`),
	FOREIGN KEY (`workspace_id`,`webhook_id`) REFERENCES `webhooks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `webhook_deliveries_due` ON `webhook_deliveries` (`workspace_id`,`webhook_id`,`next_attempt_at`,`seq`) WHERE next_attempt_at is not null;--> statement-breakpoint
CREATE TABLE `webhooks` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`url` text NOT NULL,
	`description` text NOT NULL,
	`events` text NOT NULL,
	`project_ids` text,
	`label_ids` text,
	`generation` integer NOT NULL,
	`previous_until` integer,
	`status` text NOT NULL,
	`disabled_reason` text,
	`failing_since` integer,
	`revision` integer NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer,
	PRIMARY KEY(`workspace_id`, `id`)
);
--> statement-breakpoint
CREATE INDEX `webhooks_live` ON `webhooks` (`workspace_id`,`id`) WHERE deleted_at is null;--> statement-breakpoint
-- What was logged before there were readers is nobody's news.
UPDATE `heads` SET `pumped_seq` = `seq`;
