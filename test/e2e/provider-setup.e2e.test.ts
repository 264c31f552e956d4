import { afterAll, beforeAll, expect, test } from "bun:test";
import { speak } from "../audio/speech.ts";
import { type Parley, SOURCE, startParley } from "../parley.ts";
import { type StandIn, startStandIn } from "../stand-in/openai.ts";
import { modelList, servedAt, voiceList } from "../stand-in/quirks/setup.ts";
import { PageUser } from "./page-user.ts";

const HELLO = "Hello there.";

const open = new AsyncDisposableStack();
let ai: StandIn;
let parley: Parley;
let user: PageUser;
let origin: string;

beforeAll(async () => {
  ai = open.use(await startStandIn({ phrases: [HELLO], realtime: false }));
  ({ origin } = new URL(ai.url));
  parley = open.use(await startParley({ command: SOURCE }));
  user = open.use(await PageUser.at(`${parley.url}/models`));
});
afterAll(() => open.disposeAsync());

test("a server's names are offered once its address is there, and one alone is taken", async () => {
  const { page } = user;
  ai.quirks = [
    servedAt("/v1"),
    modelList(["kokoro"]),
    voiceList({ voices: ["af_heart", "af_sky"] }),
  ];
  await page.click("[data-stage=tts] summary");
  await page.fill("#tts-endpoint-base_url", origin.replace("http://", ""));
  await page.focus("#tts-endpoint-tts_voice");
  await page.waitForSelector("#tts-endpoint-offered >> text=2 voices to choose from");
  expect(await page.textContent("#tts-endpoint-offered")).toContain("model kokoro, used if");
  const voices = "#tts-endpoint-tts_voice-names option";
  expect(
    await page.locator(voices).evaluateAll((all) => all.map((one) => one.getAttribute("value"))),
  ).toEqual(["af_heart", "af_sky"]);
  await page.click("[data-stage=tts] >> text=Use this server");
  await page.waitForSelector("#tts-endpoint-problem >> text=Choose one.");
  await page.fill("#tts-endpoint-tts_voice", "af_hart");
  await page.click("[data-stage=tts] >> text=Use this server");
  await page.waitForSelector("#tts-endpoint-problem >> text=“af_hart” is not among them");
  await page.fill("#tts-endpoint-tts_voice", "af_sky");
  await page.click("[data-stage=tts] >> text=Use this server");
  await page.waitForSelector("[data-stage=tts][data-use=endpoint]");
  expect(await page.textContent("[data-stage=tts]")).toContain(`${ai.url}: kokoro, voice af_sky`);
});

test("each stage is tried by a button that tells what was said or heard, and how long it took", async () => {
  const { page } = user;
  ai.quirks = [];
  const fields = new URLSearchParams({ base_url: ai.url, tts_voice: "alloy" });
  for (const stage of ["stt", "llm", "tts"]) fields.append("stages", stage);
  expect((await parley.fetch("/providers/endpoint", { method: "POST", body: fields })).ok).toBe(
    true,
  );
  await page.goto(`${parley.url}/models`);
  await page.click("#test-tts");
  await page.waitForSelector("#test-tts-result audio");
  expect(await page.textContent("#test-tts-result")).toMatch(
    /Hello, this is Parley.*First sound after/,
  );
  await user.until("the voice plays", () => {
    const audio = document.querySelector("audio");
    return audio !== null && audio.duration > 1 && (audio.currentTime > 0 || audio.ended);
  });
  await page.click("#test-llm");
  await page.waitForSelector("#test-llm-result >> text=First word after");
  expect(await page.textContent("#test-llm-result")).toContain("You said: Say hello");

  await page.click("#test-stt");
  await page.waitForSelector("#test-stt-progress >> text=Listening");
  const samples = speak(HELLO, { rate: 48_000 });
  const pcm = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString(
    "base64",
  );
  await page.evaluate(async (pcm) => {
    for (;;) {
      const played = await window.microphone.play(pcm).catch(() => undefined);
      if (played) return;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }, pcm);
  await page.waitForSelector("#test-stt-result >> text=Realtime: no");
  expect(await page.textContent("#test-stt-result")).toContain(`“${HELLO}”`);

  ai.fail("llm", { kind: "status", status: 401 }, Number.POSITIVE_INFINITY);
  await page.click("#test-llm");
  await page.waitForSelector("#test-llm-result [role=alert]");
  expect(await page.textContent("#test-llm-result")).toContain("(401)");
  expect(await user.noted("violations")).toEqual([]);
});
