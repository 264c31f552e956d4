ALTER TABLE `segments` ADD `language` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `keyterms` text DEFAULT '[]' NOT NULL;