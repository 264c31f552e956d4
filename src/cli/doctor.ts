import { type Config, readConfig } from "../config.ts";
import type { StageOverview } from "../domain/provider.ts";
import type { SpeechToSpeechProvider } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { decideGpu } from "../gpu/gpu-support.ts";
import { ProviderCheck } from "../providers/provider-check.ts";
import { openProviderChoice } from "../providers/provider-choice.ts";
import {
  type Check,
  type CheckResult,
  failed,
  formatReport,
  ok,
  type Report,
  reportOf,
  runCheck,
  warning,
} from "./doctor/check.ts";
import { liveKitChecks } from "./doctor/livekit.ts";
import { checkClock, checkOpenFiles, libraryChecks } from "./doctor/machine.ts";
import { speechToSpeechCheck } from "./doctor/realtime-model.ts";
import { stageChecks } from "./doctor/second-providers.ts";
import { checkDatabase, checkDataDirectory } from "./doctor/storage.ts";
import { gpuOptions } from "./gpu.ts";
import type { Program } from "./serve.ts";

const DEADLINE_MS = 4000;
/** Drivers compile at their first start. */
const GPU_DEADLINE_MS = 65_000;
const GPU_HINT = "See docs/OFFLINE.md about GPUs, or unset ENGINE_GPU.";
const USAGE = "usage: parley doctor [--json]\n";

/**
 * `parley doctor`: checks every part that Parley needs, as it is configured, and says how to fix
 * what fails. It changes nothing and may run beside a running server.
 *
 * @returns the exit code: 0 when conversations are possible, 1 when not, 2 for wrong arguments
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
      : formatReport(report, process.stdout.isTTY === true && !variables["NO_COLOR"]),
  );
  return report.status === "failed" ? 1 : 0;
}

async function examine(program: Program, variables: NodeJS.ProcessEnv): Promise<Report> {
  let config: Config;
  let overview: StageOverview[];
  let realtimeModel: SpeechToSpeechProvider | undefined;
  try {
    const { defaultDataDir } = program;
    config = readConfig(variables, defaultDataDir === undefined ? {} : { defaultDataDir });
    // Conversations use what was chosen on the Models page too.
    const choice = openProviderChoice(config, new ProviderCheck());
    config = { ...config, ...choice.remoteStages() };
    overview = choice.overview();
    if (choice.speechToSpeech().chosen) realtimeModel = choice.realtimeModel();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const finding = failed(error.message, "Correct the variable or the file named above.");
    return reportOf([await runCheck(check("configuration", async () => finding))]);
  }
  // One after the other: loading a library blocks the process and would distort the others' times.
  const first = await runSequentially([
    check("data directory", () => checkDataDirectory(config.dataDir)),
    ...libraryChecks(program.resources),
    check("database", () => checkDatabase(config.databasePath, program.resources.migrations())),
  ]);
  await using livekit = liveKitChecks(config, program.resources, variables);
  const rest = await Promise.all(
    [
      ...livekit.checks,
      ...(realtimeModel ? [speechToSpeechCheck(realtimeModel)] : stageChecks(config, overview)),
      check(
        "clock",
        () => checkClock(serversOf(config, realtimeModel), config.livekit !== undefined),
        8000,
      ),
      ...gpuChecks(program, variables, config),
      check("open files", () => checkOpenFiles(config.maxSessions)),
    ].map(runCheck),
  );
  return reportOf([...first, ...rest]);
}

/** The GPU, if local models are to use it. */
function gpuChecks(program: Program, variables: NodeJS.ProcessEnv, { engine }: Config): Check[] {
  if (program.resources.engine === undefined || engine.gpu === "off") return [];
  const run = async () => {
    const { text = "", isFallback } = await decideGpu(gpuOptions(program, variables, engine));
    return isFallback ? warning(text, GPU_HINT) : ok(text);
  };
  return [check("GPU", run, GPU_DEADLINE_MS)];
}

function check(name: string, run: Check["run"], deadlineMs = DEADLINE_MS): Check {
  return {
    name,
    run,
    deadlineMs,
    timeoutHint: "The disk or the network may be very slow. Try again.",
  };
}

async function runSequentially(checks: Check[]): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const next of checks) results.push(await runCheck(next));
  return results;
}

function serversOf(
  { livekit, stt, llm, tts }: Config,
  realtimeModel: SpeechToSpeechProvider | undefined,
): string[] {
  const used = realtimeModel ? [realtimeModel] : [stt, llm, tts];
  const providers = used.map(({ baseURL }) => baseURL);
  return livekit ? [livekit.url, ...providers] : providers;
}
