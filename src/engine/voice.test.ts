import { afterAll, beforeAll, expect, test } from "bun:test";
import { testModels } from "../../scripts/test-models.ts";
import { temporaryFolder } from "../../test/database.ts";
import { tinyKokoro } from "../../test/tiny-kokoro.ts";
import { checkModelFiles } from "./check-model.ts";
import { loadSherpa } from "./native-libraries.ts";
import { loadVoice, type Voice } from "./voice.ts";

const NAMES = ["af_bella", "bf_emma", "ef_dora", "ff_siwis", "hf_alpha", "if_sara", "jf_alpha"];
const folder = temporaryFolder();
let voice: Voice;

beforeAll(async () => {
  const { phonemes } = (await testModels()).tts;
  const model = tinyKokoro(folder.path, phonemes, [...NAMES, "pf_dora", "zf_xiaobei"]);
  await checkModelFiles(model);
  voice = await loadVoice(await loadSherpa(), model);
}, 120_000);
afterAll(() => folder[Symbol.dispose]());

/** The phonemes and the style of what is spoken, as one text. */
async function spoken(name: string, language?: string): Promise<string> {
  const options = { speed: 1, client: "c", signal: new AbortController().signal };
  const parts = voice.speak("Paris, no: hotel!", { ...options, voice: name, language });
  return (await Array.fromAsync(parts)).map((pcm) => [...pcm].join()).join();
}

test("each speaker of a multilingual Kokoro speaks its own language", async () => {
  const ways = await Promise.all([...NAMES, "pf_dora"].map((name) => spoken(name)));
  expect(ways.every((way) => way.length > 20)).toBe(true);
  expect(new Set(ways).size).toBe(ways.length);
});

test("a request may ask for another language, and what is none of the model's counts as none", async () => {
  const own = await spoken("af_bella");
  expect(await spoken("af_bella", "es")).not.toBe(own);
  expect(await spoken("af_bella", "fr-CA")).toBe(await spoken("af_bella", "fr"));
  expect(await spoken("af_bella", "fi")).toBe(own);
  expect(await spoken("ef_dora", "en-US")).not.toBe(await spoken("ef_dora"));
});

test("Chinese is refused where the lexicon for it is missing", () => {
  const options = { speed: 1, client: "c", signal: new AbortController().signal };
  expect(() => voice.speak("你好。", { ...options, voice: "zf_xiaobei" })).toThrow("lexicon-zh");
});
