import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalLlmModel } from "../src/domain/model.ts";
import {
  type Message,
  type ServedModel,
  type TimedAnswer,
  timedAnswer,
} from "../src/models/measure-model.ts";
import { realEngine } from "../test/engine.ts";
import { residentMiB } from "./executable.ts";
import { writeLanguageModel } from "./random-models/language-model.ts";
import { SHAPES, type Shape } from "./random-models/shapes.ts";
import { percentile } from "./statistics.ts";

const INSTRUCTIONS = "You are a friendly voice assistant. Answer in one to three short sentences.";
/** A spoken sentence, and an answer of about three. */
const SENTENCE =
  "We walked along the river for an hour and then it began to rain, so we went home.";
const ANSWER_TOKENS = 40;
/** About as many tokens as the longest instructions that a session may have. */
const LONG_PROMPT_TOKENS = 1900;
/** What the sentence is in tokens. */
const SENTENCE_TOKENS = 19;
const CONVERSATION_MINUTES = 30;
/** A person and an agent say about this much together. */
const TOKENS_PER_MINUTE = 200;

/** What a language model does with the product's engine. */
export interface LanguageModelFigures {
  id: string;
  fileMiB: number;
  loadMs: number;
  /** Of the engine's process: with the model loaded, and after all of the below. */
  loadedMiB: number;
  usedMiB: number;
  atOnce: AtOnce[];
  /** A prompt of 1,900 tokens: until its first token, alone and beside an answer that is spoken. */
  longPromptMs: number;
  besideMs: number;
  /** The longest time for which that answer stood still. */
  longestGapMs: number;
  conversation: ConversationFigures | undefined;
}

export interface AtOnce {
  clients: number;
  promptTokensPerSecond: number;
  /** Of each client, after its first token. */
  generationTokensPerSecond: number;
  firstTokenMs: number;
}

/** A conversation of 30 minutes, without its pauses. */
export interface ConversationFigures {
  turns: number;
  firstTokenMs: number[];
  /** Turns that got no answer. */
  failed: number;
}

/**
 * Measures language models of random weights in the shapes of those that people download; a model's
 * speed does not depend on what it knows. One file at a time is written, and removed again.
 *
 * @param options.conversation whether to hold a conversation of 30 minutes too, which takes as long
 */
