// `npm run check`: checks everything about the code that can be checked without running it.
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { ROOT } from "./paths.ts";

export interface CheckResult {
  name: string;
  ok: boolean;
  /** What the tool printed; shown if the check fails. */
  output: string;
  seconds: number;
}

const CHECKS: Record<string, () => Promise<Outcome>> = {
  "format and lint": () =>
    tool("@biomejs/biome/bin/biome", ["ci", "--error-on-warnings", "--colors=off"]),
  types: () => tool("typescript/bin/tsc", ["--noEmit", "--project", "."]),
  // Separate, since a browser has other globals than the server.
  "types in the browser": () =>
    tool("typescript/bin/tsc", ["--noEmit", "--project", "tsconfig.browser.json"]),
  "unused code": () => tool("knip/bin/knip-bun.js", ["--no-progress"]),
  migrations: checkMigrations,
};

interface Outcome {
  ok: boolean;
  output: string;
}

/** Runs every check. @param onResult called for each as it ends */
export async function runChecks(onResult: (result: CheckResult) => void): Promise<CheckResult[]> {
  return Promise.all(
    Object.entries(CHECKS).map(async ([name, check]) => {
      const startedAt = performance.now();
      const outcome = await check();
      const result = { name, ...outcome, seconds: (performance.now() - startedAt) / 1000 };
      onResult(result);
      return result;
    }),
  );
}

/** Prints one line for a check, and its output if it failed. */
export function printCheck({ name, ok, output, seconds }: CheckResult): void {
  console.log(`${ok ? "✓" : "✗"} ${name} (${seconds.toFixed(1)} s)`);
  if (!ok) console.log(output.trim());
}

async function tool(script: string, args: string[]): Promise<Outcome> {
  // With this Bun, since Node may be too old for a tool, or missing.
  const command = [process.execPath, join(ROOT, "node_modules", script), ...args];
  const child = Bun.spawn(command, {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const output = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { ok: (await child.exited) === 0, output: output.join("") };
}

/** Checks that the migrations are valid, and that generating them from the schema adds none. */
async function checkMigrations(): Promise<Outcome> {
  const drizzleKit = "drizzle-kit/bin.cjs";
  const validity = await tool(drizzleKit, ["check"]);
  if (!validity.ok) return validity;
  const copy = mkdtempSync(join(tmpdir(), "parley-drizzle-"));
  try {
    const migrations = join(ROOT, "drizzle");
    if (existsSync(migrations)) cpSync(migrations, copy, { recursive: true });
    const before = migrationsIn(copy);
    const generated = await tool(drizzleKit, [
      "generate",
      "--dialect=sqlite",
      `--schema=${join("src", "db", "schema.ts")}`,
      // drizzle-kit only takes paths that are relative to the project.
      `--out=${relative(ROOT, copy)}`,
    ]);
    if (!generated.ok) return generated;
    const added = migrationsIn(copy).filter((name) => !before.includes(name));
    if (added.length === 0) return generated;
    return {
      ok: false,
      output: `the schema has changes without a migration: npm run db:generate\n${generated.output}`,
    };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function migrationsIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith(".sql"));
}

if (import.meta.main) {
  const results = await runChecks(printCheck);
  const failed = results.filter((result) => !result.ok).length;
  console.log(failed === 0 ? "all checks passed" : `${failed} of ${results.length} checks failed`);
  process.exit(failed === 0 ? 0 : 1);
}
