CREATE TABLE `events` (
	`session_id` text NOT NULL,
	`seq` integer NOT NULL,
	`at` integer NOT NULL,
	`type` text NOT NULL,
	`data` text NOT NULL,
	`interim` integer NOT NULL,
	PRIMARY KEY(`session_id`, `seq`),
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `events_interim` ON `events` (`session_id`) WHERE "events"."interim" = 1;--> statement-breakpoint
CREATE INDEX `events_session` ON `events` (`session_id`,`seq`) WHERE "events"."type" = 'session';--> statement-breakpoint
CREATE TABLE `segments` (
	`session_id` text NOT NULL,
	`seq` integer NOT NULL,
	`segment_id` text NOT NULL,
	`role` text NOT NULL,
	`identity` text NOT NULL,
	`text` text NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer NOT NULL,
	`interrupted` integer NOT NULL,
	PRIMARY KEY(`session_id`, `seq`),
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "segments_role" CHECK("segments"."role" in ('user', 'agent'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `segments_segment` ON `segments` (`session_id`,`segment_id`);--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`room` text NOT NULL,
	`identity` text,
	`name` text,
	`system_prompt` text NOT NULL,
	`greeting` text,
	`voice` text NOT NULL,
	`language` text,
	`stt_model` text NOT NULL,
	`llm_model` text NOT NULL,
	`tts_model` text NOT NULL,
	`state` text NOT NULL,
	`started_at` integer NOT NULL,
	`ended_at` integer,
	`end_reason` text,
	`node` text NOT NULL,
	CONSTRAINT "sessions_state" CHECK("sessions"."state" in ('starting', 'active', 'ending', 'ended'))
);
--> statement-breakpoint
CREATE INDEX `sessions_newest` ON `sessions` (`started_at`,`id`);--> statement-breakpoint
CREATE INDEX `sessions_ended` ON `sessions` (`ended_at`);--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_live_room` ON `sessions` (`room`) WHERE "sessions"."state" <> 'ended';--> statement-breakpoint
CREATE TABLE `turns` (
	`session_id` text NOT NULL,
	`seq` integer NOT NULL,
	`turn_id` text NOT NULL,
	`at` integer NOT NULL,
	`endpointing_ms` integer,
	`stt_ms` integer,
	`llm_ttft_ms` integer,
	`tts_ttfb_ms` integer,
	`voice_to_voice_ms` integer,
	`prompt_tokens` integer,
	`completion_tokens` integer,
	PRIMARY KEY(`session_id`, `seq`),
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `turns_turn` ON `turns` (`session_id`,`turn_id`);