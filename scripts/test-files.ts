import { existsSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Glob } from "bun";
import { ROOT } from "./paths.ts";

/** Tests of the whole program: they start processes and measure them, so each file runs alone. */
const WHOLE = /^test\/(?:e2e|lifecycle|executable|faults)\//;
const EVERYTHING = ["src", "views", "scripts", "test", "bench"];

/** What to run: unit tests together, each end-to-end file by itself. */
export interface TestPlan {
  unit: string[];
  e2e: string[];
  /** Goes to `bun test` as it is, such as `-t NAME`. */
  flags: string[];
  /** Paths that were asked for and hold no test. */
  empty: string[];
}

/** @param args paths of files or folders, then flags of `bun test`; none: all tests */
export function planTests(args: readonly string[]): TestPlan {
  const firstFlag = args.findIndex((arg) => arg.startsWith("-"));
  const paths = firstFlag < 0 ? args : args.slice(0, firstFlag);
  const plan: TestPlan = {
    unit: [],
    e2e: [],
    flags: firstFlag < 0 ? [] : args.slice(firstFlag),
    empty: [],
  };
  const files = new Set<string>();
  for (const path of paths.length > 0 ? paths : EVERYTHING) {
    const found = testFilesIn(path);
    if (found.length === 0 && paths.length > 0) plan.empty.push(path);
    for (const file of found) files.add(file);
  }
  for (const file of [...files].sort()) {
    (WHOLE.test(file) ? plan.e2e : plan.unit).push(file);
  }
  return plan;
}

function testFilesIn(path: string): string[] {
  const absolute = resolve(ROOT, path);
  if (!existsSync(absolute)) return [];
  if (!statSync(absolute).isDirectory()) return [tidy(absolute)];
  const files = new Glob("**/*.test.{ts,tsx}").scanSync({ cwd: absolute });
  return [...files].map((file) => tidy(join(absolute, file)));
}

function tidy(path: string): string {
  return relative(ROOT, path).replaceAll("\\", "/");
}
