import { expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { finalOf, saidIn, startEnvironment, storedTranscript } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { createSeededData } from "./seeded-data.ts";

const SCRIPT = "<script>probe.hacked.push(1)</script>";
const IMAGE = `<img src=x onerror="probe.hacked.push(2);alert(2)">`;
const ENTITIES = "&lt;b&gt;&amp;&#60;i&#62;";
const BIDI = "\u202ederunrut\u202c \u2067ew\u2069";
const EMOJI = "👩‍👩‍👧‍👦🏳️‍🌈";
const ALL = `${SCRIPT}"'>${IMAGE} ${ENTITIES} ${BIDI} ${EMOJI}`;
const LONG = "W".repeat(100_000);
/** As long as a name may be, without a place to break it. */
const NAME = `${IMAGE}${EMOJI}&lt;`.padEnd(128, "W");
const REPLY = `${SCRIPT} ${IMAGE} ${ENTITIES} ${BIDI} ${EMOJI}`;
const PHONE = { width: 390, height: 844 };

/** Lets the transcript's WebSocket tell a word too long for anybody to say. */
async function tellLongWord(page: Page): Promise<void> {
  await page.routeWebSocket(/\/ws\/transcript\//, (socket) => {
    const server = socket.connectToServer();
    let told = 0;
    server.onMessage((message) => {
      const envelope = JSON.parse(String(message));
      socket.send(JSON.stringify({ ...envelope, seq: envelope.seq + told }));
      if (told > 0) return;
      told = 1;
      const head = { segment_id: "long", role: "agent", identity: LONG, started_at: 0 };
      const data = { ...head, text: LONG, final: true };
      const seq = envelope.seq + told;
      socket.send(JSON.stringify({ ...envelope, type: "transcript", seq, data }));
    });
  });
}

/** Nothing of the text became markup or ran, and the page is no wider than the phone. */
async function expectHarmless(user: PageUser, what: string): Promise<void> {
  const { page } = user;
  for (const details of await page.locator("details:not([open]) > summary").all()) {
    await details.click();
  }
  const found = {
    what,
    hacked: await user.noted("hacked"),
    violations: await user.noted("violations"),
    dialogs: user.dialogs,
    images: await page.locator("img, main script, b b, main i i").count(),
    strange: user.requests.filter((url) => /\/x$/.test(new URL(url).pathname)),
    overflow: await user.overflow(),
  };
  expect(found).toEqual({
    what,
    hacked: [],
    violations: [],
    dialogs: [],
    images: 0,
    strange: [],
    overflow: 0,
  });
}

async function texts(page: Page, selector: string): Promise<string[]> {
  return (await page.locator(selector).allTextContents()).map((text) => text.trim());
}

test("hostile text in a conversation is shown as it is, runs nothing and breaks no layout", async () => {
  await using environment = await startEnvironment({ reply: () => REPLY, wordsPerMinute: 400 });
  const options = { viewport: PHONE };
  await using user = await PageUser.at(environment.parley.url, options);
  const { page } = user;
  await tellLongWord(page);
  await page.reload();

  await page.fill("#room", BIDI);
  await page.click("#start");
  await page.waitForSelector('#talk[data-state="failed"]');
  expect(await page.textContent("#notice-detail")).toContain("room has control characters");

  await page.click("#chat-form summary");
  const prompt = `${ALL}${"P".repeat(7000)}`;
  await page.fill("#system_prompt", prompt);
  const id = await user.start({ room: NAME, name: NAME, identity: NAME });
  await using listener = await environment.parley.listen(id);
  const typed = `${ALL}${"T".repeat(3000)}`;
  await page.fill("#message", typed);
  await page.press("#message", "Enter");
  await finalOf(listener, "agent", REPLY);
  await user.reads("agent", REPLY);
  expect(await user.shown()).toEqual([`agent: ${LONG}`, `user: ${typed}`, `agent: ${REPLY}`]);
  await expectHarmless(user, "the conversation");
  const request = await environment.ai.waitFor("llm", ({ messages = [] }) => messages.length > 1);
  expect(request.messages?.map(({ content }) => content)).toEqual([prompt, typed]);
  await user.stop();
  await page.waitForSelector(`#recent a[href="/history/${id}"]`);
  expect(await texts(page, "#recent a")).toEqual([NAME]);
  await expectHarmless(user, "the list of recent conversations");

  await page.goto(`${environment.parley.url}/history/${id}`);
  expect(saidIn(await storedTranscript(environment.parley, id))).toEqual(await user.shown());
  expect(await user.shown()).toEqual([`user: ${typed}`, `agent: ${REPLY}`]);
  await expectHarmless(user, "its transcript");
  expect(await texts(page, "h1")).toEqual([NAME]);
  expect(await texts(page, ".prompt")).toEqual([prompt]);
  // The refused room name.
  const refused = "console: Failed to load resource: the server responded with a status of 400";
  expect(user.session.complaints.filter((one) => !one.startsWith(refused))).toEqual([]);
});

test("stored hostile text and words of 100 kB are shown as they are in the history", async () => {
  const texts_ = { room: `${ALL}${LONG}`, identity: ALL, name: `${LONG}${ALL}` };
  const settings = { system_prompt: `${ALL}${LONG}`, greeting: ALL, voice: LONG, llm_model: LONG };
  const said = [ALL, LONG, `${LONG}${ALL}`];
  const past = { ...texts_, ...settings, id: Bun.randomUUIDv7(), said };
  using folder = createSeededData([past]);
  await using environment = await startEnvironment({ dataDir: folder.path });
  await using user = await PageUser.at(`${environment.parley.url}/history`, { viewport: PHONE });
  const { page } = user;
  expect(await texts(page, ".session-link")).toEqual([past.room]);
  expect(await texts(page, ".session p bdi")).toEqual([past.name]);
  await expectHarmless(user, "the history");

  await page.click(".session-link");
  await page.waitForURL(`**/history/${past.id}`);
  expect(await user.shown()).toEqual(
    said.map((text, turn) => `${turn % 2 === 0 ? "user" : "agent"}: ${text}`),
  );
  expect(await texts(page, "h1")).toEqual([past.room]);
  await expectHarmless(user, "the transcript page");
  await page.goto(environment.parley.url);
  await expectHarmless(user, "the talk page");
  expect(user.session.complaints).toEqual([]);
});
