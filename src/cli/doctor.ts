import { type Config, readConfig } from "../config.ts";
import type { StageOverview } from "../domain/provider.ts";
import { Failure } from "../errors.ts";
import { ProviderCheck } from "../providers/provider-check.ts";
import { openProviderChoice } from "../providers/provider-choice.ts";
import { type Check, type CheckResult, failed, runCheck } from "./doctor/check.ts";
import { liveKitChecks } from "./doctor/livekit.ts";
import { checkClock, checkOpenFiles } from "./doctor/machine.ts";
import { nativeChecks } from "./doctor/natives.ts";
import { providerChecks } from "./doctor/providers.ts";
import { type Report, readable, reportOf } from "./doctor/report.ts";
import { checkDatabase, checkDataDirectory } from "./doctor/storage.ts";
import type { Program } from "./serve.ts";

const QUICK_MS = 4000;
const USAGE = "usage: parley doctor [--json]\n";

/**
 * `parley doctor`: checks every part that Parley needs, as it is configured, and says how to mend
 * what is not well. It changes nothing, and may run beside a Parley that serves.
 *
 * @returns the exit code: 0 when a conversation can be had, 1 when not, 2 for wrong arguments
 */
export async function doctor(
  program: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<number> {
  if (args.some((arg) => arg !== "--json")) {
    process.stderr.write(USAGE);
    return 2;
  }
  const report = await examine(program, variables);
  process.stdout.write(
    args.includes("--json")
      ? `${JSON.stringify(report, null, 2)}\n`
      : readable(report, process.stdout.isTTY === true && !variables["NO_COLOR"]),
  );
  return report.status === "failed" ? 1 : 0;
}

async function examine(program: Program, variables: NodeJS.ProcessEnv): Promise<Report> {
  let config: Config;
  let overview: StageOverview[];
  try {
    const { defaultDataDir } = program;
    config = readConfig(variables, defaultDataDir === undefined ? {} : { defaultDataDir });
    // As conversations have it: what was chosen on the page counts too.
    const choice = openProviderChoice(config, new ProviderCheck());
    config = { ...config, ...choice.remoteStages() };
    overview = choice.overview();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const finding = failed(
      error.message,
      "Set the variable, or mend the file, as the line above says.",
    );
    return reportOf([await runCheck(check("configuration", async () => finding))]);
  }
  // One by one: loading a library holds up everything, and would be in the others' times.
  const first = await inTurn([
    check("data directory", () => checkDataDirectory(config.dataDir)),
    ...nativeChecks(program.resources),
    check("database", () => checkDatabase(config.databasePath, program.resources.migrations())),
  ]);
  await using livekit = liveKitChecks(config, program.resources, variables);
  const rest = await Promise.all(
    [
      ...livekit.checks,
      ...providerChecks(config, overview),
      check("clock", () => checkClock(serversOf(config), config.livekit !== undefined), 8000),
      check("open files", () => checkOpenFiles(config.maxSessions)),
    ].map(runCheck),
  );
  return reportOf([...first, ...rest]);
}

function check(name: string, run: Check["run"], deadlineMs = QUICK_MS): Check {
  return { name, run, deadlineMs, mendLate: "Is the disk or the network very slow? Try again." };
}

async function inTurn(checks: Check[]): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const one of checks) results.push(await runCheck(one));
  return results;
}

function serversOf({ livekit, stt, llm, tts }: Config): string[] {
  const livekits = livekit ? [livekit.url] : [];
  return [...livekits, ...[stt, llm, tts].map(({ baseURL }) => baseURL)];
}
