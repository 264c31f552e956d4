import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { temporaryFolder } from "../database.ts";
import { bytesOf, ModelServer, tinyModel } from "../model-server.ts";
import { type Parley, SOURCE, startParley } from "../parley.ts";
import { type StandIn, startStandIn } from "../stand-in/openai.ts";
import { PageUser } from "./page-user.ts";
import { spokenTest } from "./spoken.ts";

const KEY = "sk-secret-of-the-test";
const HELLO = "Hello there.";
const GGUF = bytesOf(300_000, 11);
const EAR = bytesOf(2000, 12);
const VOICE = bytesOf(3000, 13);

const open = new AsyncDisposableStack();
let ai: StandIn;
let server: ModelServer;
let catalog: string;

beforeAll(async () => {
  ai = open.use(await startStandIn({ phrases: [HELLO], apiKey: KEY, realtime: false }));
  const ear = { "encoder.onnx": EAR, "decoder.onnx": EAR, "tokens.txt": EAR };
  const voice = { "v.onnx": VOICE, "tokens.txt": VOICE, "espeak-ng-data/phontab": VOICE };
  server = open.use(
    new ModelServer({
      piece: 10_000,
      files: {
        "tiny-llm/a.gguf": GGUF,
        ...under("tiny-ear", ear),
        ...under("tiny-voice", voice),
      },
    }),
  );
  const models = [
    tinyModel(server.url, ear, { id: "tiny-ear", stage: "stt", kind: "whisper", name: "Ear" }),
    tinyModel(server.url, { "a.gguf": GGUF }, { name: "Brain" }),
    tinyModel(server.url, voice, { id: "tiny-voice", stage: "tts", kind: "piper", name: "Mouth" }),
  ];
  const folder = open.use(temporaryFolder());
  catalog = join(folder.path, "catalog.json");
  writeFileSync(catalog, JSON.stringify({ models }));
});
afterAll(() => open.disposeAsync());

function under(id: string, files: Record<string, Uint8Array>) {
  return Object.fromEntries(Object.entries(files).map(([path, file]) => [`${id}/${path}`, file]));
}

