import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { bytesOf, ModelServer, tinyModel } from "../../test/model-server.ts";
import { downloadModel } from "./download.ts";
import { storedState } from "./model-folder.ts";
import { piperMetadata } from "./piper-voice.ts";

const SETTINGS = {
  audio: { sample_rate: 22_050 },
  espeak: { voice: "de" },
  num_speakers: 1,
  language: { name_english: "German" },
  phoneme_id_map: { _: [0], a: [14] },
};
const NETWORK = bytesOf(5000);

function open(settings: unknown = SETTINGS) {
  const files = {
    "de-x.onnx": NETWORK,
    "de-x.onnx.json": new TextEncoder().encode(JSON.stringify(settings)),
    "espeak-ng-data/phontab": bytesOf(40, 2),
  };
  const stack = new AsyncDisposableStack();
  const served = Object.entries(files).map(([path, bytes]) => [`tiny-llm/${path}`, bytes]);
  const server = stack.use(new ModelServer({ files: Object.fromEntries(served) }));
  const folder = stack.use(temporaryFolder()).path;
  const model = tinyModel(server.url, files, { stage: "tts", kind: "piper" });
  return {
    folder,
    model,
    server,
    at: (path: string) => join(folder, model.id, path),
    pull: () => downloadModel(model, { folder, stallMs: 400 }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("a voice as the Piper project publishes it gets its metadata and tokens", async () => {
  await using voice = open();
  await voice.pull();
  expect(storedState(voice.folder, voice.model)).toEqual({ state: "present" });
  expect(readFileSync(voice.at("tokens.txt"), "utf8")).toBe("_ 0\na 14\n");
  expect(readFileSync(voice.at("de-x.onnx"))).toEqual(
    Buffer.concat([NETWORK, piperMetadata(SETTINGS)]),
  );
});

test("it is verified and not downloaded again, and repaired where preparing it broke off", async () => {
  await using voice = open();
  await voice.pull();
  const whole = readFileSync(voice.at("de-x.onnx"));
  const requests = voice.server.requests.length;
  writeFileSync(voice.at("de-x.onnx"), whole.subarray(0, NETWORK.length + 7));
  await Bun.file(voice.at("tokens.txt")).delete();
  expect(storedState(voice.folder, voice.model).state).toBe("absent");
  await voice.pull();
  expect(readFileSync(voice.at("de-x.onnx"))).toEqual(whole);
  expect(voice.server.requests.length).toBe(requests);
});

test("what follows the network cannot hide that the network itself was changed", async () => {
  await using voice = open();
  await voice.pull();
  const changed = readFileSync(voice.at("de-x.onnx"));
  changed[10] = (changed[10] ?? 0) ^ 1;
  writeFileSync(voice.at("de-x.onnx"), changed);
  await voice.pull();
  expect(readFileSync(voice.at("de-x.onnx")).subarray(0, NETWORK.length)).toEqual(
    Buffer.from(NETWORK),
  );
});

test("settings of something else are a failure that names the file", async () => {
  await using voice = open({ audio: {} });
  await expect(voice.pull()).rejects.toThrow(/de-x\.onnx\.json does not have the settings/);
});
