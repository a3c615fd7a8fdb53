CREATE TABLE `events` (
	`workspace_id` text NOT NULL,
	`seq` integer NOT NULL,
	`type` text NOT NULL,
	`subject_id` text NOT NULL,
	`subject_key` text,
	`actor_role` text NOT NULL,
	`revision` integer NOT NULL,
	`actor_id` text NOT NULL,
	`source` text NOT NULL,
	`project_id` text,
	`previous_project_id` text,
	`commit_id` text NOT NULL,
	`data` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `seq`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `events_subject_revision` ON `events` (`workspace_id`,`subject_id`,`revision`);--> statement-breakpoint
CREATE TABLE `heads` (
	`workspace_id` text PRIMARY KEY NOT NULL,
	`seq` integer NOT NULL,
	`pumped_seq` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `identities` (
	`provider` text NOT NULL,
	`subject` text NOT NULL,
	`user_id` text NOT NULL,
	`secret` text NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`provider`, `subject`)
);
--> statement-breakpoint
CREATE INDEX `identities_user` ON `identities` (`user_id`);--> statement-breakpoint
CREATE TABLE `members` (
	`workspace_id` text NOT NULL,
	`user_id` text NOT NULL,
	`role` text NOT NULL,
	`name` text NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `user_id`)
);
--> statement-breakpoint
CREATE TABLE `memberships` (
	`user_id` text NOT NULL,
	`workspace_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`user_id`, `workspace_id`)
);
--> statement-breakpoint
CREATE TABLE `projects` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`key` text NOT NULL,
	`name` text NOT NULL,
	`description` text NOT NULL,
	`is_inbox` integer NOT NULL,
	`task_counter` integer NOT NULL,
	`revision` integer NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer,
	PRIMARY KEY(`workspace_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `projects_key` ON `projects` (`workspace_id`,`key`);--> statement-breakpoint
CREATE INDEX `projects_created` ON `projects` (`workspace_id`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `projects_updated` ON `projects` (`workspace_id`,`updated_at`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE TABLE `receipts` (
	`workspace_id` text NOT NULL,
	`actor_id` text NOT NULL,
	`key` text NOT NULL,
	`fingerprint` text NOT NULL,
	`answer` text NOT NULL,
	`body` text,
	`first_seq` integer NOT NULL,
	`last_seq` integer NOT NULL,
	`commit_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `actor_id`, `key`)
);
--> statement-breakpoint
CREATE TABLE `task_assignees` (
	`workspace_id` text NOT NULL,
	`task_id` text NOT NULL,
	`user_id` text NOT NULL,
	`due_sort` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `task_id`, `user_id`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `task_assignees_created` ON `task_assignees` (`workspace_id`,`user_id`,`task_id`);--> statement-breakpoint
CREATE INDEX `task_assignees_due` ON `task_assignees` (`workspace_id`,`user_id`,`due_sort`,`task_id`);--> statement-breakpoint
CREATE TABLE `tasks` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`project_id` text NOT NULL,
	`parent_id` text,
	`key` text NOT NULL,
	`title` text NOT NULL,
	`description` text NOT NULL,
	`status` text NOT NULL,
	`priority` integer NOT NULL,
	`start_date` text,
	`start_at` integer,
	`due_date` text,
	`due_at` integer,
	`due_sort` integer NOT NULL,
	`position` text NOT NULL,
	`revision` integer NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`completed_at` integer,
	`deleted_at` integer,
	PRIMARY KEY(`workspace_id`, `id`),
	FOREIGN KEY (`workspace_id`,`project_id`) REFERENCES `projects`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tasks_key` ON `tasks` (`workspace_id`,`key`);--> statement-breakpoint
CREATE INDEX `tasks_updated` ON `tasks` (`workspace_id`,`updated_at`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `tasks_due` ON `tasks` (`workspace_id`,`due_sort`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `tasks_project_created` ON `tasks` (`workspace_id`,`project_id`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `tasks_project_position` ON `tasks` (`workspace_id`,`project_id`,`position`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `tasks_project_updated` ON `tasks` (`workspace_id`,`project_id`,`updated_at`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `tasks_project_due` ON `tasks` (`workspace_id`,`project_id`,`due_sort`,`id`) WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX `tasks_parent_position` ON `tasks` (`workspace_id`,`parent_id`,`position`,`id`) WHERE deleted_at is null and parent_id is not null;--> statement-breakpoint
CREATE TABLE `user_events` (
	`user_id` text NOT NULL,
	`revision` integer NOT NULL,
	`type` text NOT NULL,
	`data` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`user_id`, `revision`)
);
--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`email` text NOT NULL,
	`name` text NOT NULL,
	`time_zone` text NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `workspaces` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`inbox_id` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL
);
