import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import axe from "axe-core";
import { startEnvironment, type TestEnvironment } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { createSeededData } from "./seeded-data.ts";

// The page as it is seen: its widths, colours and whether it stands still while words stream in.

const LONG = "A word that is followed by a good many others, so that a line of this needs two.";
const PAST = [
  { room: "kitchen", identity: "ada", said: [LONG, LONG, "Thanks.", "You are welcome."] },
  { room: "broken", end_reason: "provider_failed" as const, said: ["Hello?"] },
];
const WIDTHS = [390, 768, 1280, 1920];

const answer = (text: string) => `You said ${text} That is what I heard just now, and no more.`;

const open = new AsyncDisposableStack();
let environment: TestEnvironment;
let user: PageUser;

beforeAll(async () => {
  const folder = open.use(createSeededData(PAST));
  environment = open.use(
    await startEnvironment({
      dataDir: folder.path,
      reply: (messages) => answer(messages.at(-1)?.content ?? ""),
    }),
  );
  user = open.use(await PageUser.at(environment.parley.url));
});
afterAll(() => open.disposeAsync());

/** What axe finds against WCAG 2.2 AA, contrast included, and where. */
async function faults(): Promise<string[]> {
  await user.page.evaluate(axe.source);
  const { violations } = await user.page.evaluate(() =>
    window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }),
  );
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

async function addresses(): Promise<string[]> {
  await user.page.goto(`${environment.parley.url}/history`);
  const past = await user.page.getAttribute(".session-link", "href");
  return ["/", "/history", String(past), "/models", "/nowhere"];
}

describe.each(["light", "dark"] as const)("in %s", (colorScheme) => {
  test("every page fits every width and can be read by everybody", async () => {
    await user.page.emulateMedia({ colorScheme });
    const found: Record<string, string[]> = {};
    for (const path of await addresses()) {
      for (const width of WIDTHS) {
        await user.page.setViewportSize({ width, height: 900 });
        await user.page.goto(`${environment.parley.url}${path}`);
        const wider = await user.overflow();
        const all = [...(wider > 0 ? [`${wider} px too wide`] : []), ...(await faults())];
        if (all.length > 0) found[`${path} at ${width}`] = all;
      }
    }
    expect(found).toEqual({});
  });
});

test("nothing moves while words stream in, and the transcript yields to its reader", async () => {
  const { page } = user;
  await page.setViewportSize({ width: 390, height: 700 });
  await page.goto(environment.parley.url);
  await user.start({ room: "still" });
  await page.evaluate(() => {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shifts.push(entry.toJSON());
    }).observe({ type: "layout-shift" });
    window.shifts = [];
  });
  const places = () =>
    page.evaluate(() =>
      ["status", "agent-state", "transcript-scroll", "stop", "mute", "message", "send"].map(
        (id) => {
          const { x, y, height } = document.getElementById(id)?.getBoundingClientRect() ?? {};
          return { id, x, y, height };
        },
      ),
    );
  const say = async (text: string, meanwhile = async () => {}) => {
    await page.fill("#message", text);
    await page.press("#message", "Enter");
    await user.until("the answer streams in", () => {
      const last = [...document.querySelectorAll<HTMLElement>("#transcript .line")].at(-1);
      return last?.dataset["role"] === "agent" && last.dataset["final"] !== "true";
    });
    await meanwhile();
    await user.reads("agent", answer(text));
  };
  await user.agentIs("listening");
  const before = await places();
  for (const text of ["One.", "Two.", "Three."]) {
    await say(text, async () => expect(await places()).toEqual(before));
    expect(await places()).toEqual(before);
  }
  expect(await page.evaluate(() => window.shifts)).toEqual([]);

  const position = () =>
    page.evaluate(() => {
      const box = document.getElementById("transcript-scroll") ?? document.body;
      return { top: box.scrollTop, below: box.scrollHeight - box.scrollTop - box.clientHeight };
    });
  expect((await position()).below).toBeLessThan(2);
  await page.hover("#transcript-scroll");
  await page.mouse.wheel(0, -2000);
  await page.waitForSelector("#jump:not([hidden])");
  const { top } = await position();
  await say("Four.");
  expect((await position()).top).toBe(top);
  await page.click("#jump");
  await page.waitForSelector("#jump", { state: "hidden" });
  expect((await position()).below).toBeLessThan(2);
  await user.stop();
});

declare global {
  interface Window {
    axe: typeof axe;
    shifts: unknown[];
  }
}
