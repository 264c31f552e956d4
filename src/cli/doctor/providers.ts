import type { StageOverview } from "../../domain/provider.ts";
import { isOpenAi, type Stage, type StageProviders } from "../../domain/stage.ts";
import { STAGE_NAMES } from "../../lib/words.ts";
import { ProviderCheck } from "../../providers/provider-check.ts";
import { describeProviderError } from "../../providers/provider-errors.ts";
import { endpointsOf, sttModelFor } from "../../session/session-plan.ts";
import { type Check, type Finding, failed, ok, warning } from "./check.ts";
import { firstAudio, firstToken, transcribe, transcribeRealtime } from "./requests.ts";

const DEADLINE_MS = 9000;
const REALTIME_ANSWER_MS = 3000;
/** People notice a longer wait. */
const SLOW_MS = 3000;

type LocalStage = Pick<StageOverview, "stage" | "use" | "model" | "problem">;

/**
 * Checks each stage by a tiny real request, made as a conversation would make it. For a stage with
 * a local model only its files are checked; the engine is not started.
 */
export function providerChecks(
  config: StageProviders,
  overview: readonly LocalStage[] = [],
): Check[] {
  const local = overview.filter(({ use }) => use === "local");
  const hasLocalStt = local.some(({ stage }) => stage === "stt");
  const realtime = hasLocalStt ? Promise.resolve(true) : usesRealtime(config);
  const requests: Record<Stage, () => Promise<number>> = {
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
      timeoutHint: hintFor(stage, "provider_timeout", host),
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
  config: StageProviders,
  stage: Stage,
  request: () => Promise<number>,
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
    const ms = Math.round(await request());
    const detail = `${host} answers in ${ms} ms`;
    return ms < SLOW_MS ? ok(detail) : warning(detail, hintFor(stage, "provider_slow", host));
  } catch (error) {
    const { code } = describeProviderError(stage, error);
    return failed(`${host} ${PROBLEMS[code] ?? code}`, hintFor(stage, code, host));
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  provider_unauthorized: "refuses the key",
  provider_not_found: "does not know the model or the address (404)",
  provider_rate_limited: "reports that the rate limit or the quota is used up (429)",
  provider_failed: "answers with an error",
  provider_timeout: "does not answer in time",
  provider_unreachable: "cannot be reached, or the connection broke",
};

function hintFor(stage: Stage, code: string, host: string): string {
  const name = stage.toUpperCase();
  switch (code) {
    case "provider_unauthorized":
      return `Check ${name}_API_KEY or OPENAI_API_KEY.`;
    case "provider_not_found":
      return `Check ${name}_MODEL, and ${name}_BASE_URL or OPENAI_BASE_URL (it usually ends in /v1).`;
    case "provider_rate_limited":
      return "Wait a little, or check your plan and its balance.";
    case "provider_slow":
      return `Choose a faster ${name}_MODEL or a nearer server.`;
    case "provider_failed":
      return `Check the log or the status page of ${host}, and ${name}_MODEL.`;
    default:
      return `Is ${host} running? Check ${name}_BASE_URL or OPENAI_BASE_URL, the network and the firewall.`;
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
