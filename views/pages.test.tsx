/** @jsxImportSource hono/jsx */
import { describe, expect, test } from "bun:test";
import { noOtherNodes } from "../src/domain/other-nodes.ts";
import type { Session, SessionCounts } from "../src/domain/session.ts";
import type { SessionPage } from "../src/domain/stores.ts";
import type { Segment } from "../src/domain/transcript.ts";
import { type PageDeps, pageRoutes } from "../src/http/routes/pages.tsx";
import { formatElapsed } from "../src/lib/words.ts";
import { ErrorPage } from "./error.tsx";
import type { OfferProps } from "./fragments/offer.tsx";
import { ago, dateAndTime, duration, endReasonText } from "./fragments/words.tsx";
import { SignInPage } from "./sign-in.tsx";

const HOSTILE = `"><script>alert(1)</script><img src=x onerror=alert(1)> '&\u202e`;
const NOW = Date.UTC(2026, 10, 24, 9, 0, 0);
const ID = "01a20ce1-7361-7705-9677-1f94b18942f7";
const asset = (path: string) => `/assets${path}`;

function session(change: Partial<Session & SessionCounts> = {}): Session & SessionCounts {
  return {
    id: ID,
    room: "kitchen",
    identity: "guest-1",
    name: null,
    state: "ended",
    started_at: NOW - 600_000,
    ended_at: NOW - 300_000,
    end_reason: "stopped",
    system_prompt: "Be kind.",
    greeting: null,
    voice: "alloy",
    language: null,
    keyterms: [],
    stt_model: "stt",
    llm_model: "llm",
    tts_model: "tts",
    segments: 1,
    turns: 1,
    heard_language: null,
    ...change,
  };
}

function segment(change: Partial<Segment> = {}): Segment {
  const at = NOW - 590_000;
  return {
    seq: 1,
    segment_id: "a",
    role: "user",
    identity: "guest-1",
    text: "Hello",
    started_at: at,
    ended_at: at,
    interrupted: false,
    language: null,
    ...change,
  };
}

interface World {
  sessions?: (Session & SessionCounts)[];
  segments?: Segment[];
  next?: string | null;
  prompt?: string;
  language?: string;
  keyterms?: string[];
}

async function get(path: string, world: World = {}, headers: Record<string, string> = {}) {
  const list = world.sessions ?? [session()];
  const asked: Parameters<PageDeps["sessions"]["page"]>[0][] = [];
  const store = {
    find: (id: string) => list.find((one) => one.id === id),
    live: () => list.filter((one) => one.state !== "ended"),
    page: (options: (typeof asked)[number]): SessionPage => {
      asked.push(options);
      return { sessions: list, next: world.next ?? null };
    },
  };
  const app = pageRoutes({
    sessions: store as unknown as PageDeps["sessions"],
    transcripts: { segments: () => world.segments ?? [segment()] },
    others: noOtherNodes,
    shell: { asset, authEnabled: true },
    livekitUrl: () => "ws://127.0.0.1:7880",
    defaults: async () => ({
      systemPrompt: world.prompt ?? "Be kind.",
      voice: "alloy",
      llmModel: "llm",
      language: world.language ?? null,
      keyterms: world.keyterms ?? [],
      speakers: [],
    }),
    offer: async () => servedBy("OpenAI"),
    warmUp: () => {},
    now: () => NOW,
  });
  app.onError((error) => new Response(error.message, { status: 404 }));
  const response = await app.request(path, { headers });
  return { status: response.status, headers: response.headers, html: await response.text(), asked };
}

/** An offer where all stages are set up, with a hostile name where one is given. */
function servedBy(model: string): OfferProps {
  const overview = (["stt", "llm", "tts"] as const).map((stage) => ({
    stage,
    use: "openai" as const,
    baseURL: "https://api.openai.com/v1",
    model,
    voice: undefined,
    hasKey: true,
    fixedBy: undefined,
    problem: undefined,
  }));
  return { overview, hasOpenAiKey: true, plan: [], underWay: false };
}

/** No tag and no attribute of the hostile text may survive as markup. */
function expectHarmless(html: string): void {
  expect(html).not.toContain("<script>alert");
  expect(html).not.toContain("<img");
  expect(html).toContain("&lt;script&gt;alert");
}

