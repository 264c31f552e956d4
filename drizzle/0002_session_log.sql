-- What belongs to sessions that were deleted by hand; references were not checked there.
DELETE FROM `events` WHERE `session_id` NOT IN (SELECT `id` FROM `sessions`);--> statement-breakpoint
DELETE FROM `segments` WHERE `session_id` NOT IN (SELECT `id` FROM `sessions`);--> statement-breakpoint
CREATE TABLE `interims` (
	`session_id` text NOT NULL,
	`segment_id` text NOT NULL,
	`seq` integer NOT NULL,
	`at` integer NOT NULL,
	`data` text NOT NULL,
	PRIMARY KEY(`session_id`, `segment_id`),
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `sessions` ADD `segments` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `sessions` ADD `turns` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `sessions` ADD `languages` text DEFAULT '{}' NOT NULL;--> statement-breakpoint

-- A session whose end is logged has ended, and a session that has ended has its end logged.
UPDATE `sessions` SET `state` = 'ended', `ended_at` = `end`.`at`, `end_reason` = `end`.`reason`
FROM (
	SELECT `session_id`, max(`at`) AS `at`, json_extract(`data`, '$.reason') AS `reason` FROM `events`
	WHERE `type` = 'session' AND json_extract(`data`, '$.state') = 'ended'
		AND `session_id` IN (SELECT `id` FROM `sessions` WHERE `state` <> 'ended')
	GROUP BY `session_id`
) AS `end`
WHERE `sessions`.`id` = `end`.`session_id`;--> statement-breakpoint
INSERT INTO `events` (`session_id`, `seq`, `at`, `type`, `data`, `interim`)
SELECT `id`, 1 + ifnull((SELECT max(`seq`) FROM `events` WHERE `session_id` = `id`), 0),
	ifnull(`ended_at`, `started_at`), 'session',
	iif(`end_reason` IS NULL, '{"state":"ended"}', json_object('state', 'ended', 'reason', `end_reason`)), 0
FROM `sessions`
WHERE `state` = 'ended' AND NOT EXISTS (
	SELECT 1 FROM `events`
	WHERE `session_id` = `id` AND `type` = 'session' AND json_extract(`data`, '$.state') = 'ended'
);--> statement-breakpoint

-- Of a session that still runs, the newest interim of each open segment is kept apart.
INSERT INTO `interims` (`session_id`, `segment_id`, `seq`, `at`, `data`)
SELECT `session_id`, json_extract(`data`, '$.segment_id') AS `segment`, max(`seq`), `at`, `data` FROM `events`
WHERE `interim` = 1
	AND `session_id` IN (SELECT `id` FROM `sessions` WHERE `state` <> 'ended' OR `end_reason` = 'crashed')
GROUP BY `session_id`, `segment`
HAVING NOT EXISTS (
	SELECT 1 FROM `segments`
	WHERE `segments`.`session_id` = `events`.`session_id` AND `segments`.`segment_id` = `segment`
);--> statement-breakpoint
DELETE FROM `events` WHERE (`session_id`, `seq`) IN (SELECT `session_id`, `seq` FROM `interims`);--> statement-breakpoint

-- Of a session that crashed, it is what was said, and becomes final where it was.
INSERT INTO `events` (`session_id`, `seq`, `at`, `type`, `data`, `interim`)
SELECT `session_id`, `seq`, `at`, 'transcript', json_set(`data`, '$.final', json('true'), '$.interrupted', json('true')), 0
FROM `interims` JOIN `sessions` ON `id` = `session_id` WHERE `state` = 'ended';--> statement-breakpoint
INSERT INTO `segments` (`session_id`, `seq`, `segment_id`, `role`, `identity`, `text`, `started_at`, `ended_at`, `interrupted`)
SELECT `session_id`, `seq`, `segment_id`, json_extract(`data`, '$.role'), json_extract(`data`, '$.identity'),
	json_extract(`data`, '$.text'), cast(round(json_extract(`data`, '$.started_at')) AS integer), `at`, 1
FROM `interims` JOIN `sessions` ON `id` = `session_id` WHERE `state` = 'ended';--> statement-breakpoint
DELETE FROM `interims` WHERE `session_id` IN (SELECT `id` FROM `sessions` WHERE `state` = 'ended');--> statement-breakpoint

UPDATE `sessions` SET
	`segments` = (SELECT count(*) FROM `segments` WHERE `session_id` = `id`),
	`turns` = (SELECT count(*) FROM `turns` WHERE `session_id` = `id`);--> statement-breakpoint
UPDATE `sessions` SET `languages` = `heard`.`languages`
FROM (
	SELECT `session_id`, json_group_object(`language`, `count` ORDER BY `first`) AS `languages` FROM (
		SELECT `session_id`, `language`, count(*) AS `count`, min(`seq`) AS `first` FROM `segments`
		WHERE `language` IS NOT NULL GROUP BY `session_id`, `language`
	) GROUP BY `session_id`
) AS `heard`
WHERE `sessions`.`id` = `heard`.`session_id`;--> statement-breakpoint

DROP INDEX `sessions_ended`;--> statement-breakpoint
DROP INDEX `sessions_live_room`;--> statement-breakpoint
CREATE INDEX `sessions_live` ON `sessions` (`state`) WHERE "sessions"."state" <> 'ended';