export async function* measureLanguageModels(options: {
  ids: readonly string[];
  conversation: boolean;
}): AsyncGenerator<LanguageModelFigures> {
  const folder = await mkdtemp(join(tmpdir(), "parley-bench-"));
  try {
    for (const [id, shape] of Object.entries(SHAPES)) {
      if (options.ids.length > 0 && !options.ids.includes(id)) continue;
      const model = join(folder, `${id}.gguf`);
      yield await measureShape({ id, stage: "llm", kind: "gguf", model }, shape, options);
      await rm(model);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureShape(
  model: LocalLlmModel,
  shape: Shape,
  options: { conversation: boolean },
): Promise<LanguageModelFigures> {
  await writeLanguageModel(model.model, shape);
  await using engine = await realEngine([model]);
  const startedAt = performance.now();
  await engine.ready(["llm"]);
  const loadMs = performance.now() - startedAt;
  const { baseURL, apiKey } = engine.serverOf("llm");
  const served: ServedModel = { baseURL, apiKey, id: model.id };
  const resident = () => residentMiB(Number(engine.pidOf("llm")));
  const loadedMiB = await resident();
  const atOnce: AtOnce[] = [];
  for (const clients of [1, 2, 4]) atOnce.push(await measureAtOnce(served, clients));
  const long = await measureLongPrompt(served);
  const conversation = options.conversation ? await converse(served) : undefined;
  return {
    id: model.id,
    fileMiB: Bun.file(model.model).size / 2 ** 20,
    loadMs,
    loadedMiB,
    ...{ atOnce, ...long, conversation },
    usedMiB: await resident(),
  };
}

async function measureAtOnce(served: ServedModel, clients: number): Promise<AtOnce> {
  const answers = await Promise.all(
    Array.from({ length: clients }, () => timedAnswer(served, aQuestion(SENTENCE.repeat(12)))),
  );
  const medianOf = (figure: (answer: TimedAnswer) => number) =>
    percentile(answers.map(figure), 0.5);
  return {
    clients,
    promptTokensPerSecond: medianOf(
      ({ promptTokens, firstTokenMs }) => (1000 * promptTokens) / firstTokenMs,
    ),
    generationTokensPerSecond: medianOf(
      ({ answerTokens, answerMs }) => (1000 * (answerTokens - 1)) / answerMs,
    ),
    firstTokenMs: medianOf(({ firstTokenMs }) => firstTokenMs),
  };
}

/** A long prompt alone, and another while somebody is being answered. */
export async function measureLongPrompt(served: ServedModel) {
  const prompt = SENTENCE.repeat(Math.floor(LONG_PROMPT_TOKENS / SENTENCE_TOKENS));
  const alone = await timedAnswer(served, { ...aQuestion(prompt), maxTokens: 1 });
  const talker = timedAnswer(served, { ...aQuestion(SENTENCE), maxTokens: 4 * ANSWER_TOKENS });
  // The newcomer arrives while the other is read to.
  const beside = await timedAnswer(served, { ...aQuestion(prompt), maxTokens: 1 });
  const { longestGapMs } = await talker;
  return { longPromptMs: alone.firstTokenMs, besideMs: beside.firstTokenMs, longestGapMs };
}

async function converse(served: ServedModel): Promise<ConversationFigures> {
  const client = crypto.randomUUID();
  const messages: Message[] = [{ role: "system", content: INSTRUCTIONS }];
  const turns = (CONVERSATION_MINUTES * TOKENS_PER_MINUTE) / (SENTENCE_TOKENS * 2 + ANSWER_TOKENS);
  const figures: ConversationFigures = { turns: Math.ceil(turns), firstTokenMs: [], failed: 0 };
  for (let turn = 0; turn < turns; turn++) {
    messages.push({ role: "user", content: `${turn}. ${SENTENCE} ${SENTENCE}` });
    const question = { messages, client, maxTokens: ANSWER_TOKENS };
    const answer = await timedAnswer(served, question).catch(() => undefined);
    if (!answer?.text) {
      figures.failed += 1;
      messages.pop();
      continue;
    }
    figures.firstTokenMs.push(answer.firstTokenMs);
    messages.push({ role: "assistant", content: answer.text });
  }
  return figures;
}

function aQuestion(content: string) {
  const messages: Message[] = [
    { role: "system", content: `${crypto.randomUUID()} ${INSTRUCTIONS}` },
    { role: "user", content },
  ];
  return { client: crypto.randomUUID(), messages, maxTokens: ANSWER_TOKENS };
}

/** The figures as rows of a table; the head is `MODEL_HEAD`. */
export function modelRow(figures: LanguageModelFigures): string[] {
  const { conversation, atOnce } = figures;
  const speed = (value: number) => value.toFixed(value < 10 ? 1 : 0);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const each = (figure: (one: AtOnce) => string) => atOnce.map(figure).join(" / ");
  return [
    figures.id,
    `${Math.round(figures.fileMiB)} MiB`,
    seconds(figures.loadMs),
    `${Math.round(figures.loadedMiB)} / ${Math.round(figures.usedMiB)} MiB`,
    each(({ promptTokensPerSecond }) => speed(promptTokensPerSecond)),
    each(({ generationTokensPerSecond }) => speed(generationTokensPerSecond)),
    `${seconds(figures.longPromptMs)} / ${seconds(figures.besideMs)}`,
    seconds(figures.longestGapMs),
    conversation
      ? `${conversation.turns - conversation.failed} of ${conversation.turns}; ` +
        `${seconds(percentile(conversation.firstTokenMs, 0.5))} / ${seconds(percentile(conversation.firstTokenMs, 1))}`
      : "–",
  ];
}

export const MODEL_HEAD = [
  "model",
  "file",
  "load",
  "memory: loaded / used",
  "tokens read a second, 1 / 2 / 4 at once",
  "tokens written a second, each",
  "first token of 1,900 tokens: alone / beside an answer",
  "that answer's longest gap",
  "30 minutes: turns answered; first token, median / longest",
];
