import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { failureOf } from "../../test/failure-of.ts";
import { agreeableServers } from "../../test/http-harness.ts";
import { readConfig } from "../config.ts";
import type { LocalModel } from "../domain/model.ts";
import { Failure } from "../errors.ts";
import { ProviderCheck } from "./provider-check.ts";
import { ProviderChoice, type ProviderChoiceOptions } from "./provider-choice.ts";

const KEY = "sk-secret-of-the-test";
const ALL = ["stt", "llm", "tts"] as const;

const voice: LocalModel = {
  stage: "tts",
  kind: "piper",
  id: "amy",
  model: "/m/amy.onnx",
  tokens: "/m/tokens.txt",
  phonemes: "/m/espeak-ng-data",
};
const gguf: LocalModel = { stage: "llm", kind: "gguf", id: "qwen", model: "/m/qwen.gguf" };

/** A choice over a folder of its own, with an engine and servers that only note what happens. */
function open(
  variables: Record<string, string> = {},
  change: Partial<ProviderChoiceOptions> = {},
  folder = temporaryFolder(),
) {
  const asked: unknown[] = [];
  const engine: string[] = [];
  const settingsPath = join(folder.path, "settings.json");
  const choice = new ProviderChoice({
    config: readConfig(variables),
    settingsPath,
    downloaded: (stage, { id }) => {
      const model = [voice, gguf].find((one) => one.id === id && one.stage === stage);
      if (!model) throw new Failure("unavailable", `${id} is not here: pull it`);
      return model;
    },
    modelAt: (_, path) => ({ ...gguf, id: path }),
    createEngine: () => {
      engine.push("created");
      return {
        serverOf: (stage) => ({ baseURL: `http://127.0.0.1:7000/${stage}`, apiKey: "engine-key" }),
        ready: async (stages) => void engine.push(`ready for ${stages}`),
        use: (used) => void engine.push(`uses ${used.map(({ id }) => id)}`),
        state: () => [],
        [Symbol.asyncDispose]: async () => void engine.push("gone"),
      };
    },
    servers: {
      ...agreeableServers,
      find: async (server) => {
        asked.push(server);
        return { baseURL: server.baseURL, models: undefined };
      },
    },
    assertRealtimeModel: async (provider) => void asked.push(provider),
    localServers: async () => [],
    ...change,
  });
  return {
    choice,
    asked,
    engine,
    folder,
    stored: () => JSON.parse(readFileSync(settingsPath, "utf8")) as unknown,
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

describe("without anything chosen", () => {
  test("every stage is OpenAI's and says that its key is missing", () => {
    using world = open();
    const overview = world.choice.overview();
    expect(overview.map(({ use, problem }) => [use, problem])).toEqual(
      ALL.map(() => ["openai", "No API key yet."]),
    );
    expect(world.choice.stages()).toMatchObject({
      stt: { baseURL: "https://api.openai.com/v1", apiKey: undefined },
      tts: { voice: "alloy" },
    });
  });

  test("the environment alone decides as before", () => {
    const variables = { OPENAI_API_KEY: KEY, LLM_BASE_URL: "http://ollama/v1", LLM_MODEL: "llama" };
    using world = open(variables);
    const stages = world.choice.stages();
    const { stt, llm, tts } = readConfig(variables);
    expect([stages.stt, stages.llm, stages.tts]).toMatchObject([stt, llm, tts]);
    expect(world.choice.overview().map(({ fixedBy }) => fixedBy)).toEqual([
      "OPENAI_API_KEY",
      "LLM_BASE_URL",
      "OPENAI_API_KEY",
    ]);
  });
});

describe("OpenAI's key", () => {
  test("is tried, stored, used from the next session on, and shown nowhere", async () => {
    using world = open();
    const { choice } = world;
    const before = choice.stages();
    await choice.useOpenAi(ALL, KEY);
    expect(before.llm.apiKey).toBeUndefined();
    expect(choice.stages()).toMatchObject({
      stt: { apiKey: KEY },
      llm: { apiKey: KEY },
      tts: { apiKey: KEY },
    });
    expect(world.asked).toEqual([
      { stage: "llm", baseURL: "https://api.openai.com/v1", apiKey: KEY },
    ]);
    expect(choice.hasOpenAiKey).toBe(true);
    expect(JSON.stringify(choice.overview())).not.toContain(KEY);
    expect(choice.overview().every(({ problem }) => problem === undefined)).toBe(true);
    // The next start knows it.
    using again = open({}, {}, world.folder);
    expect(again.choice.stages().stt.apiKey).toBe(KEY);
  });

  test("that is refused is not stored", async () => {
    const refuse = async () => {
      throw new Failure("upstream_failed", "refused (401)");
    };
    using world = open({}, { servers: { ...agreeableServers, find: refuse } });
    await expect(world.choice.useOpenAi(ALL, KEY)).rejects.toThrow("refused (401)");
    expect(world.choice.hasOpenAiKey).toBe(false);
    expect(world.stored).toThrow();
  });

  test("goes to OpenAI only, whatever the environment names", async () => {
    using world = open();
    await world.choice.useOpenAi(ALL, KEY);
    using other = open(
      { OPENAI_BASE_URL: "http://evil/v1", TTS_BASE_URL: "http://t" },
      {},
      world.folder,
    );
    expect(JSON.stringify(other.choice.stages())).not.toContain(KEY);
  });

  test("is needed where none is stored", async () => {
    using world = open();
    await expect(world.choice.useOpenAi(ALL, undefined)).rejects.toThrow("Enter your OpenAI key");
  });
});

describe("an endpoint", () => {
  const endpoint = { base_url: "http://127.0.0.1:11434/v1", api_key: KEY, model: "llama3.2" };

  test("serves the stages it was chosen for, and the others stay", async () => {
    using world = open();
    await world.choice.useEndpoints({ llm: endpoint, tts: { ...endpoint, voice: "sky" } });
    const stages = world.choice.stages();
    expect(stages.llm).toEqual({ baseURL: endpoint.base_url, apiKey: KEY, model: "llama3.2" });
    expect(stages.tts).toMatchObject({ baseURL: endpoint.base_url, voice: "sky" });
    expect(stages.stt.baseURL).toBe("https://api.openai.com/v1");
    expect(world.choice.defaults()).toEqual({ voice: "sky", llmModel: "llama3.2" });
    expect(JSON.stringify(world.choice.overview())).not.toContain(KEY);
  });

  test("keeps its stored key for the same address, and no other gets it", async () => {
    using world = open();
    const { api_key: _, ...keyless } = endpoint;
    await world.choice.useEndpoints({ llm: endpoint });
    await world.choice.useEndpoints({ stt: keyless });
    expect(world.choice.stages().stt.apiKey).toBe(KEY);
    await world.choice.useEndpoints({
      stt: { ...keyless, base_url: "http://127.0.0.1:1234/v1" },
    });
    expect(world.choice.stages().stt.apiKey).toBeUndefined();
    expect(world.choice.stages().llm.apiKey).toBe(KEY);
  });

  test("that a real check cannot reach is not stored", async () => {
    const check = new ProviderCheck(500);
    using world = open({}, { servers: check.servers });
    const work = world.choice.useEndpoints({
      llm: { ...endpoint, base_url: "http://127.0.0.1:9/v1" },
    });
    await expect(work).rejects.toThrow("127.0.0.1:9 cannot be reached");
    expect(world.choice.overview()[1]?.use).toBe("openai");
  });
});

describe("models on this machine", () => {
  test("are served by one engine, made when a session first needs it, each stage at its own address", async () => {
    using world = open();
    const { choice, engine } = world;
    choice.useLocal("tts", { id: "amy", kind: "piper" });
    expect(choice.overview()[2]).toMatchObject({ use: "local", model: "amy", problem: undefined });
    await choice.check("tts");
    expect(engine).toEqual([]);
    const stages = choice.stages();
    expect(stages.tts).toMatchObject({
      baseURL: "http://127.0.0.1:7000/tts",
      apiKey: "engine-key",
      model: "amy",
    });
    expect(stages.llm.baseURL).toBe("https://api.openai.com/v1");
    await stages.ready();
    choice.useLocal("llm", { id: "qwen", kind: "gguf" });
    expect(choice.stages().llm.baseURL).toBe("http://127.0.0.1:7000/llm");
    await choice[Symbol.asyncDispose]();
    expect(engine).toEqual([
      ...["created", "uses amy", "ready for ", "ready for tts", "uses amy,qwen", "gone"],
    ]);
  });

  test("speak with the speaker that was chosen, and not with a server's voice", () => {
    using world = open({ TTS_VOICE: "sky" });
    const { choice } = world;
    choice.useLocal("tts", { id: "amy", kind: "piper", voice: "angry" });
    expect(choice.stages().tts.voice).toBe("angry");
    expect(choice.overview()[2]).toMatchObject({ model: "amy", voice: "angry" });
    expect(choice.defaults().voice).toBe("angry");
    choice.useLocal("tts", { id: "amy", kind: "piper" });
    expect(choice.stages().tts.voice).toBe("alloy");
  });

  test("can be heard before they are chosen, by the engine that serves the others", async () => {
    using world = open();
    const { choice, engine } = world;
    const lease = choice.trial({ id: "amy", kind: "piper", voice: "angry" });
    const heard = { baseURL: "http://127.0.0.1:7000/tts", model: "amy", voice: "angry" };
    expect(lease.tts).toMatchObject({ ...heard, isEngine: true });
    await lease.ready();
    expect(choice.overview()[2]?.use).toBe("openai");
    lease[Symbol.dispose]();
    choice.useLocal("llm", { id: "qwen", kind: "gguf" });
    choice.stages();
    expect(engine).toEqual([
      ...["created", "uses amy", "ready for ", "ready for tts", "uses ", "uses qwen"],
    ]);
  });

  test("stay with the sessions that use them, while others are chosen, and are given back after", async () => {
    using world = open();
    const { choice, engine } = world;
    choice.useLocal("llm", { id: "qwen", kind: "gguf" });
    const first = choice.stages();
    choice.forget();
    choice.useLocal("tts", { id: "amy", kind: "piper" });
    const second = choice.stages();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(engine).toEqual(["created", "uses qwen", "uses qwen,amy", "uses amy", "uses "]);
  });

  test("speech recognition by the engine is realtime, whatever STT_REALTIME says", () => {
    const model: LocalModel = { ...voice, stage: "stt" } as unknown as LocalModel;
    using world = open({ STT_REALTIME: "false", STT_MODEL: "/m/stt" }, { modelAt: () => model });
    expect(world.choice.stages().stt).toMatchObject({ realtime: true, model: "amy" });
    expect(world.choice.overview()[0]).toMatchObject({ use: "local", fixedBy: "STT_MODEL" });
  });
});

describe("missing models of this machine", () => {
  test("that were removed are said to be missing, by the page and by a start", () => {
    using world = open();
    world.choice.useLocal("tts", { id: "amy", kind: "piper" });
    const missing = () => {
      throw new Failure("unavailable", "amy is not here: pull it");
    };
    using later = open({}, { downloaded: missing }, world.folder);
    expect(later.choice.overview()[2]?.problem).toBe("amy is not here: pull it");
    expect(() => later.choice.stages()).toThrow("pull it");
  });

  test("that are not there cannot be chosen", () => {
    using world = open();
    expect(() => world.choice.useLocal("llm", { id: "other", kind: "gguf" })).toThrow("pull it");
    expect(world.stored).toThrow();
  });
});

test("what a variable decides is not changed, and the page names the variable", async () => {
  using world = open({ LLM_BASE_URL: "http://ollama/v1" });
  const { choice } = world;
  await expect(choice.useOpenAi(["llm"], KEY)).rejects.toThrow(
    "LLM_BASE_URL is set in the environment",
  );
  await choice.useOpenAi(ALL, KEY);
  expect(choice.stages().llm).toMatchObject({ baseURL: "http://ollama/v1", apiKey: undefined });
  expect(choice.stages().tts.apiKey).toBe(KEY);
});

test("forgetting removes every key and choice", async () => {
  using world = open();
  await world.choice.useOpenAi(ALL, KEY);
  world.choice.forget();
  expect(world.stored()).toEqual({ stages: {} });
  expect(world.choice.hasOpenAiKey).toBe(false);
});

describe("speech to speech", () => {
  const talker = { base_url: "http://r:4/v1", api_key: "sk-r", model: "talker", voice: "ash" };

  test("needs no provider for the stages once a realtime model was accepted", async () => {
    using world = open();
    expect(world.choice.stages().realtimeModel).toBeUndefined();
    await world.choice.useSpeechToSpeech(talker);
    const model = { baseURL: "http://r:4/v1", apiKey: "sk-r", model: "talker", voice: "ash" };
    expect(world.asked).toEqual([model]);
    expect(world.choice.stages().realtimeModel).toEqual(model);
    expect(world.choice.overview().every(({ problem }) => problem === undefined)).toBe(true);
    expect(world.choice.defaults()).toEqual({ llmModel: "talker", voice: "ash" });
    expect(JSON.stringify(world.choice.speechToSpeech())).not.toContain("sk-r");
    await world.choice.check("stt");
    expect(world.asked).toHaveLength(2);
  });

  test("can be chosen for one conversation, with OpenAI's key, or left for one", async () => {
    using world = open({ OPENAI_API_KEY: "sk-o" });
    expect(world.choice.stages("speech_to_speech").realtimeModel).toMatchObject({
      apiKey: "sk-o",
      model: "gpt-realtime",
    });
    await world.choice.useSpeechToSpeech(talker);
    expect(world.choice.stages("pipeline").realtimeModel).toBeUndefined();
  });

  test("keeps its key for the same server only, and is forgotten with the choice", async () => {
    using world = open();
    await world.choice.useSpeechToSpeech(talker);
    const { api_key: _, ...again } = talker;
    await world.choice.useSpeechToSpeech({ ...again, voice: "sage" });
    expect(world.choice.realtimeModel()).toMatchObject({ apiKey: "sk-r", voice: "sage" });
    await world.choice.useSpeechToSpeech({ ...again, base_url: "http://other:4/v1" });
    expect(world.choice.realtimeModel().apiKey).toBeUndefined();
    await world.choice.useSpeechToSpeech(undefined);
    expect(world.choice.stages().realtimeModel).toBeUndefined();
    expect(world.stored()).toEqual({ stages: {} });
  });

  test("is not changed on the page when the environment decides, and lacks a key at OpenAI", async () => {
    using world = open({ REALTIME_MODEL: "gpt-realtime" });
    expect((await failureOf(world.choice.useSpeechToSpeech(talker))).kind).toBe("conflict");
    expect(world.choice.overview()[0]?.problem).toBe("No API key yet.");
  });

  test("a server that refuses it is not stored", async () => {
    const refuse = async () => {
      throw new Failure("upstream_failed", "no");
    };
    using world = open({}, { assertRealtimeModel: refuse });
    expect((await failureOf(world.choice.useSpeechToSpeech(talker))).kind).toBe("upstream_failed");
    expect(world.choice.speechToSpeech().chosen).toBe(false);
  });
});

describe("a second provider", () => {
  const endpoint = { use: "endpoint", base_url: "http://10.0.0.2/v1", model: "small" } as const;

  test("is tried, stored, shown without its key, used, and taken back", async () => {
    using world = open({ LLM_BASE_URL: "http://10.0.0.1/v1", LLM_MODEL: "big" });
    const { choice } = world;
    await choice.useSecond("llm", { ...endpoint, api_key: KEY });
    using stages = choice.stages();
    expect(stages.llm).toMatchObject({
      baseURL: "http://10.0.0.1/v1",
      fallback: { baseURL: endpoint.base_url, apiKey: KEY, model: "small" },
    });
    expect(stages.stt.fallback).toBeUndefined();
    const [, llm] = choice.overview();
    expect(llm?.second).toMatchObject({ use: "endpoint", model: "small", hasKey: true });
    expect(JSON.stringify(choice.overview())).not.toContain(KEY);
    expect(world.stored()).toEqual({
      stages: {},
      fallbacks: { llm: { ...endpoint, api_key: KEY } },
    });
    await choice.useSecond("llm", undefined);
    expect(choice.stages().llm.fallback).toBeUndefined();
  });

  test("that is a local model is served by the engine, for which no session waits", async () => {
    using world = open({ OPENAI_API_KEY: KEY });
    await world.choice.useSecond("llm", { use: "local", model: "qwen", kind: "gguf" });
    using stages = world.choice.stages();
    expect(stages.llm).toMatchObject({
      baseURL: "https://api.openai.com/v1",
      fallback: { baseURL: "http://127.0.0.1:7000/llm", model: "qwen", isEngine: true },
    });
    await stages.ready();
    expect(world.engine).toEqual(["created", "uses qwen", "ready for llm", "ready for "]);
  });

  test("whose engine does not start keeps no session from starting", async () => {
    const createEngine: ProviderChoiceOptions["createEngine"] = () => ({
      serverOf: () => ({ baseURL: "http://127.0.0.1:7000/v1", apiKey: "k" }),
      ready: async (stages) => {
        if (stages.length > 0) throw new Failure("unavailable", "no memory");
      },
      use: () => {},
      state: () => [],
      [Symbol.asyncDispose]: async () => {},
    });
    using world = open({ OPENAI_API_KEY: KEY }, { createEngine });
    await world.choice.useSecond("llm", { use: "local", model: "qwen", kind: "gguf" });
    using stages = world.choice.stages();
    await stages.ready();
  });

  test("without its files is none, and the overview says why", async () => {
    const lost: ProviderChoiceOptions["modelAt"] = () => {
      throw new Failure("not_found", "LLM_FALLBACK_MODEL names ./a.gguf, which does not exist");
    };
    const variables = { OPENAI_API_KEY: KEY, LLM_FALLBACK_MODEL: "./a.gguf" };
    using world = open(variables, { modelAt: lost });
    expect(world.choice.stages().llm.fallback).toBeUndefined();
    const [, llm] = world.choice.overview();
    expect(llm?.second).toMatchObject({ use: "local", problem: expect.stringContaining("a.gguf") });
  });

  test("that a variable names cannot be changed on the page", async () => {
    const variables = { TTS_FALLBACK_BASE_URL: "http://10.0.0.3/v1", TTS_FALLBACK_VOICE: "amy" };
    using world = open(variables);
    expect((await failureOf(world.choice.useSecond("tts", undefined))).message).toContain(
      "TTS_FALLBACK_BASE_URL is set",
    );
    expect(world.choice.stages().tts.fallback).toMatchObject({
      ...{ baseURL: "http://10.0.0.3/v1", model: "gpt-4o-mini-tts", voice: "amy" },
    });
  });

  test("that is OpenAI needs a stored key", async () => {
    using world = open({ LLM_BASE_URL: "http://10.0.0.1/v1" });
    expect((await failureOf(world.choice.useSecond("llm", { use: "openai" }))).kind).toBe(
      "invalid",
    );
  });
});
