import { type MigrationMeta, readMigrationFiles } from "drizzle-orm/migrator";

/** Reads the migrations that drizzle-kit wrote. The executable embeds them at its build. */
export function readMigrations(folder: string): MigrationMeta[] {
  return readMigrationFiles({ migrationsFolder: folder });
}
