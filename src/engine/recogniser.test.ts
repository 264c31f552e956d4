import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { simpleAudioTools, tone } from "../../test/engine-audio.ts";
import type { LocalSttModel } from "../domain/model.ts";
import { onnxMetadata } from "../lib/onnx-file.ts";
import { PAUSES } from "./audio-tools.ts";
import type { Sherpa } from "./native-libraries.ts";
import { loadRecogniser } from "./recogniser.ts";
import type { Segment } from "./utterance.ts";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

const tokens = file("tokens.txt", "<blk> 0\nThe 1\n");
const capitals = file("capitals.txt", "<blk> 0\nTHE 1\n");
const encoder = file("multilingual.onnx", onnxMetadata({ is_multilingual: "1" }));
const WHISPER = {
  stage: "stt",
  id: "ear",
  kind: "whisper",
  encoder,
  decoder: "d",
  tokens,
} as const;
const SENSE_VOICE = { stage: "stt", id: "ear", kind: "sense-voice", model: "m", tokens } as const;
const OFFLINE = { denoise: false };

/** The library with a recogniser that writes the language it is set to, and tells `told`. */
function fakeSherpa(told = "", loads: string[] = []): Sherpa {
  type Config = Parameters<Sherpa["OfflineRecognizer"]["createAsync"]>[0];
  const languageOf = ({ modelConfig }: Config) =>
    modelConfig.whisper?.language ?? modelConfig.senseVoice?.language ?? "";
  const createAsync = async (config: Config) => {
    let language = languageOf(config);
    loads.push(language);
    return {
      setConfig: (changed: Config) => {
        language = languageOf(changed);
      },
      createStream: () => ({ acceptWaveform: () => {} }),
      decodeAsync: async () => ({ text: `IN ${language || "ANY"}`, lang: told }),
    };
  };
  class OnlinePunctuation {
    addPunct = (text: string) => `${text}.`;
  }
  class OnlineSpeechDenoiser {
    run = ({ samples }: { samples: Float32Array }) => ({ samples: samples.map(() => 0.5) });
  }
  const library = { OfflineRecognizer: { createAsync }, OnlinePunctuation, OnlineSpeechDenoiser };
  return library as unknown as Sherpa;
}

async function segmentOf(
  sherpa: Sherpa,
  model: LocalSttModel,
  language?: string,
): Promise<Segment | undefined> {
  const recogniser = await loadRecogniser(sherpa, model, OFFLINE);
  return heard(recogniser, language);
}

async function heard(
  recogniser: Awaited<ReturnType<typeof loadRecogniser>>,
  language?: string,
): Promise<Segment | undefined> {
  const detector = () => simpleAudioTools().detector(PAUSES);
  const utterance = recogniser.listen({ client: "client", language, detector });
  utterance.push(tone(1));
  const [segment] = await utterance.finish(new AbortController().signal);
  return segment;
}

describe("a language that is asked for", () => {
  test("is that of each request to Whisper, which detects it where none is known", async () => {
    const recogniser = await loadRecogniser(fakeSherpa(), WHISPER, OFFLINE);
    const languages = ["de", undefined, "ja", "de"];
    const all = await Promise.all(languages.map((language) => heard(recogniser, language)));
    expect(all.map((segment) => segment?.text)).toEqual(["IN de", "IN ANY", "IN ja", "IN de"]);
    expect(all.map((segment) => segment?.language)).toEqual(languages);
  });

  test("loads SenseVoice for it, whose settings cannot be changed", async () => {
    const loads: string[] = [];
    const recogniser = await loadRecogniser(fakeSherpa("<|en|>", loads), SENSE_VOICE, OFFLINE);
    for (const language of ["ja", undefined, "ja"]) await heard(recogniser, language);
    expect(loads).toEqual(["", "ja"]);
  });
});

test("what the model tells of the language counts more than what was asked for", async () => {
  expect((await segmentOf(fakeSherpa("<|yue|>"), SENSE_VOICE))?.language).toBe("yue");
  expect((await segmentOf(fakeSherpa("fr"), WHISPER, "de"))?.language).toBe("fr");
  const english = file("english.onnx", onnxMetadata({ is_multilingual: "0" }));
  expect((await segmentOf(fakeSherpa(), { ...WHISPER, encoder: english }))?.language).toBe("en");
});

test("text of a vocabulary in capitals gets its case, and its punctuation from a model", async () => {
  const bare = {
    stage: "stt",
    id: "ear",
    kind: "zipformer-ctc",
    model: "m",
    tokens: capitals,
  } as const;
  expect((await segmentOf(fakeSherpa(), bare))?.text).toBe("In any");
  const punctuated = { ...bare, punctuation: "p", punctuationVocabulary: "v" };
  expect((await segmentOf(fakeSherpa(), punctuated))?.text).toBe("In any.");
  expect((await segmentOf(fakeSherpa(), { ...bare, tokens }))?.text).toBe("IN ANY");
});

test("noise is suppressed where that is switched on, and the file that it needs is named", async () => {
  const quiet = await loadRecogniser(fakeSherpa(), WHISPER, OFFLINE);
  expect(quiet.denoiser).toBeUndefined();
  const model = { ...WHISPER, denoiser: "gtcrn.onnx" };
  const cleaning = await loadRecogniser(fakeSherpa(), model, { denoise: true });
  expect([...(cleaning.denoiser?.().push(tone(0.0002)) ?? [])]).toEqual([0.5, 0.5, 0.5]);
  const without = loadRecogniser(fakeSherpa(), WHISPER, { denoise: true });
  await expect(without).rejects.toThrow("gtcrn_simple.onnx");
});