describe("hostile text is shown as text", () => {
  const hostile = session({
    room: HOSTILE,
    identity: HOSTILE,
    name: HOSTILE,
    system_prompt: HOSTILE,
    greeting: HOSTILE,
    voice: HOSTILE,
    llm_model: HOSTILE,
  });
  const segments = [segment({ text: HOSTILE, identity: HOSTILE, segment_id: HOSTILE })];

  test.each(["/", "/history", `/history/${ID}`, "/history/recent", `/history/${ID}/row`])(
    "%s",
    async (path) => {
      const { html } = await get(path, { sessions: [hostile], segments, prompt: HOSTILE });
      expectHarmless(html);
    },
  );

  test("the cursor of the next page stays inside its address", async () => {
    const { html } = await get("/history", { next: HOSTILE });
    expect(html).not.toContain("<script>alert");
    expect(html).toContain(
      `href="/history?before=${encodeURIComponent(HOSTILE).replaceAll("'", "&#39;")}"`,
    );
  });

  test("the error page and the sign-in", () => {
    const error = ErrorPage({ status: 400, title: HOSTILE, detail: HOSTILE, asset });
    expectHarmless(String(error));
    expectHarmless(String(SignInPage({ next: HOSTILE, error: HOSTILE, asset })));
  });
});

describe("the page's policy", () => {
  test.each(["/", "/history", `/history/${ID}`])(
    "%s has no inline script or style",
    async (path) => {
      const { html } = await get(path);
      expect(html.startsWith("<!DOCTYPE html>")).toBe(true);
      expect(html).not.toMatch(/<script(?![^>]* src=)/);
      expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=|hx-on|javascript:/);
    },
  );

  test("only the chat page loads the chat's script", async () => {
    expect((await get("/")).html).toContain("/assets/build/chat.js");
    expect((await get("/history")).html).not.toContain("chat.js");
  });
});

describe("history", () => {
  test("a browser gets the page, HTMX only the rows", async () => {
    const page = await get("/history", { next: "c" });
    expect(page.html).toContain("<h1>History</h1>");
    expect(page.headers.get("vary")).toBe("HX-Request");
    const rows = await get("/history?before=c", { next: null }, { "HX-Request": "true" });
    expect(rows.html.trimStart()).toStartWith("<li");
    expect(rows.html).not.toContain("load-older");
    expect(rows.asked[0]).toEqual({ limit: 25, before: "c" });
  });

  test("live rows ask for themselves anew, ended ones do not", async () => {
    const live = session({ state: "active", ended_at: null, end_reason: null });
    expect((await get("/history", { sessions: [live] })).html).toContain('hx-trigger="every');
    expect((await get("/history")).html).not.toContain('hx-trigger="every');
  });

  test("an empty history says what will be there", async () => {
    expect((await get("/history", { sessions: [] })).html).toContain("No conversations yet");
  });
});

