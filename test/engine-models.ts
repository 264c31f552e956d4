import pino from "pino";
import type { LocalModel } from "../src/domain/model.ts";
import type { AudioTools } from "../src/engine/audio-tools.ts";
import type { Answer, AnswerRequest } from "../src/engine/language-model.ts";
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

/** What a test of the engine sets of its models; whatever it does not set must not be used. */
export interface FakeModels {
  answer?: (request: AnswerRequest) => Promise<Partial<Answer>>;
  load?: Partial<Load>;
  onLoad?: LoadedModelsOptions["onLoad"];
}

const ANSWER: Answer = {
  finish: "stop",
  calls: [],
  promptTokens: 7,
  cachedTokens: 3,
  completionTokens: 2,
};

/** One model per stage, none of which needs files. */
export function fakeModels({ answer, load, onLoad = () => {} }: FakeModels): LoadedModels {
  const unset = async () => {
    throw new Error("this test sets no such model");
  };
  const llm: Load["llm"] = async () => ({
    answer: async (request) => ({ ...ANSWER, ...(await answer?.(request)) }),
    [Symbol.asyncDispose]: async () => {},
  });
  const models = new LoadedModels({ load: { stt: unset, llm, tts: unset, ...load }, onLoad });
  models.use([STT, LLM, TTS]);
  return models;
}

/** The engine's server in this process, with such models. */
export function serveFakes(fakes: FakeModels & { supervised?: boolean }): EngineServer {
  return serveEngine({
    host: "127.0.0.1",
    port: 0,
    apiKey: "sesame",
    supervised: fakes.supervised ?? false,
    models: fakeModels(fakes),
    audioTools: async (): Promise<AudioTools> => {
      throw new Error("this test needs no audio tools");
    },
    logger: pino({ level: "silent" }),
  });
}
