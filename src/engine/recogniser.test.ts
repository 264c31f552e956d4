import { expect, test } from "bun:test";
import type { Sherpa } from "./native-libraries.ts";
import { loadRecogniser } from "./recogniser.ts";

const FILES = { stage: "stt", id: "ear", encoder: "e", decoder: "d", tokens: "t" } as const;

/** The library with a recogniser that writes the language it is set to. */
function fakeSherpa(): Sherpa {
  type Config = Parameters<Sherpa["OfflineRecognizer"]["createAsync"]>[0];
  const create = async (config: Config) => {
    let language = config.modelConfig.whisper?.language;
    return {
      setConfig: (changed: Config) => {
        language = changed.modelConfig.whisper?.language;
      },
      createStream: () => ({ acceptWaveform: () => {} }),
      decodeAsync: async () => ({ text: `in ${language || "any"}` }),
    };
  };
  return { OfflineRecognizer: { createAsync: create } } as unknown as Sherpa;
}

test("Whisper listens in the language of each request, and detects it where none is known", async () => {
  const recogniser = await loadRecogniser(fakeSherpa(), { ...FILES, kind: "whisper" });
  const heard = async (language?: string) => {
    const utterance = recogniser.listen("client", language);
    utterance.push(new Float32Array(1600));
    const [segment] = await utterance.finish(new AbortController().signal);
    return segment?.text;
  };
  const all = await Promise.all([heard("de"), heard(), heard("ja"), heard("xx"), heard("de")]);
  expect(all).toEqual(["in de", "in any", "in ja", "in any", "in de"]);
});