describe("the language", () => {
  const option = (html: string, value: string) =>
    new RegExp(`<option value="${value}"[^>]*>`).exec(html)?.[0] ?? "none";

  test("can be chosen by its own name; the configured one is selected, also one off the list", async () => {
    const automatic = (await get("/")).html;
    expect(option(automatic, "auto")).toContain("selected");
    expect(automatic.match(/ selected/g)).toHaveLength(1);
    for (const name of ["English", "Deutsch (German)", "العربية (Arabic)", "中文 (Chinese)"]) {
      expect(automatic).toContain(`>${name}</option>`);
    }
    for (const language of ["de", "de-AT"]) {
      const { html } = await get("/", { language });
      expect(option(html, language)).toContain("selected");
      expect(html.match(/ selected/g)).toHaveLength(1);
    }
  });

  test("is named in the history where it was chosen or heard, even if Parley does not know it", async () => {
    const rows = async (language: string | null) =>
      (await get("/history", { sessions: [session({ language })] })).html;
    expect(await rows("de")).toContain("<span>German</span>");
    expect(await rows("zh-yue")).toContain("<span>zh-yue</span>");
    expect(await rows(null)).not.toContain("German");
    const heard = [session({ heard_language: "hi" })];
    expect((await get("/history", { sessions: heard })).html).toContain("<span>Hindi</span>");
  });

  test("that is chosen marks every line, and a line in another one names it", async () => {
    const segments = [
      segment({ seq: 1, language: "de", text: "Guten Tag." }),
      segment({ seq: 2, role: "agent", text: "مرحبا" }),
      segment({ seq: 3, language: "en", text: "Hello." }),
    ];
    const chosen = [session({ language: "ar" })];
    const { html } = await get(`/history/${ID}`, { sessions: chosen, segments });
    expect(html).toContain('<p class="line-text" dir="auto" lang="ar">مرحبا</p>');
    expect(html).toContain('<p class="line-text" dir="auto" lang="de">Guten Tag.</p>');
    expect(html).toContain("<dd>Arabic</dd>");
    expect(html.match(/class="line-mark">(German|English)</g)).toHaveLength(2);
  });

  test("that was heard is told where none was chosen, and marked where it changes", async () => {
    const heard = ["de", null, "de", "en", "en", "de"];
    const segments = heard.map((language, index) => segment({ seq: index + 1, language }));
    const { html } = await get(`/history/${ID}`, { segments });
    expect(html).toContain("<dd>Automatic: German, English</dd>");
    const marks = [...html.matchAll(/class="line-mark">([^<]*)</g)].map(([, name]) => name);
    expect(marks).toEqual(["German", "English", "German"]);
    expect((await get(`/history/${ID}`)).html).toContain("<dd>Automatic</dd>");
  });
});

test("names in another direction stay where the page begins, and move nothing beside them", async () => {
  const arabic = session({ room: "غرفة", name: "فاطمة" });
  const { html } = await get(`/history/${ID}`, { sessions: [arabic] });
  expect(html).toContain("<h1><bdi>غرفة</bdi></h1>");
  expect(html).toContain('<span class="line-who"><bdi>فاطمة</bdi></span>');
  const rows = await get("/history", { sessions: [arabic] });
  expect(rows.html).toContain("<span><bdi>فاطمة</bdi></span>");
});

test("words to expect are in the form as they are configured, and in the history", async () => {
  const keyterms = ["Parley", "قهوة", HOSTILE];
  const { html } = await get("/", { keyterms });
  expect(html).toMatch(/<textarea id="keyterms"[^>]*>Parley, قهوة, &quot;/);
  expectHarmless(html);
  const past = await get(`/history/${ID}`, { sessions: [session({ keyterms })] });
  expect(past.html).toContain("Parley, قهوة, ");
  expectHarmless(past.html);
});

describe("transcript", () => {
  test("says what was said, why it ended, and offers every download", async () => {
    const { html } = await get(`/history/${ID}`, { segments: [segment({ interrupted: true })] });
    expect(html).toContain("Hello");
    expect(html).toContain("interrupted");
    expect(html).toContain("Stopped");
    for (const format of ["txt", "md", "vtt", "srt", "json", "csv"]) {
      expect(html).toContain(`/transcripts/${ID}?format=${format}`);
    }
  });

  test("an unknown conversation is not found", async () => {
    expect((await get(`/history/${ID}`, { sessions: [] })).status).toBe(404);
    expect((await get("/history/nonsense")).status).toBe(404);
  });
});

test("words for times", () => {
  expect([400, 59_000, 60_000, 185_000, 3_600_000, 4_320_000].map(duration)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "3 min 5 s",
    "1 h",
    "1 h 12 min",
  ]);
  expect([-1, 7000, 754_000, 3_723_000].map(formatElapsed)).toEqual([
    "0:00",
    "0:07",
    "12:34",
    "1:02:03",
  ]);
  expect(ago(NOW - 20_000, NOW)).toBe("just now");
  expect(ago(NOW - 720_000, NOW)).toBe("12 minutes ago");
  expect(ago(NOW - 90_000_000, NOW)).toBe("yesterday");
  expect(ago(NOW - 9 * 86_400_000, NOW)).toBe(dateAndTime(NOW - 9 * 86_400_000));
  expect(dateAndTime(NOW)).toBe("24 Nov 2026, 09:00 UTC");
  expect(endReasonText(null)).toBe("Ended");
});

test("Start waits for the script: without it the browser would submit the form", async () => {
  const { html } = await get("/");
  expect(html).toMatch(/<button id="start"[^>]* disabled/);
});