/** A Parley that nobody has set up, and somebody who opens its page. */
async function firstVisit(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const variables = { MODELS_CATALOG: catalog, STT_REALTIME: "false", ...env };
  const parley: Parley = stack.use(await startParley({ env: variables, command: SOURCE }));
  const user = stack.use(await PageUser.at(parley.url));
  return { parley, user, page: user.page, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("the first visit offers three ways, and a refused or unreachable server is reported beside its form", async () => {
  await using visit = await firstVisit();
  const { page, user } = visit;
  const ways = await page.locator("#offer .card h2").allTextContents();
  expect(ways).toEqual(["OpenAI", "This machine", "Another server"]);
  await page.click("text=Enter an address");
  await page.fill("#endpoint-base_url", ai.url);
  await page.fill("#endpoint-api_key", "sk-wrong");
  await page.click("#offer >> text=Use this server");
  await page.waitForSelector("#endpoint-problem [role=alert]");
  expect(await page.textContent("#endpoint-problem")).toMatch(/key.*\(401\)/);
  expect(await page.inputValue("#endpoint-base_url")).toBe(ai.url);
  await page.fill("#endpoint-base_url", "http://127.0.0.1:9/v1");
  await page.click("#offer >> text=Use this server");
  await user.until("the page reports that the server cannot be reached", () =>
    /127\.0\.0\.1:9 cannot be reached/.test(
      document.getElementById("endpoint-problem")?.textContent ?? "",
    ),
  );
  await page.click("#offer >> text=Find servers");
  await page.waitForSelector("#found p, #found li");
});

spokenTest(
  "a server and its key are pasted once, a conversation begins at once, and the key is seen nowhere",
  async () => {
    await using visit = await firstVisit();
    const { page, user, parley } = visit;
    await page.click("text=Enter an address");
    await page.fill("#endpoint-base_url", `${ai.url}/`);
    await page.fill("#endpoint-api_key", KEY);
    await page.fill("#endpoint-llm_model", "llama-of-the-test");
    await page.click("#offer >> text=Use this server");
    await page.waitForSelector("#offer", { state: "detached" });
    expect(await page.textContent("#empty")).toContain("Say hello");
    const begun = Date.now();
    await user.start();
    await user.say(HELLO);
    await user.reads("agent", `You said: ${HELLO}`);
    await user.hears(begun);
    await user.stop();
    const asked = await ai.waitFor("llm");
    expect(JSON.stringify(asked)).toContain("llama-of-the-test");

    await page.goto(`${parley.url}/models`);
    expect(await page.textContent("[data-stage=llm]")).toContain(
      `${ai.url}: llama-of-the-test, with a key`,
    );
    const seen = await Promise.all(
      ["/", "/models", "/ready"].map(async (path) => (await parley.fetch(path)).text()),
    );
    expect(seen.join("") + JSON.stringify(parley.log)).not.toContain(KEY);
    const stored = join(parley.dataDir, "settings.json");
    expect(readFileSync(stored, "utf8")).toContain(KEY);
    expect(statSync(stored).mode & 0o777).toBe(0o600);
    expect(await user.noted("violations")).toEqual([]);
  },
);

test("a model is downloaded with its progress on the page, cancelled, resumed, used, and removed", async () => {
  await using visit = await firstVisit();
  const { page, user, parley } = visit;
  server.paceMs = 250;
  server.requests.length = 0;
  await page.goto(`${parley.url}/models`);
  const row = "#model-tiny-llm";
  expect(await page.textContent(row)).toMatch(/Brain.*Recommended.*300 kB.*English.*MIT/s);
  await page.focus("#download-tiny-llm");
  await page.keyboard.press("Enter");
  await page.waitForSelector(`${row}[data-state=downloading]`);
  const grownBeyond = (least: number) =>
    ((document.getElementById("progress-tiny-llm") as HTMLProgressElement | null)?.value ?? 0) >
    least;
  await user.until("the progress moves", grownBeyond, 0);
  await user.until("the progress grows", grownBeyond, 60_000);
  expect(await page.textContent("#models-news")).toBe("Brain is being downloaded.");
  await page.click("#cancel-tiny-llm");
  await page.waitForSelector(`${row}[data-state=absent]`);
  expect(await page.textContent(row)).toContain("already downloaded");

  server.paceMs = 0;
  await page.click("#download-tiny-llm");
  await page.waitForSelector(`${row}[data-state=present]`);
  expect(server.requests.at(-1)).toMatch(/^tiny-llm\/a\.gguf bytes=\d+-/);
  expect(readFileSync(join(parley.dataDir, "models/tiny-llm/a.gguf"))).toEqual(Buffer.from(GGUF));

  await page.click("#use-tiny-llm");
  await page.waitForSelector("[data-stage=llm][data-use=local]");
  expect(await page.textContent(row)).toContain("In use");
  expect(await page.locator("#remove-tiny-llm").count()).toBe(0);
  await page.click("#forget");
  await page.waitForSelector("[data-stage=llm][data-use=openai]");
  await page.click("#remove-tiny-llm");
  await page.waitForSelector(`${row}[data-state=absent]`);
  expect(await user.noted("violations")).toEqual([]);
  expect(user.session.complaints).toEqual([]);
});

test("one consent downloads what this machine needs, and the page can start once it has arrived", async () => {
  await using visit = await firstVisit();
  const { page, user, parley } = visit;
  const plan = await page.textContent("#offer-plan");
  expect(plan).toMatch(/Ear.*6 kBMIT.*Brain.*300 kBMIT.*Mouth.*9 kBMIT/s);
  // What somebody types meanwhile stays, whatever the stream of events sends.
  await page.fill("#offer-key", "sk-typed");
  server.paceMs = 250;
  server.faults.push({ kind: "status", status: 403 });
  await page.click("#offer-download");
  await page.waitForSelector("#offer [data-model=tiny-llm][data-state=downloading]");
  server.paceMs = 0;
  await page.waitForSelector("#offer [data-model=tiny-ear][data-state=failed]");
  expect(await page.textContent("#offer")).toContain("answered 403. Try again");
  server.paceMs = 0;
  await page.click("#offer-download");
  await page.waitForSelector("#offer .welcome");
  expect(await page.textContent("#offer")).toContain("Press Start and speak");
  const kinds = z.object({ checks: z.record(z.string(), z.string()) });
  const { checks } = await parley.json("/ready", kinds);
  expect([checks["stt"], checks["llm"], checks["tts"]]).toEqual(["ok", "ok", "ok"]);
  // They are models in name only: the start says so, and the page goes on.
  await page.click("#start");
  await page.waitForSelector("#notice:not([hidden])");
  expect(await user.noted("violations")).toEqual([]);
});

test("what a variable decides the page only shows", async () => {
  await using visit = await firstVisit({ LLM_BASE_URL: ai.url, LLM_API_KEY: KEY });
  const { page, parley } = visit;
  await page.goto(`${parley.url}/models`);
  expect(await page.textContent("[data-stage=llm]")).toContain("environment variable LLM_BASE_URL");
  const actionsOf = (stage: string) =>
    page
      .locator(`[data-stage=${stage}] form`)
      .evaluateAll((forms) => forms.map((form) => form.getAttribute("action")));
  expect(await actionsOf("llm")).toEqual(["/providers/second"]);
  expect(await actionsOf("stt")).toContain("/providers/endpoint");
});

test.each([390, 1280])("nothing is wider than a page of %i px, whatever it says", async (width) => {
  await using visit = await firstVisit();
  const { page, user, parley } = visit;
  await page.setViewportSize({ width, height: 900 });
  await page.reload();
  // The offer is read from its beginning, unlike a transcript.
  expect(await page.evaluate(() => document.getElementById("transcript-scroll")?.scrollTop)).toBe(
    0,
  );
  await page.click("text=Enter an address");
  expect(await user.overflow()).toBe(0);
  await page.goto(`${parley.url}/models`);
  for (const details of await page.locator("#main details").all())
    await details.click({ position: { x: 8, y: 8 } });
  expect(await user.overflow()).toBe(0);
});
