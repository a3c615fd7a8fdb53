CREATE TABLE `api_keys` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`user_id` text NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`hint` text NOT NULL,
	`scopes` text NOT NULL,
	`expires_at` integer,
	`last_used_at` integer,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`revoked_at` integer,
	PRIMARY KEY(`workspace_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_hash` ON `api_keys` (`workspace_id`,`hash`);--> statement-breakpoint
CREATE INDEX `api_keys_user` ON `api_keys` (`workspace_id`,`user_id`,`id`) WHERE revoked_at is null;--> statement-breakpoint
CREATE TABLE `comments` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`task_id` text NOT NULL,
	`body` text NOT NULL,
	`mention_ids` text NOT NULL,
	`revision` integer NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`edited_at` integer,
	`deleted_at` integer,
	PRIMARY KEY(`workspace_id`, `id`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `comments_task` ON `comments` (`workspace_id`,`task_id`,`id`);--> statement-breakpoint
CREATE TABLE `favourites` (
	`workspace_id` text NOT NULL,
	`user_id` text NOT NULL,
	`project_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `user_id`, `project_id`),
	FOREIGN KEY (`workspace_id`,`project_id`) REFERENCES `projects`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `invitations` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`email` text NOT NULL,
	`role` text NOT NULL,
	`status` text NOT NULL,
	`generation` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revision` integer NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `invitations_email` ON `invitations` (`workspace_id`,`email`) WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX `invitations_pending` ON `invitations` (`workspace_id`,`id`) WHERE status = 'pending';--> statement-breakpoint
CREATE TABLE `invitees` (
	`email` text NOT NULL,
	`workspace_id` text NOT NULL,
	`invitation_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`email`, `workspace_id`, `invitation_id`)
);
--> statement-breakpoint
CREATE TABLE `labels` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`name_key` text NOT NULL,
	`color` text NOT NULL,
	`revision` integer NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer,
	`merged_into` text,
	PRIMARY KEY(`workspace_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `labels_name` ON `labels` (`workspace_id`,`name_key`) WHERE deleted_at is null;--> statement-breakpoint
CREATE TABLE `profiles` (
	`workspace_id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer
);
--> statement-breakpoint
CREATE TABLE `project_members` (
	`workspace_id` text NOT NULL,
	`project_id` text NOT NULL,
	`user_id` text NOT NULL,
	`level` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `project_id`, `user_id`),
	FOREIGN KEY (`workspace_id`,`project_id`) REFERENCES `projects`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `project_members_user` ON `project_members` (`workspace_id`,`user_id`,`project_id`);--> statement-breakpoint
CREATE TABLE `reactions` (
	`workspace_id` text NOT NULL,
	`comment_id` text NOT NULL,
	`emoji` text NOT NULL,
	`user_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `comment_id`, `emoji`, `user_id`),
	FOREIGN KEY (`workspace_id`,`comment_id`) REFERENCES `comments`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `task_aliases` (
	`workspace_id` text NOT NULL,
	`key` text NOT NULL,
	`task_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `key`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `task_followers` (
	`workspace_id` text NOT NULL,
	`task_id` text NOT NULL,
	`user_id` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `task_id`, `user_id`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `task_followers_user` ON `task_followers` (`workspace_id`,`user_id`,`task_id`);--> statement-breakpoint
CREATE TABLE `task_labels` (
	`workspace_id` text NOT NULL,
	`task_id` text NOT NULL,
	`label_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `task_id`, `label_id`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`workspace_id`,`label_id`) REFERENCES `labels`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `task_labels_label` ON `task_labels` (`workspace_id`,`label_id`,`task_id`);--> statement-breakpoint
CREATE TABLE `task_relations` (
	`workspace_id` text NOT NULL,
	`task_id` text NOT NULL,
	`kind` text NOT NULL,
	`other_id` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `task_id`, `kind`, `other_id`),
	FOREIGN KEY (`workspace_id`,`task_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`workspace_id`,`other_id`) REFERENCES `tasks`(`workspace_id`,`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `task_relations_other` ON `task_relations` (`workspace_id`,`other_id`,`kind`,`task_id`);--> statement-breakpoint
ALTER TABLE `members` ADD `removed_at` integer;--> statement-breakpoint
CREATE INDEX `members_role` ON `members` (`workspace_id`,`role`,`user_id`) WHERE removed_at is null;--> statement-breakpoint
ALTER TABLE `projects` ADD `visibility` text DEFAULT 'workspace' NOT NULL;--> statement-breakpoint
ALTER TABLE `users` ADD `email_verified_at` integer;--> statement-breakpoint
ALTER TABLE `users` ADD `settings` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `workspaces` ADD `deleted_at` integer;--> statement-breakpoint
CREATE INDEX `events_project` ON `events` (`workspace_id`,`project_id`,`seq`) WHERE project_id is not null;--> statement-breakpoint
INSERT INTO `profiles` (`workspace_id`, `name`, `revision`, `created_at`, `updated_at`) SELECT `id`, `name`, 1, `created_at`, `created_at` FROM `workspaces` WHERE `id` IN (SELECT `workspace_id` FROM `heads`);
