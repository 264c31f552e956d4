import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { onnxMetadata } from "./onnx-file.ts";
import { speakersOf } from "./speakers.ts";

/** The properties of a network and no weights, in a file of a folder. */
function network(folder: string, properties: Record<string, string>): string {
  const path = join(folder, "model.onnx");
  writeFileSync(path, onnxMetadata(properties));
  return path;
}

const FILES = { stage: "tts", id: "v", voices: "-", tokens: "-", phonemes: "-" } as const;

test("Kokoro's speakers have the language and gender that their names say", async () => {
  using folder = temporaryFolder();
  const model = network(folder.path, {
    n_speakers: "4",
    speaker_names: "af_bella,bm_fable,zf_xiaobei,pm_alex",
  });
  expect(await speakersOf({ ...FILES, kind: "kokoro", model })).toEqual([
    { id: "af_bella", name: "Bella", language: "en-US", gender: "female" },
    { id: "bm_fable", name: "Fable", language: "en-GB", gender: "male" },
    { id: "zf_xiaobei", name: "Xiaobei", language: "zh", gender: "female" },
    { id: "pm_alex", name: "Alex", language: "pt-BR", gender: "male" },
  ]);
});

test("Kitten's speakers say their gender, and one without a name has a number", async () => {
  using folder = temporaryFolder();
  const model = network(folder.path, { n_speakers: "2", speaker_names: "expr-voice-2-m" });
  expect(await speakersOf({ ...FILES, kind: "kitten", model })).toEqual([
    { id: "expr-voice-2-m", name: "expr-voice-2-m", language: "en-US", gender: "male" },
    { id: "1", name: "Speaker 1", language: "und", gender: undefined },
  ]);
});

test("a Piper voice of several speakers has their names from its settings", async () => {
  using folder = temporaryFolder();
  const model = network(folder.path, { n_speakers: "3", voice: "de" });
  const piper = { ...FILES, kind: "piper", model } as const;
  expect((await speakersOf(piper)).map(({ id, language }) => [id, language])).toEqual([
    ["0", "de"],
    ["1", "de"],
    ["2", "de"],
  ]);
  const settings = { speaker_id_map: { amused: 0, angry: 2 }, language: { code: "de_DE" } };
  writeFileSync(`${model}.json`, JSON.stringify(settings));
  expect((await speakersOf(piper)).map(({ id, language }) => [id, language])).toEqual([
    ["amused", "de-DE"],
    ["1", "de-DE"],
    ["angry", "de-DE"],
  ]);
});

test("Supertonic's file of styles says how many speakers there are", async () => {
  using folder = temporaryFolder();
  const voices = join(folder.path, "voice.bin");
  writeFileSync(voices, new Uint8Array(new BigInt64Array([4n, 50n, 256n, 4n, 8n, 16n]).buffer));
  const path = "-";
  const speakers = await speakersOf({
    stage: "tts",
    id: "v",
    kind: "supertonic",
    durationPredictor: path,
    textEncoder: path,
    vectorEstimator: path,
    vocoder: path,
    settings: path,
    unicodeIndexer: path,
    voices,
  });
  expect(speakers.map(({ id, gender }) => `${id} ${gender}`)).toEqual([
    "F1 female",
    "F2 female",
    "M1 male",
    "M2 male",
  ]);
});
