import { openBrowser } from "../e2e/browser.ts";
import { within } from "../e2e/wait.ts";
import { providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn, seenIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// The browser's tab dies in the middle of a conversation, without a word to anybody.

export const faults: Fault[] = [{ what: "the browser's tab is killed", run: killTab }];

/** The grace time of 15 s, and generous room for a busy machine. */
const LEAVING_MS = 60_000;

async function killTab(): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const parley = opening.use(await startParley({ env: providerEnv(ai.url, false) }));
  const { page, context } = opening.use(await openBrowser(parley.url));
  await page.click("#start");
  await page.waitForSelector("#status[data-state=live]");
  const room = await page.inputValue("#room");
  const id = (await page.getAttribute("html", "data-session-id")) ?? "";
  const conversation = opening.use(await Conversation.of(parley, { room, id }));
  await page.fill("#message", "Are you there?");
  await page.press("#message", "Enter");
  await conversation.answer(0);

  const tools = await context.newCDPSession(page);
  const crashed = Promise.withResolvers<void>();
  page.on("crash", () => crashed.resolve());
  const killed = performance.now();
  // The tab that is asked for it cannot answer.
  void tools.send("Page.crash").catch(() => {});
  await within("the tab is dead", crashed.promise);
  const closing = closeCode(conversation.listener);
  const code = await within("the session ends", closing, () => conversation.events, LEAVING_MS);
  const seen = `${seenIn(conversation.events)}; close code ${code}`;
  if (seen !== "ended as user_left; close code 1000") throw new Error(`it ${seen}`);
  const next = opening.use(await Conversation.begin(parley, { room }));
  await next.turn("After the tab was killed.");
  const backMs = performance.now() - killed;
  return { seen, backMs, lost: await lostIn(conversation, parley) };
}
