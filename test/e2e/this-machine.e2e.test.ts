import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pino } from "pino";
import { startApp } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import { temporaryFolder } from "../../src/db/test-database.ts";
import type { LocalModel } from "../../src/domain/model.ts";
import { testBinary } from "../../src/livekit/test-binary.ts";
import { sourceResources } from "../../src/resources.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Guest } from "./guest.ts";
import { microphone } from "./world.ts";

const HELLO = "Hello there.";
const ENGINE_KEY = "key-of-the-engine";

/** Files that are named like models; what serves them here looks at none. */
function modelFiles(folder: string): Record<string, string> {
  const paths = [
    "ear/encoder_model.ort",
    "ear/decoder_model_merged.ort",
    "ear/tokens.txt",
    "brain.gguf",
    "voice/voice.onnx",
    "voice/tokens.txt",
    "voice/espeak-ng-data/phontab",
  ];
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), "");
  }
  return {
    STT_MODEL: join(folder, "ear"),
    LLM_MODEL: join(folder, "brain.gguf"),
    TTS_MODEL: `file://${join(folder, "voice")}`,
  };
}

test("without any account, a conversation runs on what serves the models of this machine", async () => {
  await using ai = await startStandIn({ phrases: [HELLO], apiKey: ENGINE_KEY, realtime: true });
  using folder = temporaryFolder();
  const created: (readonly LocalModel[])[] = [];
  const calls: string[] = [];
  const variables = {
    PORT: "0",
    DATA_DIR: folder.path,
    LIVEKIT_SERVER_BIN: await testBinary(),
    ...modelFiles(folder.path),
  };
  const app = await startApp(
    readConfig(variables),
    pino({ level: "silent" }),
    sourceResources(),
    variables,
    {
      createEngine: (models) => {
        created.push(models);
        return {
          baseURL: ai.url,
          apiKey: ENGINE_KEY,
          ready: async () => void calls.push("ready"),
          use: () => void calls.push("use"),
          [Symbol.asyncDispose]: async () => void calls.push("gone"),
        };
      },
    },
  );
  try {
    using words = await microphone([{ say: HELLO }]);
    await using guest = await Guest.at(app.url, { microphone: words.path });
    expect(await guest.page.locator("#offer").count()).toBe(0);
    expect(created).toEqual([]);
    const begun = Date.now();
    await guest.start();
    await guest.reads("agent", `You said: ${HELLO}`);
    await guest.hears(begun);
    await guest.stop();
    expect(guest.visitor.complaints).toEqual([]);
  } finally {
    await app[Symbol.asyncDispose]();
  }
  expect(created.map((models) => models.map(({ stage, kind, id }) => [stage, kind, id]))).toEqual([
    [
      ["stt", "moonshine", "ear"],
      ["llm", "gguf", "brain"],
      ["tts", "piper", "voice"],
    ],
  ]);
  expect(calls).toEqual(["ready", "gone"]);
  const asked = ai.requests.map(({ stage, via }) => `${stage} ${via}`);
  expect(asked).toContain("stt realtime");
}, 60_000);
