import type { StageOverview } from "../../domain/provider.ts";
import { isOpenAi, type Stage, type StageProviders } from "../../domain/stage.ts";
import { wav } from "../../lib/wav.ts";
import { ProviderCheck } from "../../providers/provider-check.ts";
import { createProviderClient } from "../../providers/provider-client.ts";
import { describeProviderError } from "../../providers/provider-errors.ts";
import { endpointsOf, sttModelFor } from "../../session/session-plan.ts";
import { type Check, type Finding, failed, ok, warning } from "./check.ts";
import { transcribeRealtime } from "./realtime.ts";
import { RATE, vowel } from "./tone.ts";

const NAMES: Record<Stage, string> = {
  stt: "speech to text",
  llm: "language model",
  tts: "text to speech",
};
const TIMEOUTS = { answerMs: 7000, idleMs: 4000 };
const DEADLINE_MS = 9000;
const REALTIME_ANSWER_MS = 3000;
/** Slower than this, people notice that they wait. */
const SLOW_MS = 3000;

/**
 * A real, tiny request to each stage, as a conversation would make it. Of stages that this machine
 * serves the files are looked at: the engine is not started for it.
 */
export function providerChecks(
  config: StageProviders,
  overview: readonly Pick<StageOverview, "stage" | "use" | "model" | "problem">[] = [],
): Check[] {
  const local = overview.filter(({ use }) => use === "local");
  const realtime = local.some(({ stage }) => stage === "stt")
    ? Promise.resolve(true)
    : findRealtime(config);
  const requests: Record<Stage, () => Promise<number>> = {
    stt: async () => ((await realtime) ? transcribeRealtime(config.stt) : transcribe(config)),
    llm: () => firstToken(config),
    tts: () => sayHello(config),
  };
  const stages = endpointsOf(config).map(({ stage }): Check => {
    const here = local.find((one) => one.stage === stage);
    if (here) return localCheck(here);
    const host = new URL(config[stage].baseURL).host;
    return {
      name: NAMES[stage],
      deadlineMs: DEADLINE_MS + (stage === "stt" ? REALTIME_ANSWER_MS : 0),
      mendLate: mendOf(stage, "provider_timeout", host),
      run: () => ask(config, stage, requests[stage]),
    };
  });
  return local.some(({ stage }) => stage === "stt")
    ? stages
    : [...stages, realtimeCheck(config, realtime)];
}

function localCheck({
  stage,
  model,
  problem,
}: Pick<StageOverview, "stage" | "model" | "problem">): Check {
  const mend = "Choose another one on the Models page, or download it again: parley models pull.";
  return {
    name: NAMES[stage],
    deadlineMs: DEADLINE_MS,
    mendLate: mend,
    run: async () =>
      problem === undefined ? ok(`${model} on this machine`) : failed(problem, mend),
  };
}

async function ask(
  config: StageProviders,
  stage: Stage,
  request: () => Promise<number>,
): Promise<Finding> {
  const { baseURL, apiKey } = config[stage];
  const { host } = new URL(baseURL);
  if (apiKey === undefined && isOpenAi(baseURL)) {
    const own = `${stage.toUpperCase()}_BASE_URL`;
    return failed(
      "no provider is set up",
      `Set OPENAI_API_KEY, or ${own} for a server of your own.`,
    );
  }
  try {
    const ms = Math.round(await request());
    const detail = `${host} answers in ${ms} ms`;
    return ms < SLOW_MS ? ok(detail) : warning(detail, mendOf(stage, "provider_slow", host));
  } catch (error) {
    const { code } = describeProviderError(stage, error);
    return failed(`${host}: ${WORDS[code] ?? code}`, mendOf(stage, code, host));
  }
}

const WORDS: Readonly<Record<string, string>> = {
  provider_unauthorized: "the key is refused",
  provider_not_found: "the model or the address is not known there (404)",
  provider_rate_limited: "the rate limit or the quota is used up (429)",
  provider_failed: "answers with an error",
  provider_timeout: "does not answer in time",
  provider_unreachable: "cannot be reached, or the connection broke",
};

