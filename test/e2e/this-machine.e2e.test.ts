import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../database.ts";
import { startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { PageUser } from "./page-user.ts";
import { spokenTest as test } from "./spoken.ts";

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
  const env = { ENGINE_URL: ai.url, ENGINE_KEY, ...modelFiles(folder.path) };
  const command = [process.execPath, join(import.meta.dir, "..", "with-engine.ts")];
  await using parley = await startParley({ command, env });
  const calls = () =>
    parley.log.filter(({ msg }) => msg === "engine").map((line) => String(line["call"]));
  await using user = await PageUser.at(parley.url);
  expect(await user.page.locator("#offer").count()).toBe(0);
  expect(calls()).toEqual([]);
  const begun = Date.now();
  await user.start();
  await user.say(HELLO);
  await user.reads("agent", `You said: ${HELLO}`);
  await user.hears(begun);
  await user.stop();
  expect(user.session.complaints).toEqual([]);
  const used = await parley.logged(({ msg, call }) => msg === "engine" && call === "use");
  expect(used["models"]).toEqual(["stt moonshine ear", "llm gguf brain", "tts piper voice"]);
  expect(ai.requests.map(({ stage, via }) => `${stage} ${via}`)).toContain("stt realtime");
  expect(await parley.stop()).toBe(0);
  expect(calls()).toEqual(["use", "ready", "use", "dispose"]);
});

test("a model of this machine answers in the turn in which another server fails", async () => {
  await using other = await startStandIn({ phrases: [HELLO], realtime: false });
  await using ai = await startStandIn({ apiKey: ENGINE_KEY });
  using folder = temporaryFolder();
  const { LLM_MODEL: brain = "" } = modelFiles(folder.path);
  const env = {
    ENGINE_URL: ai.url,
    ENGINE_KEY,
    OPENAI_BASE_URL: other.url,
    LLM_FALLBACK_MODEL: brain,
  };
  const command = [process.execPath, join(import.meta.dir, "..", "with-engine.ts")];
  await using parley = await startParley({ command, env });
  await using user = await PageUser.at(parley.url);
  await user.start();
  other.fail("llm", { kind: "status", status: 500 }, Number.POSITIVE_INFINITY);
  const begun = Date.now();
  await user.say(HELLO);
  await user.reads("agent", `You said: ${HELLO}`);
  await user.hears(begun);
  expect(await user.page.locator("#notice-title").textContent()).toEndWith(
    "Now this machine answers.",
  );
  await user.stop();
  const asked = await ai.waitFor("llm", ({ text }) => text === `You said: ${HELLO}`);
  expect(asked.status).toBe(200);
});
