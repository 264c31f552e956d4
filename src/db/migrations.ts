import { type MigrationMeta, readMigrationFiles } from "drizzle-orm/migrator";

/** Reads what drizzle-kit wrote (`drizzle/`). The executable has it inside, read by its build. */
export function readMigrations(folder: string): MigrationMeta[] {
  return readMigrationFiles({ migrationsFolder: folder });
}
