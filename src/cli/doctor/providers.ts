import type { StageOverview } from "../../domain/provider.ts";
import { STAGES, type Stage, type StageProviders, sttModelFor } from "../../domain/stage.ts";
import { Failure } from "../../errors.ts";
import { STAGE_NAMES } from "../../lib/words.ts";
import { ProviderCheck } from "../../providers/provider-check.ts";
import { diagnose } from "../../providers/provider-errors.ts";
import { sourceOf } from "../../providers/provider-source.ts";
import type { StageConfig } from "../../providers/resolve-stages.ts";
import { ask, speak, transcribe, transcribeRealtime } from "../../providers/stage-requests.ts";
import { VOWEL_RATE, vowel } from "../../providers/vowel.ts";
import { type Check, type Finding, failed, ok, warning } from "./check.ts";

const DEADLINE_MS = 9000;
const ANSWER_MS = 3000;
/** People notice a longer wait. */
const SLOW_MS = 3000;

/** The providers, and the variables that decide them. */
type DoctorConfig = StageProviders & Pick<StageConfig, "fixedBy">;
/** What a request found: ms until the answer began, and for a voice in which format it came. */
interface Measured {
  firstMs: number;
  format?: string;
}

type LocalStage = Pick<StageOverview, "stage" | "use" | "model" | "problem">;

/**
 * Checks each stage by a tiny real request, made as a conversation would make it. For a stage with
 * a local model only its files are checked; the engine is not started.
 */
export function providerChecks(
  config: DoctorConfig,
  overview: readonly LocalStage[] = [],
): Check[] {
  const check = new ProviderCheck(ANSWER_MS);
  const local = overview.filter(({ use }) => use === "local");
  const hasLocalStt = local.some(({ stage }) => stage === "stt");
  const settled = async <S extends Stage>(stage: S): Promise<StageProviders[S]> =>
    check.servers.settle<StageProviders[S]>(stage, config[stage]);
  const realtime = hasLocalStt
    ? Promise.resolve(true)
    : settled("stt").then(
        (stt) => usesRealtime(check, stt),
        () => false,
      );
  const requests: Record<Stage, () => Promise<Measured>> = {
    stt: async () => {
      const [stt, streams] = [await settled("stt"), await realtime];
      const named = { ...stt, model: sttModelFor(stt, streams) };
      if (streams) return { firstMs: await transcribeRealtime(named, vowel()) };
      return transcribe(named, { pcm: vowel(), rate: VOWEL_RATE });
    },
    llm: async () => ask(await settled("llm"), { question: "Say: yes", firstWord: true }),
    tts: async () => speak(await settled("tts"), "Hello."),
  };
  const stages = STAGES.map((stage): Check => {
    const localStage = local.find((one) => one.stage === stage);
    if (localStage) return localCheck(localStage);
    const { host } = new URL(config[stage].baseURL);
    return {
      name: nameOf(stage),
      deadlineMs: DEADLINE_MS + ANSWER_MS,
      timeoutHint: `Is ${host} running? Check its address, the network and the firewall.`,
      run: () => checkRequest(config, stage, requests[stage]),
    };
  });
  return hasLocalStt ? stages : [...stages, realtimeCheck(check, config, realtime)];
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
  const { host } = new URL(config[stage].baseURL);
  try {
    const { firstMs, format = "PCM" } = await request();
    const remark = format === "PCM" ? "" : ` and sends ${format}, which Parley decodes`;
    const detail = `${host} answers in ${Math.round(firstMs)} ms${remark}`;
    if (firstMs < SLOW_MS) return ok(detail);
    return warning(detail, `Choose a faster ${stage.toUpperCase()}_MODEL or a nearer server.`);
  } catch (error) {
    if (error instanceof Failure) return failedAs(error);
    const model = stage === "stt" ? sttModelFor(config.stt, false) : config[stage].model;
    const source = sourceOf(stage, { ...config[stage], model, fixedBy: config.fixedBy[stage] });
    const { finding, remedy } = diagnose(stage, error, { ...source, hasWorked: false });
    return failed(`${host} ${finding}`, remedy);
  }
}

/** A server that was not found, or whose names are open: the end of its message is what to do. */
function failedAs({ message }: Failure): Finding {
  const [finding = message, ...remedy] = message.split(/(?<=\.) (?=[A-Z])|(?<=:) /);
  return failed(finding, remedy.join(" ") || "Follow the message above.");
}

/** Whether sessions would transcribe over the realtime WebSocket. */
async function usesRealtime(check: ProviderCheck, stt: StageProviders["stt"]): Promise<boolean> {
  if (stt.realtime !== "auto") return stt.realtime;
  return answersRealtime(check, stt);
}

function answersRealtime(check: ProviderCheck, stt: StageProviders["stt"]): Promise<boolean> {
  return check.answersRealtime({ stage: "stt", ...stt }, sttModelFor(stt, true));
}

function realtimeCheck(
  check: ProviderCheck,
  { stt }: StageProviders,
  realtime: Promise<boolean>,
): Check {
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
    const settled = await check.servers.settle("stt", stt).catch(() => stt);
    if (await answersRealtime(check, settled)) return ok("yes");
    return failed("no, but STT_REALTIME=true requires it", "Set STT_REALTIME=auto.");
  };
  return {
    name: "realtime transcription",
    deadlineMs: 2 * ANSWER_MS + 1000,
    timeoutHint: "Set STT_REALTIME=false if the server has no realtime transcription.",
    run,
  };
}
