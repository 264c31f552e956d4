// `npm run test:faults`: lets things fail one after the other and prints a table of what came of it.
// `npm run test:faults -- NAME...` tries only those whose file or description contains a name.
// With PARLEY_COMMAND it is that executable, otherwise a newly built one.
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { buildParley } from "../../scripts/build.ts";
import { provide } from "../../scripts/prepare.ts";
import { provideSystemParts } from "../../scripts/system-parts.ts";
import { messageOf } from "../../src/errors.ts";
import { temporaryFolder } from "../database.ts";
import { within } from "../e2e/wait.ts";
import { childrenOf } from "../processes.ts";
import { type Cell, DEADLINE_MS, type Fault, type Outcome } from "./fault.ts";

/** Everything together may take this long, ms. */
const LONGEST_MS = 15 * 60_000;

/** Of a failure that lists what came instead, characters. */
const LONGEST_REPORT = 4000;

const started = performance.now();
const rows: Cell[] = [];
process.on("exit", killChildren);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}
setTimeout(() => {
  console.log(`✗ all of it takes more than ${LONGEST_MS / 60_000} minutes`);
  finish(1);
}, LONGEST_MS).unref();
const missing = await provideSystemParts("faults");
for (const part of missing) console.log(`✗ ${part}`);
if (missing.length > 0) finish(missing.length);
await provide({ dev: false, liveKit: true });
const folder = temporaryFolder();
process.on("exit", () => folder[Symbol.dispose]());
Bun.env["PARLEY_COMMAND"] ??= await executableIn(folder.path);
// LiveKit's library reads this when it is loaded, and would print all that it does.
Bun.env.NODE_ENV = "production";
const { faultsOf } = await import("./all.ts");
for (const fault of faultsOf(process.argv.slice(2))) {
  console.log(`· ${fault.what}`);
  for (const cell of await tried(fault)) {
    if (cell.outcome instanceof Error) {
      console.log(`  ✗ ${cell.what}: ${Bun.inspect(cell.outcome).slice(0, LONGEST_REPORT)}`);
    } else for (const loss of cell.outcome.lost) console.log(`  lost: ${loss}`);
    rows.push(cell);
  }
}
finish(0);

/** Parley as users run it, which also starts faster than the source: it is started hundreds of times. */
async function executableIn(folder: string): Promise<string> {
  const executable = join(folder, "parley");
  await copyFile(await buildParley("full"), executable);
  return executable;
}

async function tried({ what, run, deadlineMs = DEADLINE_MS }: Fault): Promise<Cell[]> {
  try {
    const outcome = await within(what, run("full"), undefined, deadlineMs);
    return Array.isArray(outcome) ? outcome : [{ what, outcome }];
  } catch (error) {
    return [{ what, outcome: error instanceof Error ? error : new Error(messageOf(error)) }];
  }
}

/** Prints the table and ends the process. @param others failures that no row shows */
function finish(others: number): never {
  console.log("\n| what fails | what a person sees | works again after | finals lost |");
  console.log("|---|---|---|---|");
  for (const { what, outcome } of rows)
    console.log(`| ${[what, ...cellsOf(outcome)].join(" | ")} |`);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  const isGood = ({ outcome }: Cell) => !(outcome instanceof Error) && outcome.lost.length === 0;
  const passed = rows.filter(isGood).length;
  const failures = rows.length - passed + others + (rows.length === 0 ? 1 : 0);
  console.log(`\nin ${minutes} minutes`);
  console.log(`${passed} passed, ${failures} failed`);
  process.exit(failures === 0 ? 0 : 1);
}

function cellsOf(outcome: Outcome | Error): string[] {
  const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ");
  if (outcome instanceof Error) return [`FAILED: ${cell(outcome.message).slice(0, 300)}`, "", ""];
  const { seen, backMs, lost } = outcome;
  return [cell(seen), `${(backMs / 1000).toFixed(1)} s`, String(lost.length)];
}

/** What a fault that hung has left running ends with this process. */
function killChildren(): void {
  for (const pid of childrenOf(process.pid)) process.kill(pid, "SIGKILL");
}
