import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { findPart } from "../../scripts/system-parts.ts";

/** A person with a microphone in front of Parley's page. */
export interface BrowserSession extends AsyncDisposable {
  page: Page;
  browser: Browser;
  context: BrowserContext;
  /** What the page printed as an error, and requests it could not make. */
  complaints: string[];
}

export interface BrowserOptions {
  /**
   * WAV file that Chromium's own fake device plays once, from the moment it is first opened. It
   * plays by the clock and skips what a busy machine makes it miss. By default the page gets a
   * microphone that loses nothing, which is silent until a test plays something.
   */
  device?: string;
  /** Refuse the microphone instead of granting it. */
  denyMicrophone?: boolean;
  /** Let audio play only after a gesture, as browsers do by default. */
  blockAutoplay?: boolean;
  viewport?: { width: number; height: number };
  colorScheme?: "light" | "dark";
}

/** Starts a Chromium for one person, so that each has a microphone of their own. */
export async function openBrowser(
  url: string,
  options: BrowserOptions = {},
): Promise<BrowserSession> {
  const executablePath = findPart("chromium");
  if (!executablePath) throw new Error("Chromium is needed for end-to-end tests");
  const profile = await mkdtemp(join(tmpdir(), "parley-browser-"));
  const browser = await chromium.launch({ executablePath, args: flags(options) });
  const context = await browser.newContext({
    viewport: options.viewport ?? { width: 1280, height: 900 },
    colorScheme: options.colorScheme ?? "light",
    permissions: options.denyMicrophone ? [] : ["microphone"],
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return {
    page,
    browser,
    context,
    complaints,
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

function flags(options: BrowserOptions): string[] {
  const list = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
  ];
  if (options.denyMicrophone) list.push("--deny-permission-prompts");
  else list.push("--use-fake-ui-for-media-stream");
  if (!options.blockAutoplay) list.push("--autoplay-policy=no-user-gesture-required");
  if (options.device) list.push(`--use-file-for-fake-audio-capture=${options.device}%noloop`);
  return list;
}
