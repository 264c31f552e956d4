import pino from "pino";
import type { LocalModel } from "../src/domain/model.ts";
import type { Answer, Listener } from "../src/engine/answer.ts";
import type { AudioTools } from "../src/engine/audio-tools.ts";
import type { AnswerRequest, LanguageModel } from "../src/engine/language-model.ts";
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
  answer?: (request: AnswerRequest & Listener) => Promise<Partial<Answer>>;
  load?: Partial<Load>;
  onLoad?: LoadedModelsOptions["onLoad"];
  keepAliveMs?: number;
}

const ANSWER: Answer = {
  text: "",
  finish: "stop",
  calls: [],
  promptTokens: 7,
  cachedTokens: 3,
  completionTokens: 2,
  promptMs: 40,
  completionMs: 100,
};

/** A language model that reads and writes nothing. */
export function fakeLanguageModel(answer?: FakeModels["answer"]): LanguageModel {
  return {
    totals: { ...ANSWER, answers: 0 },
    progressAt: 0,
    prepare: async (request) => ({
      promptTokens: ANSWER.promptTokens,
      run: async (listener) => {
        let text = "";
        const onText = (more: string) => {
          text += more;
          listener.onText(more);
        };
        const answered = await answer?.({ ...request, ...listener, onText });
        return { ...ANSWER, text, ...answered };
      },
    }),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** One model per stage, none of which needs files. */
export function fakeModels({
  answer,
  load,
  onLoad = () => {},
  keepAliveMs,
}: FakeModels): LoadedModels {
  const unset = async () => {
    throw new Error("this test sets no such model");
  };
  const llm: Load["llm"] = async () => fakeLanguageModel(answer);
  const loaders = { stt: unset, llm, tts: unset, ...load };
  const models = new LoadedModels({ load: loaders, onLoad, keepAliveMs });
  models.use([STT, LLM, TTS]);
  return models;
}

/** The engine's server in this process, with such models. */
export function serveFakes(
  fakes: FakeModels & { supervised?: boolean; audioTools?: AudioTools },
): EngineServer {
  return serveEngine({
    host: "127.0.0.1",
    port: 0,
    apiKey: "sesame",
    supervised: fakes.supervised ?? false,
    models: fakeModels(fakes),
    audioTools: async (): Promise<AudioTools> => {
      if (fakes.audioTools) return fakes.audioTools;
      throw new Error("this test needs no audio tools");
    },
    logger: pino({ level: "silent" }),
  });
}
