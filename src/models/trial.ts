import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import {
  type Message,
  type ServedModel,
  timedAnswer,
  timedHearing,
  timedSpeech,
} from "./measure-model.ts";
import type { Figures, ModelMeasurement } from "./measurements.ts";

/** An engine that serves nothing but the model on trial. */
export interface TrialEngine extends ServedModel {
  /** Resolves when the model is loaded. @throws Failure that says why it cannot be */
  ready(): Promise<void>;
  /** What its process takes, in bytes; undefined where the system does not say. */
  memory(): Promise<number | undefined>;
}

export interface TrialOptions {
  /** What a recogniser hears: speech, as WAV. */
  speech?: Uint8Array<ArrayBuffer> | undefined;
  signal?: AbortSignal | undefined;
}

export interface Trial {
  measurement: ModelMeasurement;
  /** What a voice said. */
  speech?: Uint8Array<ArrayBuffer>;
}

const PROMPT =
  "You are a friendly voice assistant. You answer in short spoken sentences, without lists and " +
  "without markup. You ask when you did not understand, and you say so when you do not know. ";
/** The prompt of the trial is this many times as long: about 300 tokens. */
const REPEATED = 8;
const ANSWER_TOKENS = 48;
const SENTENCES = [
  "The train to the coast leaves at nine in the morning.",
  "It rained all night, but the sun is shining now, and the mountains can be seen from the house.",
];

/** Loads a model and has it do what it does in a conversation. @throws Failure that says why not */
export async function tryModel(
  engine: TrialEngine,
  stage: Stage,
  { speech, signal }: TrialOptions,
): Promise<Trial> {
  const startedAt = performance.now();
  await engine.ready();
  const loadMs = performance.now() - startedAt;
  const tried = await TRIALS[stage](engine, speech, signal);
  const memory = await engine.memory();
  const measuredAt = new Date().toISOString();
  const measurement = { loadMs, ...tried.figures, ...(memory && { memory }), measuredAt };
  return { measurement, ...(tried.speech && { speech: tried.speech }) };
}

type StageTrial = (
  engine: ServedModel,
  speech: Uint8Array<ArrayBuffer> | undefined,
  signal: AbortSignal | undefined,
) => Promise<{ figures: Figures; speech?: Uint8Array<ArrayBuffer> }>;

const TRIALS: Record<Stage, StageTrial> = {
  stt: async (engine, speech, signal) => {
    if (!speech) throw new Failure("unavailable", "there is no speech that it could hear");
    // The first time takes longer than all others.
    await timedHearing(engine, speech, signal);
    return { figures: { realTimeFactor: await timedHearing(engine, speech, signal) } };
  },
  llm: async (engine, _speech, signal) => ({ figures: await tryLanguageModel(engine, signal) }),
  tts: (engine, _speech, signal) => tryVoice(engine, signal),
};

async function tryLanguageModel(
  engine: ServedModel,
  signal: AbortSignal | undefined,
): Promise<Figures> {
  await timedAnswer(engine, { ...question("Hello."), maxTokens: 1 }, signal);
  const answer = await timedAnswer(
    engine,
    {
      ...question("Please count from one to one hundred in words."),
      maxTokens: ANSWER_TOKENS,
    },
    signal,
  );
  const { promptTokens, firstTokenMs, answerTokens, answerMs } = answer;
  if (answerTokens < 2 || answerMs === 0) return {};
  return {
    promptTokensPerSecond: (1000 * promptTokens) / firstTokenMs,
    generationTokensPerSecond: (1000 * (answerTokens - 1)) / answerMs,
  };
}

async function tryVoice(engine: ServedModel, signal: AbortSignal | undefined) {
  const [first = "", second = ""] = SENTENCES;
  await timedSpeech(engine, first, signal);
  const short = await timedSpeech(engine, first, signal);
  const long = await timedSpeech(engine, second, signal);
  const realTimeFactor = Math.max(short.realTimeFactor, long.realTimeFactor);
  return { figures: { firstSoundMs: short.firstSoundMs, realTimeFactor }, speech: long.wav };
}

/** A question that no model has read before. */
function question(content: string): { client: string; messages: Message[] } {
  const client = crypto.randomUUID();
  const instructions = `Your name is ${client}. ${PROMPT.repeat(REPEATED)}`;
  return {
    client,
    messages: [
      { role: "system", content: instructions },
      { role: "user", content },
    ],
  };
}
