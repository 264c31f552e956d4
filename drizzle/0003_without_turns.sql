DROP TABLE `turns`;--> statement-breakpoint
ALTER TABLE `sessions` DROP COLUMN `node`;