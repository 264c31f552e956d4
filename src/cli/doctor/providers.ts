import type { StageOverview } from "../../domain/provider.ts";
import { isOpenAi, type Stage, type StageProviders } from "../../domain/stage.ts";
import { STAGE_NAMES } from "../../lib/words.ts";
import { ProviderCheck } from "../../providers/provider-check.ts";
import { diagnose } from "../../providers/provider-errors.ts";
import { sourceOf } from "../../providers/provider-source.ts";
import type { StageConfig } from "../../providers/resolve-stages.ts";
import { endpointsOf, sttModelFor } from "../../session/session-plan.ts";
import { type Check, type Finding, failed, ok, warning } from "./check.ts";
import {
  firstAudio,
  firstToken,
  type Measured,
  transcribe,
  transcribeRealtime,
} from "./requests.ts";

const DEADLINE_MS = 9000;
const REALTIME_ANSWER_MS = 3000;
/** People notice a longer wait. */
const SLOW_MS = 3000;

/** The providers, and the variables that decide them. */
type DoctorConfig = StageProviders & Pick<StageConfig, "fixedBy">;
type LocalStage = Pick<StageOverview, "stage" | "use" | "model" | "problem">;

/**
 * Checks each stage by a tiny real request, made as a conversation would make it. For a stage with
 * a local model only its files are checked; the engine is not started.
 */
export function providerChecks(
  config: DoctorConfig,
  overview: readonly LocalStage[] = [],
): Check[] {
  const local = overview.filter(({ use }) => use === "local");
  const hasLocalStt = local.some(({ stage }) => stage === "stt");
  const realtime = hasLocalStt ? Promise.resolve(true) : usesRealtime(config);
  const requests: Record<Stage, () => Promise<Measured>> = {
    stt: async () => ((await realtime) ? transcribeRealtime(config.stt) : transcribe(config)),
    llm: () => firstToken(config),
    tts: () => firstAudio(config),
  };
  const stages = endpointsOf(config).map(({ stage }): Check => {
    const localStage = local.find((one) => one.stage === stage);
    if (localStage) return localCheck(localStage);
    const { host } = new URL(config[stage].baseURL);
    return {
      name: nameOf(stage),
      deadlineMs: DEADLINE_MS + (stage === "stt" ? REALTIME_ANSWER_MS : 0),
      timeoutHint: `Is ${host} running? Check its address, the network and the firewall.`,
      run: () => checkRequest(config, stage, requests[stage]),
    };
  });
  return hasLocalStt ? stages : [...stages, realtimeCheck(config, realtime)];
}

function nameOf(stage: Stage): string {
  return STAGE_NAMES[stage].toLowerCase();
}

function localCheck({ stage, model, problem }: LocalStage): Check {
  const hint = "Choose another model on the Models page, or download it again: parley models pull.";
  return {
    name: nameOf(stage),
    deadlineMs: DEADLINE_MS,
    timeoutHint: hint,
    run: async () =>
      problem === undefined ? ok(`${model} on this machine`) : failed(problem, hint),
  };
}

async function checkRequest(
  config: DoctorConfig,
  stage: Stage,
  request: () => Promise<Measured>,
): Promise<Finding> {
  const { baseURL, apiKey } = config[stage];
  const { host } = new URL(baseURL);
  if (apiKey === undefined && isOpenAi(baseURL)) {
    const variable = `${stage.toUpperCase()}_BASE_URL`;
    return failed(
      "no provider is set up",
      `Set OPENAI_API_KEY, or set ${variable} to use another server.`,
    );
  }
  try {
    const { ms, remark } = await request();
    const detail = `${host} answers in ${Math.round(ms)} ms${remark ? ` and ${remark}` : ""}`;
    if (ms < SLOW_MS) return ok(detail);
    return warning(detail, `Choose a faster ${stage.toUpperCase()}_MODEL or a nearer server.`);
  } catch (error) {
    const model = stage === "stt" ? sttModelFor(config.stt, false) : config[stage].model;
    const source = sourceOf(stage, { ...config[stage], model, fixedBy: config.fixedBy[stage] });
    const { finding, remedy } = diagnose(stage, error, { ...source, hasWorked: false });
    return failed(`${host} ${finding}`, remedy);
  }
}

/** Whether sessions would transcribe over the realtime WebSocket. */
async function usesRealtime({ stt }: StageProviders): Promise<boolean> {
  if (stt.realtime === false) return false;
  if (stt.apiKey === undefined && isOpenAi(stt.baseURL)) return false;
  const answers = await answersRealtime(stt);
  return stt.realtime === true || answers;
}

function answersRealtime(stt: StageProviders["stt"]): Promise<boolean> {
  const provider = { stage: "stt", baseURL: stt.baseURL, apiKey: stt.apiKey } as const;
  return new ProviderCheck(REALTIME_ANSWER_MS).answersRealtime(provider, sttModelFor(stt, true));
}

function realtimeCheck({ stt }: StageProviders, realtime: Promise<boolean>): Check {
  const run = async (): Promise<Finding> => {
    if (stt.realtime === false) {
      return ok("no, because STT_REALTIME=false: each utterance is one request");
    }
    if (stt.realtime === "auto") {
      return ok(
        (await realtime)
          ? "yes"
          : "no, or the server does not answer: each utterance is one request",
      );
    }
    if (await answersRealtime(stt)) return ok("yes");
    return failed("no, but STT_REALTIME=true requires it", "Set STT_REALTIME=auto.");
  };
  return {
    name: "realtime transcription",
    deadlineMs: REALTIME_ANSWER_MS + 1000,
    timeoutHint: "Set STT_REALTIME=false if the server has no realtime transcription.",
    run,
  };
}
