import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalModel } from "../domain/model.ts";
import { readOnnxFile } from "../lib/onnx-file.ts";
import { piperMetadata } from "../models/piper-voice.ts";
import { checkModelFiles } from "./check-model.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-models-"));
  mkdirSync(join(folder, "espeak-ng-data"));
  write("espeak-ng-data/phontab", "x");
  write("tokens.txt", "a 0\nb 1\n");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The version of the format, and a graph of 200 bytes. */
const NETWORK = Buffer.concat([Buffer.from([0x08, 9, 0x3a, 200, 1]), Buffer.alloc(200, 7)]);
const PROPERTIES = piperMetadata({
  audio: { sample_rate: 22_050 },
  espeak: { voice: "en-us" },
  num_speakers: 1,
  language: { name_english: "English" },
  phoneme_id_map: {},
});

function piper(name: string, content: Uint8Array): Extract<LocalModel, { kind: "piper" }> {
  return {
    stage: "tts",
    id: "voice",
    kind: "piper",
    model: write(name, content),
    tokens: join(folder, "tokens.txt"),
    phonemes: join(folder, "espeak-ng-data"),
  };
}

test("metadata after the weights of a network is read", async () => {
  const path = write("read.onnx", Buffer.concat([NETWORK, PROPERTIES]));
  const { complete, properties } = readOnnxFile(path);
  expect(complete).toBe(true);
  expect(properties.get("sample_rate")).toBe("22050");
  expect(properties.get("voice")).toBe("en-us");
});

test("a complete voice passes", async () => {
  await checkModelFiles(piper("whole.onnx", Buffer.concat([NETWORK, PROPERTIES])));
});

test("a file that is missing, cut short or not a model is named in the error", async () => {
  const cases: [string, Uint8Array, string][] = [
    ["cut.onnx", NETWORK.subarray(0, 100), "cut short"],
    ["bare.onnx", NETWORK, "lacks the properties (sample_rate, n_speakers, language, comment)"],
    ["text.onnx", Buffer.from("<html>Not found</html>"), "damaged"],
    ["empty.onnx", new Uint8Array(), "empty"],
  ];
  for (const [name, content, words] of cases) {
    const checked = checkModelFiles(piper(name, content));
    await expect(checked).rejects.toThrow(words);
    await expect(checked).rejects.toThrow(join(folder, name));
  }
  const whole = piper("whole.onnx", Buffer.concat([NETWORK, PROPERTIES]));
  const elsewhere = join(folder, "nothing");
  await expect(checkModelFiles({ ...whole, phonemes: elsewhere })).rejects.toThrow("phontab");
  await expect(checkModelFiles({ ...whole, tokens: elsewhere })).rejects.toThrow(elsewhere);
  const wordless = write("words.txt", "<html>\n");
  await expect(checkModelFiles({ ...whole, tokens: wordless })).rejects.toThrow(wordless);
  const chat = { stage: "llm", id: "chat", kind: "gguf", model: write("no.gguf", "GGML....") };
  await expect(checkModelFiles({ ...chat, stage: "llm", kind: "gguf" })).rejects.toThrow("no GGUF");
});

test("Kokoro's voices must have the size that its network says", async () => {
  const pair = (key: string, value: string) => {
    const inner = [
      0x0a,
      key.length,
      ...Buffer.from(key),
      0x12,
      value.length,
      ...Buffer.from(value),
    ];
    return Buffer.from([0x72, inner.length, ...inner]);
  };
  const kokoro = [pair("style_dim", "5,1,2"), pair("n_speakers", "3"), pair("has_espeak", "1")];
  const network = Buffer.concat([NETWORK, pair("sample_rate", "24000"), ...kokoro]);
  const model = { ...piper("kokoro.onnx", network), kind: "kokoro" } as const;
  const whole = write("voices.bin", new Uint8Array(5 * 2 * 3 * 4));
  await checkModelFiles({ ...model, voices: whole });
  const cut = write("cut.bin", new Uint8Array(100));
  const checked = checkModelFiles({ ...model, voices: cut });
  await expect(checked).rejects.toThrow("has 100 bytes instead of 120");
});
