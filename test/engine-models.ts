import pino from "pino";
import type { LocalModel } from "../src/domain/model.ts";
import type { Hearing } from "../src/engine/hearing.ts";
import type { ChatAnswer, ChatRequest } from "../src/engine/language-model.ts";
import { LoadedModels, type LoadedModelsOptions } from "../src/engine/loaded-models.ts";
import { type EngineServer, serveEngine } from "../src/engine/server.ts";

export const STT = {
  stage: "stt",
  id: "ear",
  kind: "whisper",
  encoder: "e",
  decoder: "d",
  tokens: "t",
} as const satisfies LocalModel;
export const LLM = {
  stage: "llm",
  id: "mind",
  kind: "gguf",
  model: "m",
} as const satisfies LocalModel;
export const TTS = {
  stage: "tts",
  id: "mouth",
  kind: "piper",
  model: "m",
  tokens: "t",
  phonemes: "p",
} as const satisfies LocalModel;

type Load = LoadedModelsOptions["load"];

/** What tests of the engine's routes may set of its models; the rest is not to be reached. */
export interface FakeModels {
  answer?: (request: ChatRequest) => Promise<Partial<ChatAnswer>>;
  load?: Partial<Load>;
  onLoad?: LoadedModelsOptions["onLoad"];
}

const ANSWER: ChatAnswer = {
  finish: "stop",
  calls: [],
  promptTokens: 7,
  cachedTokens: 3,
  completionTokens: 2,
};

/** Models that need no files; each stage has one. */
export function fakeModels({ answer, load, onLoad = () => {} }: FakeModels): LoadedModels {
  const unset = async () => {
    throw new Error("this test needs no such model");
  };
  const llm: Load["llm"] = async () => ({
    answer: async (request) => ({ ...ANSWER, ...(await answer?.(request)) }),
    [Symbol.asyncDispose]: async () => {},
  });
  const models = new LoadedModels({ load: { stt: unset, llm, tts: unset, ...load }, onLoad });
  models.use([STT, LLM, TTS]);
  return models;
}

/** An engine's server in this process with such models. */
export function serveFakes(fakes: FakeModels & { supervised?: boolean }): EngineServer {
  return serveEngine({
    host: "127.0.0.1",
    port: 0,
    apiKey: "sesame",
    supervised: fakes.supervised ?? false,
    models: fakeModels(fakes),
    hearing: async (): Promise<Hearing> => {
      throw new Error("this test needs no ears");
    },
    logger: pino({ level: "silent" }),
  });
}