function mendOf(stage: Stage, code: string, host: string): string {
  const name = stage.toUpperCase();
  switch (code) {
    case "provider_unauthorized":
      return `Check ${name}_API_KEY or OPENAI_API_KEY.`;
    case "provider_not_found":
      return `Check ${name}_MODEL, and ${name}_BASE_URL or OPENAI_BASE_URL (it mostly ends in /v1).`;
    case "provider_rate_limited":
      return "Wait a little, or look at your plan and its balance.";
    case "provider_slow":
      return `Choose a faster ${name}_MODEL or a nearer server.`;
    case "provider_failed":
      return `Look at the log or the status page of ${host}; check ${name}_MODEL.`;
    default:
      return `Is ${host} up? Check ${name}_BASE_URL or OPENAI_BASE_URL, the network and the firewall.`;
  }
}

/** Whether sessions would transcribe over the realtime WebSocket. */
async function findRealtime({ stt }: StageProviders): Promise<boolean> {
  if (stt.realtime === false) return false;
  if (stt.apiKey === undefined && isOpenAi(stt.baseURL)) return false;
  const provider = { stage: "stt", baseURL: stt.baseURL, apiKey: stt.apiKey } as const;
  const found = await new ProviderCheck(REALTIME_ANSWER_MS).answersRealtime(
    provider,
    sttModelFor(stt, true),
  );
  return stt.realtime === true || found;
}

function realtimeCheck(config: StageProviders, realtime: Promise<boolean>): Check {
  const { stt } = config;
  const run = async (): Promise<Finding> => {
    if (stt.realtime === false) return ok("no, as STT_REALTIME=false says: a request an utterance");
    if (stt.realtime === "auto") {
      return ok(
        (await realtime) ? "yes" : "no, or the server does not answer: each utterance is a request",
      );
    }
    const provider = { stage: "stt", baseURL: stt.baseURL, apiKey: stt.apiKey } as const;
    const check = new ProviderCheck(REALTIME_ANSWER_MS);
    if (await check.answersRealtime(provider, sttModelFor(stt, true))) return ok("yes");
    return failed("no, but STT_REALTIME=true asks for it", "Set STT_REALTIME=auto.");
  };
  return {
    name: "realtime transcription",
    deadlineMs: REALTIME_ANSWER_MS + 1000,
    mendLate: "Set STT_REALTIME=false if the server has no realtime transcription.",
    run,
  };
}

async function transcribe({ stt }: StageProviders): Promise<number> {
  const client = createProviderClient(stt, TIMEOUTS);
  const file = new File([wav(vowel(), RATE)], "audio.wav", { type: "audio/wav" });
  const startedAt = performance.now();
  await client.audio.transcriptions.create({ file, model: sttModelFor(stt, false) });
  return performance.now() - startedAt;
}

async function firstToken({ llm }: StageProviders): Promise<number> {
  const client = createProviderClient(llm, TIMEOUTS);
  const startedAt = performance.now();
  // Servers differ in how an answer is limited to a token; all stop when nobody listens.
  const stream = await client.chat.completions.create({
    model: llm.model,
    stream: true,
    messages: [{ role: "user", content: "Say: yes" }],
  });
  for await (const part of stream) {
    if (!part.choices[0]?.delta.content) continue;
    const ms = performance.now() - startedAt;
    stream.controller.abort();
    return ms;
  }
  throw new Error("the answer had no words");
}

async function sayHello({ tts }: StageProviders): Promise<number> {
  const client = createProviderClient(tts, TIMEOUTS);
  const startedAt = performance.now();
  const response = await client.audio.speech.create({
    model: tts.model,
    voice: tts.voice,
    input: "Hello.",
    response_format: "pcm",
  });
  let firstAt: number | undefined;
  for await (const _ of response.body ?? []) firstAt ??= performance.now();
  if (firstAt === undefined) throw new Error("no audio came");
  return firstAt - startedAt;
}
