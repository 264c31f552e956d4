import { expect, test } from "bun:test";
import { fakeLanguageModel, fakeModels, LLM, STT, TTS } from "../../test/engine-models.ts";

test("a model is loaded once, when it is first needed", async () => {
  const events: string[] = [];
  const models = fakeModels({ onLoad: (event, { id }) => events.push(`${event} ${id}`) });
  expect(events).toEqual([]);
  await Promise.all([models.acquire("llm", "mind"), models.acquire("llm", undefined)]);
  expect(events).toEqual(["loading mind", "loaded mind"]);
});

test("a model that could not be loaded is tried again at the next request", async () => {
  let tries = 0;
  const models = fakeModels({
    load: {
      tts: async () => {
        tries += 1;
        throw new Error(`try ${tries}`);
      },
    },
  });
  await expect(models.acquire("tts", TTS.id)).rejects.toThrow("try 1");
  await expect(models.acquire("tts", TTS.id)).rejects.toThrow("try 2");
});

test("a model that is replaced is freed after its last request", async () => {
  let disposed = 0;
  const models = fakeModels({
    load: {
      llm: async () => ({
        ...fakeLanguageModel(),
        [Symbol.asyncDispose]: async () => {
          disposed += 1;
        },
      }),
    },
  });
  const lease = await models.acquire("llm", LLM.id);
  models.use([STT]);
  await expect(models.acquire("llm", LLM.id)).rejects.toThrow("There are: none");
  expect(disposed).toBe(0);
  lease[Symbol.dispose]();
  lease[Symbol.dispose]();
  await Bun.sleep(0);
  expect(disposed).toBe(1);
});

test("a model that nobody uses for a while is freed, and loaded again when it is needed", async () => {
  const events: string[] = [];
  const released = Promise.withResolvers<void>();
  const models = fakeModels({
    keepAliveMs: 20,
    onLoad: (event) => {
      events.push(event);
      if (event === "released") released.resolve();
    },
  });
  const lease = await models.acquire("llm", LLM.id);
  (await models.acquire("llm", LLM.id))[Symbol.dispose]();
  // Longer than the idle time, after which a model without a lease would be released.
  await Bun.sleep(60);
  expect(events).toEqual(["loading", "loaded"]);
  lease[Symbol.dispose]();
  await released.promise;
  await models.acquire("llm", LLM.id);
  expect(events).toEqual(["loading", "loaded", "released", "loading", "loaded"]);
});

test("OpenAI's names mean the only model of their stage", async () => {
  const models = fakeModels({});
  for (const name of ["whisper-1", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-2025-03-20"]) {
    expect(models.check("stt", name).id).toBe(STT.id);
  }
  for (const name of ["gpt-4o-mini", "gpt-4o-2024-08-06", "gpt-5-nano"]) {
    expect(models.check("llm", name).id).toBe(LLM.id);
  }
  for (const name of ["tts-1", "tts-1-hd", "gpt-4o-mini-tts"]) {
    expect(models.check("tts", name).id).toBe(TTS.id);
    expect(() => models.check("llm", name)).toThrow("There are: mind");
  }
  models.use([LLM, { ...LLM, id: "other" }]);
  expect(() => models.check("llm", "gpt-4o-mini")).toThrow("There are: mind, other");
});

test("a model that stays in the list stays loaded", async () => {
  const events: string[] = [];
  const models = fakeModels({ onLoad: (event) => events.push(event) });
  await models.acquire("llm", LLM.id);
  models.use([{ ...LLM }]);
  await models.acquire("llm", LLM.id);
  expect(events).toEqual(["loading", "loaded"]);
});

test("a model that crashed the process is not loaded again, and the error says why", async () => {
  const models = fakeModels({});
  models.use([LLM], new Map([[LLM.id, "it ended the engine"]]));
  await expect(models.warmUp()).rejects.toThrow("it ended the engine");
});
