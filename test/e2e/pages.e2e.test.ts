import { afterAll, beforeAll, expect, test } from "bun:test";
import { finalOf, startEnvironment, type TestEnvironment } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { createSeededData } from "./seeded-data.ts";

const PAST = Array.from({ length: 60 }, (_, index) => ({ room: `past-${index}` }));

const open = new AsyncDisposableStack();
let environment: TestEnvironment;
let user: PageUser;

beforeAll(async () => {
  const folder = open.use(createSeededData(PAST));
  environment = open.use(await startEnvironment({ dataDir: folder.path }));
  user = open.use(await PageUser.at(environment.parley.url));
});
afterAll(() => open.disposeAsync());

/** Waits until the history has so many rows. */
async function rows(count: number): Promise<string[]> {
  await user.until(
    `${count} rows`,
    (count) => document.querySelectorAll(".session").length === count,
    count,
  );
  return user.page.locator(".session-link").allTextContents();
}

test("the history shows the newest sessions, and Load older adds the next ones in place", async () => {
  await user.page.goto(`${environment.parley.url}/history`);
  const names = PAST.map(({ room }) => room);
  expect(await rows(25)).toEqual(names.slice(0, 25));
  await user.page.click("#load-older");
  expect(await rows(50)).toEqual(names.slice(0, 50));
  await user.page.click("#load-older");
  expect(await rows(60)).toEqual(names);
  expect(await user.page.locator("#load-older").count()).toBe(0);
  expect(user.page.url()).toBe(`${environment.parley.url}/history`);
});

/** Somebody has to be in the room: the agent speaks to no one else. */
async function talkInAnotherTab(room: string): Promise<string> {
  const tab = await user.session.context.newPage();
  await tab.goto(environment.parley.url);
  await tab.fill("#room", room);
  await tab.click("#start");
  await tab.waitForSelector("html[data-session-id]", { state: "attached" });
  return (await tab.getAttribute("html", "data-session-id")) ?? "";
}

test("pages of a live session follow it without a reload, and stop asking once it is over", async () => {
  const { parley } = environment;
  const { page } = user;
  const id = await talkInAnotherTab("live one");
  await using listener = await parley.listen(id);
  await page.goto(`${parley.url}/history/${id}`);
  expect(await page.textContent("#lines")).toContain("Nothing has been said yet.");
  await parley.post(`/session/${id}/message`, { text: "Hello." });
  await finalOf(listener, "agent", "You said: Hello.");
  const [lines, row] = ["#lines", `#session-${id}`];
  await page.waitForSelector(`${lines} .line[data-role=agent]`);
  expect(await user.shown()).toEqual(["user: Hello.", "agent: You said: Hello."]);

  await page.goto(`${parley.url}/history`);
  expect(await page.textContent(row)).toContain("Live");
  await parley.fetch(`/session/${id}`, { method: "DELETE" });
  await page.waitForSelector(`${row}[data-live=false]`);
  expect(await page.textContent(row)).toMatch(/Stopped.*2 lines/);
  expect(await page.getAttribute(row, "hx-trigger")).toBeNull();
});

test("with the keyboard alone one reaches Start, begins, types, hears and stops", async () => {
  const { page } = user;
  await page.goto(environment.parley.url);
  const focused = () => page.evaluate(() => document.activeElement?.id ?? "");
  const reached: string[] = [];
  while (reached.length < 20 && reached.at(-1) !== "start") {
    await page.keyboard.press("Tab");
    reached.push(await focused());
  }
  expect(reached).toEqual([...reached.slice(0, -1), "start"]);
  await page.keyboard.press("Enter");
  await user.live();
  expect(await focused()).toBe("stop");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("message");
  await page.keyboard.type("My name is Ada.");
  await page.keyboard.press("Enter");
  await user.reads("agent", "Nice to meet you, Ada.");
  await page.keyboard.press("Shift+Tab");
  expect(await focused()).toBe("stop");
  await page.keyboard.press("Enter");
  await user.until(
    "the page is idle",
    () => document.getElementById("status")?.dataset["state"] === "idle",
  );
  expect(await focused()).toBe("start");
});

test("a screen reader announces each final once, and never an interim", async () => {
  const { page } = user;
  await page.goto(environment.parley.url);
  await user.start();
  await page.fill("#message", "My name is Ada.");
  await page.press("#message", "Enter");
  await user.reads("agent", "Nice to meet you, Ada.");
  await user.stop();
  expect(await user.noted("announced")).toEqual([
    "You: My name is Ada.",
    "Agent: Nice to meet you, Ada.",
  ]);
  const interims = (await user.noted("lines")).filter(({ final }) => !final);
  expect(interims.length).toBeGreaterThan(1);
  const live = "[aria-live], [role=status], [role=alert], [role=log], [role=timer], output";
  const around = await page.evaluate(
    (live) => document.getElementById("transcript")?.closest(live)?.outerHTML ?? null,
    live,
  );
  expect(around).toBeNull();
  expect(await page.getAttribute("#announcer", "aria-live")).toBe("polite");
});

test("no page reports an error, breaks its policy or asks anybody but Parley and its LiveKit", async () => {
  const { page } = user;
  const { origin } = new URL(environment.parley.url);
  const liveKit = new URL((await page.getAttribute("#chat-form", "data-livekit-url")) ?? "").host;
  expect(await user.noted("violations")).toEqual([]);
  expect(user.session.complaints).toEqual([]);
  for (const path of ["/history", "/history?before=", "/nowhere", "/history/nowhere"]) {
    await page.goto(`${origin}${path}`);
    expect({ path, broken: await user.noted("violations") }).toEqual({ path, broken: [] });
  }
  expect(await page.textContent("h1")).toBe("Not found");
  // The browser itself says so of a page that answers 404.
  const missing = "console: Failed to load resource: the server responded with a status of 404";
  const complaints = user.session.complaints.filter((one) => !one.startsWith(missing));
  expect(complaints).toEqual([]);
  const hosts = new Set(user.requests.map((url) => new URL(url).host));
  expect(hosts).toEqual(new Set([new URL(origin).host, liveKit]));
  expect(user.dialogs).toEqual([]);
});
