import OpenAI, { toFile } from "openai";
import { testModels } from "../scripts/test-models.ts";
import type { LocalModel } from "../src/domain/model.ts";
import { STAGES, type Stage } from "../src/domain/stage.ts";
import { lengthMs } from "../src/models/measure-model.ts";
import { engineProgram, realEngine } from "../test/engine.ts";
import { residentMiB } from "./executable.ts";
import { measureLongPrompt } from "./models.ts";

const SENTENCES = [
  "The train to the coast leaves at nine in the morning.",
  "Please bring me a glass of water and some bread.",
  "My sister lives in a small house near the river.",
  "It rained all night, but the sun is shining now.",
];
const PROMPT = "You are a friendly voice assistant. Answer in one to three short spoken sentences.";
const ANSWER_TOKENS = 40;

/** What the engine does with the small models of the tests, for so many clients at once. */
export interface EngineFigures {
  clients: number;
  /** Time of the work by the time of the audio. */
  sttFactor: number[];
  ttsFactor: number[];
  /** From the request to the first sound, ms. */
  firstSound: number[];
  /** From the request to the first token, ms. */
  firstToken: number[];
  /** After the first, by each client. */
  tokensPerSecond: number[];
}

export interface EngineBench {
  /** From the start of a process until it answers, and of all three until their models are loaded, ms. */
  answers: number[];
  ready: number[];
  idleMiB: number;
  loadedMiB: number;
  afterWorkMiB: number;
  figures: EngineFigures[];
  /** A prompt of 1,900 tokens, alone and beside an answer, and how long that answer stood still, ms. */
  longPromptMs: number;
  besideMs: number;
  longestGapMs: number;
}

/** Measures a real engine process, from outside. @param rounds requests by each client and kind */
export async function measureEngine(rounds: number): Promise<EngineBench> {
  const models = Object.values(await testModels());
  const answers: number[] = [];
  const ready: number[] = [];
  for (let i = 0; i < 3; i++) {
    answers.push(await readyMs([], ["llm"]));
    ready.push(await readyMs(models, STAGES));
  }
  const idleMiB = await using([], async (_openai, pid) => residentMiB(pid));
  return using(models, async (openai, pid) => {
    await measureClients(openai, 1, 1);
    const loadedMiB = await residentMiB(pid);
    const figures: EngineFigures[] = [];
    for (const clients of [1, 2, 4]) figures.push(await measureClients(openai, clients, rounds));
    const { baseURL, apiKey } = openai;
    const { llm } = await testModels();
    const long = await measureLongPrompt({ baseURL, apiKey: apiKey ?? "", id: llm.id });
    const afterWorkMiB = await residentMiB(pid);
    return { answers, ready, idleMiB, loadedMiB, afterWorkMiB, figures, ...long };
  });
}

async function using<T>(
  models: LocalModel[],
  work: (openai: OpenAI, pid: number) => Promise<T>,
): Promise<T> {
  await using engine = await engineProgram(models);
  const { baseURL, apiKey } = engine;
  return await work(new OpenAI({ baseURL, apiKey, maxRetries: 0 }), engine.pid);
}

async function readyMs(models: readonly LocalModel[], stages: readonly Stage[]): Promise<number> {
  const startedAt = performance.now();
  await using engine = await realEngine(models);
  await engine.ready(stages);
  return performance.now() - startedAt;
}

async function measureClients(
  openai: OpenAI,
  clients: number,
  rounds: number,
): Promise<EngineFigures> {
  const { stt, llm, tts } = await testModels();
  const figures: EngineFigures = {
    clients,
    sttFactor: [],
    ttsFactor: [],
    firstSound: [],
    firstToken: [],
    tokensPerSecond: [],
  };
  const audio: Uint8Array[] = [];
  const speak = async (input: string) => {
    const startedAt = performance.now();
    const response = await openai.audio.speech.create({ model: tts.id, voice: "a", input });
    const parts: Uint8Array[] = [];
    for await (const part of response.body ?? []) {
      if (parts.length === 0) figures.firstSound.push(performance.now() - startedAt);
      parts.push(part);
    }
    const sound = Buffer.concat(parts);
    figures.ttsFactor.push((performance.now() - startedAt) / lengthMs(sound));
    audio.push(sound);
  };
  const listen = async (sound: Uint8Array) => {
    const file = await toFile(sound, "speech.wav");
    const startedAt = performance.now();
    await openai.audio.transcriptions.create({ model: stt.id, file });
    figures.sttFactor.push((performance.now() - startedAt) / lengthMs(sound));
  };
  const answer = async (client: string, content: string) => {
    const startedAt = performance.now();
    const stream = await openai.chat.completions.create({
      model: llm.id,
      user: client,
      stream: true,
      max_tokens: ANSWER_TOKENS,
      messages: [
        { role: "system", content: PROMPT },
        { role: "user", content },
      ],
    });
    let first: number | undefined;
    let tokens = 0;
    for await (const chunk of stream) {
      if (!chunk.choices[0]?.delta.content) continue;
      first ??= performance.now();
      tokens += 1;
    }
    if (first === undefined) return;
    figures.firstToken.push(first - startedAt);
    figures.tokensPerSecond.push((1000 * (tokens - 1)) / (performance.now() - first));
  };
  for (const kind of ["speak", "listen", "answer"] as const) {
    await Promise.all(
      Array.from({ length: clients }, async (_, client) => {
        for (let round = 0; round < rounds; round++) {
          const sentence = SENTENCES[(client + round) % SENTENCES.length] ?? "";
          if (kind === "speak") await speak(sentence);
          if (kind === "listen") await listen(audio[client * rounds + round] ?? new Uint8Array());
          if (kind === "answer")
            await answer(`client ${client}`, `Say it again: ${sentence} (${round})`);
        }
      }),
    );
  }
  return figures;
}
