// `npm test`: installs what the tests need, runs the checks and the unit tests, builds the executables,
// runs the end-to-end tests against them, and ends with the line `N passed, N failed`.
// `npm test -- PATH...` runs only those files, against the sources.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../src/errors.ts";
import { buildParley } from "./build.ts";
import { printCheck, runChecks } from "./check.ts";
import { failuresOf, type Tally, tallyOf } from "./junit.ts";
import { ROOT } from "./paths.ts";
import { provide } from "./prepare.ts";
import { provideSystemParts } from "./system-parts.ts";
import { planTests } from "./test-files.ts";

/** Timeouts end what hangs and judge no speed: a busy machine takes several times as long. */
const TEST_TIMEOUT_MS = 10 * 60_000;
const UNIT_TIMEOUT_MS = 40 * 60_000;
const FILE_TIMEOUT_MS = 30 * 60_000;

/** Process groups of the test runs that are still running. */
const running = new Set<number>();
const work = mkdtempSync(join(tmpdir(), "parley-test-"));
/** Tests append a line for each conversation that they repeat because the machine lost audio. */
const repetitions = join(work, "repetitions");
process.on("exit", () => {
  for (const pid of running) killGroup(pid);
  rmSync(work, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}

const total: Tally = { passed: 0, failed: 0 };
const problems: string[] = [];
await main();
if (total.passed + total.failed === 0) fail("no tests found");
for (const problem of problems) console.log(`✗ ${problem}`);
reportRepetitions();
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed === 0 ? 0 : 1);

async function main(): Promise<void> {
  const plan = planTests(process.argv.slice(2));
  for (const path of plan.empty) fail(`${path}: no test there`);
  if (plan.unit.length + plan.e2e.length === 0) return;
  const missing = await provideSystemParts();
  if (missing.length > 0) return missing.forEach(fail);
  try {
    await provide({ dev: false, liveKit: true });
  } catch (error) {
    return fail(messageOf(error));
  }
  const everything = process.argv.length <= 2;
  if (everything) await check();
  if (plan.unit.length > 0) await runUnit(plan.unit, plan.flags);
  if (everything) await useExecutables();
  for (const file of plan.e2e) {
    console.log(`\n── ${file}`);
    add((await runFiles([file], plan.flags, FILE_TIMEOUT_MS)) ?? { passed: 0, failed: 1 });
  }
}

function fail(problem: string): void {
  problems.push(problem);
  total.failed++;
}

/** Repetitions are not failures, but they are counted where everyone sees them. */
function reportRepetitions(): void {
  const lines = existsSync(repetitions)
    ? readFileSync(repetitions, "utf8").trimEnd().split("\n")
    : [];
  for (const line of lines) console.log(`↻ ${line}`);
  const count = lines.length === 1 ? "1 conversation was" : `${lines.length} conversations were`;
  console.log(`${count} repeated, because the machine lost audio on its way to the room`);
}

function add(tally: Tally): void {
  total.passed += tally.passed;
  total.failed += tally.failed;
}

/**
 * Builds the executables as users download them, each alone in a folder. The end-to-end tests run
 * against them: offline conversations against the variant with the engine, all others against the
 * usual one.
 */
async function useExecutables(): Promise<void> {
  console.log("\n── building the executables");
  const build = async (variant: "full" | "offline", variable: string) => {
    const folder = join(work, variant);
    mkdirSync(folder);
    const executable = join(folder, "parley");
    copyFileSync(await buildParley(variant), executable);
    process.env[variable] = executable;
  };
  try {
    await build("full", "PARLEY_COMMAND");
    await build("offline", "PARLEY_OFFLINE_COMMAND");
  } catch (error) {
    fail(`an executable cannot be built: ${messageOf(error)}`);
  }
}

async function check(): Promise<void> {
  for (const { name, ok } of await runChecks(printCheck)) {
    if (ok) total.passed++;
    else fail(`check: ${name}`);
  }
}

/** Runs all in one process, which is fast. After a crash it runs each file alone, to name the culprit. */
async function runUnit(files: string[], flags: string[]): Promise<void> {
  console.log(`\n── unit tests (${files.length} files)`);
  const together = await runFiles(files, flags, UNIT_TIMEOUT_MS);
  if (together) return add(together);
  if (files.length === 1) return add({ passed: 0, failed: 1 });
  console.log("\nthe unit tests crashed or hung; each file alone:");
  let crashes = 0;
  for (const file of files) {
    const tally = await runFiles([file], flags, FILE_TIMEOUT_MS);
    if (!tally) crashes++;
    add(tally ?? { passed: 0, failed: 1 });
  }
  // A crash that no single file repeats is a failure all the same.
  if (crashes === 0) fail("the unit tests crash or hang when they run in one process");
}

/**
 * Runs files in one `bun test`, whose output goes straight to the terminal.
 *
 * @returns undefined when it crashed or took too long: it then wrote no report
 */
async function runFiles(
  files: string[],
  flags: string[],
  timeoutMs: number,
): Promise<Tally | undefined> {
  const report = join(work, `${crypto.randomUUID()}.xml`);
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const timeout = `--timeout=${TEST_TIMEOUT_MS}`;
  const paths = files.map((file) => `./${file}`);
  const child = Bun.spawn([process.execPath, "test", timeout, ...reporter, ...flags, ...paths], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, NODE_ENV: "test", PARLEY_REPETITIONS: repetitions },
    // In its own process group, so that nothing that a test starts outlives it.
    detached: true,
  });
  running.add(child.pid);
  const timer = setTimeout(() => killGroup(child.pid), timeoutMs);
  const exitCode = await child.exited;
  clearTimeout(timer);
  killGroup(child.pid);
  running.delete(child.pid);
  const file = Bun.file(report);
  const written = (await file.exists()) ? await file.text() : "";
  const tally = tallyOf(written);
  const what = files.length === 1 ? String(files[0]) : "the unit tests";
  if (!tally) {
    const how = child.signalCode ?? `exit code ${exitCode}`;
    problems.push(`${what}: ended without a report (${how}; at most ${timeoutMs / 60_000} min)`);
    return undefined;
  }
  if (tally.failed > 0) problems.push(`${what}: ${tally.failed} failed`, ...failuresOf(written));
  // A file without a test is a mistake, unless tests were selected by name.
  if (tally.passed + tally.failed === 0 && flags.length === 0) fail(`${what}: ran no test`);
  // An error outside of a test fails the run, and no count includes it.
  else if (exitCode !== 0 && tally.failed === 0) fail(`${what}: exit code ${exitCode}`);
  return tally;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group has already exited.
  }
}
