import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ChatMessage } from "../stand-in/log.ts";
import { detects, translates } from "../stand-in/quirks/lang.ts";
import { finalOf, startEnvironment, type TestEnvironment } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { RoomRecorder } from "./room-recorder.ts";
import { spoken, spokenTest } from "./spoken.ts";

// One conversation in each of these languages, chosen on the page: really spoken, and heard. Without
// the choice, this recogniser understands nothing right.

/** A question and its answer, the espeak-ng voice that speaks them, and the name in English. */
interface Talk {
  tag: string;
  voice: string;
  name: string;
  direction: "ltr" | "rtl";
  question: string;
  answer: string;
  /** A message in the same language with Latin words and digits, typed after the answer. */
  typed: string;
}

const SPANISH: Talk = {
  ...{ tag: "es", voice: "es", name: "Spanish", direction: "ltr" },
  question: "Buenos días, ¿dónde está la estación?",
  answer: "La estación está al lado del parque.",
  typed: "¿Qué tal, Parley?",
};

const TALKS: Talk[] = [
  {
    ...{ tag: "de", voice: "de", name: "German", direction: "ltr" },
    question: "Guten Tag, wie ist das Wetter heute?",
    answer: "Heute scheint die Sonne in Berlin.",
    typed: "Grüße aus Köln, 12 °C",
  },
  SPANISH,
  {
    ...{ tag: "fr", voice: "fr", name: "French", direction: "ltr" },
    question: "Bonjour, pouvez-vous m'aider ce matin?",
    answer: "Oui, je peux vous aider avec plaisir.",
    typed: "Ça va, merci !",
  },
  {
    ...{ tag: "ja", voice: "ja", name: "Japanese", direction: "ltr" },
    question: "こんにちは、おげんきですか。",
    answer: "はい、とてもげんきです。",
    typed: "Parley を 3 回つかいました。",
  },
  {
    ...{ tag: "hi", voice: "hi", name: "Hindi", direction: "ltr" },
    question: "नमस्ते, आप कैसे हैं?",
    answer: "मैं ठीक हूँ, धन्यवाद।",
    typed: "मेरा नाम Ada है।",
  },
  {
    ...{ tag: "ar", voice: "ar", name: "Arabic", direction: "rtl" },
    question: "مرحبا، كيف حالك اليوم؟",
    answer: "Parley بخير، شكرا جزيلا.",
    typed: "أريد قهوة من Parley رقم 5.",
  },
];

/** A line of the transcript as the page lays it out. */
interface LaidOut {
  text: string;
  lang: string;
  direction: string;
  /** How far the words are from the edge at which their direction begins, px. */
  indent: number;
}

/** What came of one conversation. */
interface Held {
  id: string;
  lines: LaidOut[];
  /** What was heard of the agent's voice. */
  heard: string;
  /** The field for messages while one in this language is in it. */
  field: { direction: string; isClearOfButton: boolean };
}

let environment: TestEnvironment;
let user: PageUser;
const held = new Map<string, Held>();
let open = new AsyncDisposableStack();

beforeAll(() =>
  spoken(async () => {
    await using opening = new AsyncDisposableStack();
    environment = opening.use(
      await startEnvironment({
        phrases: TALKS.map(({ question: text, voice }) => ({ text, voice })),
        realtime: false,
        reply: answerTo,
        quirks: [translates("Good day.")],
      }),
    );
    user = opening.use(await PageUser.at(environment.parley.url));
    await user.page.click("summary:has-text('Settings')");
    for (const talk of TALKS) held.set(talk.tag, await hold(talk));
    open = opening.move();
  }),
);
afterAll(() => open.disposeAsync());

function answerTo(messages: readonly ChatMessage[]): string {
  const last = messages.at(-1)?.content;
  return TALKS.find(({ question }) => question === last)?.answer ?? "…";
}

/** Chooses the language, asks the question aloud, types the message and stops. */
async function hold({ tag, voice, question, answer, typed }: Talk): Promise<Held> {
  const { parley } = environment;
  const { page } = user;
  const agentVoice = `${voice}+f2`;
  await page.selectOption("#language", tag);
  await page.fill("#voice", agentVoice);
  const room = `room-${tag}`;
  const id = await user.start({ room, identity: "ada" });
  await using listener = await parley.listen(id, 0);
  const joining = RoomRecorder.in(parley, room, `agent-${id.slice(-12)}`, "listener");
  await user.say(question, { voice });
  await finalOf(listener, "user", question);
  await finalOf(listener, "agent", answer);
  await using recorder = await joining;
  await user.reads("agent", answer);
  await user.agentIs("listening");
  await page.fill("#message", typed);
  const field = await page.$eval("#message", (input) => {
    const { direction, paddingRight } = getComputedStyle(input);
    const button = document.getElementById("send")?.getBoundingClientRect();
    const right = input.getBoundingClientRect().right - Number.parseFloat(paddingRight);
    return { direction, isClearOfButton: right <= (button?.left ?? 0) };
  });
  await page.press("#message", "Enter");
  await user.reads("user", typed);
  const lines = await laidOut();
  const heard = recorder.understood([{ text: answer, voice: agentVoice, wordsPerMinute: 175 }]);
  await user.stop();
  return { id, lines, heard, field };
}

/** The final lines of the transcript on the page that is shown. */
function laidOut(): Promise<LaidOut[]> {
  return user.page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>(".line[data-final=true] .line-text")].map((line) => {
      const { direction } = getComputedStyle(line);
      const box = line.getBoundingClientRect();
      const range = document.createRange();
      range.selectNodeContents(line);
      const words = range.getBoundingClientRect();
      const indent = direction === "rtl" ? box.right - words.right : words.left - box.left;
      return { text: line.textContent ?? "", lang: line.lang, direction, indent };
    }),
  );
}

describe.each(TALKS)("in $name", ({ tag, voice, name, direction, ...said }) => {
  const { question, answer, typed } = said;
  const lines = [question, answer, typed].map((text) => ({
    ...{ text, lang: tag, direction },
    indent: expect.closeTo(0, 0),
  }));

  test("the page shows what was said, in the language and from its side", () => {
    expect(held.get(tag)?.lines.slice(0, 3)).toEqual(lines);
    expect(held.get(tag)?.field).toEqual({ direction, isClearOfButton: true });
  });

  test("the answer is heard in a voice of that language", () => {
    expect(held.get(tag)?.heard).toBe(answer);
  });

  test("recogniser, language model and voice are asked for it", () => {
    const { requests } = environment.ai;
    const ofStage = (wanted: string) => requests.filter(({ stage }) => stage === wanted);
    const asked = ofStage("stt").filter(({ text }) => text === question);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.map(({ language }) => language)).toEqual(asked.map(() => tag));
    const prompted = ofStage("llm").find(({ text }) => text === answer)?.messages?.[0]?.content;
    expect(prompted).toContain(` Answer in ${name}.`);
    expect(ofStage("tts").find(({ text }) => text === answer)?.voice).toBe(`${voice}+f2`);
  });

  test("the history tells the language and lays the lines out in the same way", async () => {
    const { page } = user;
    const id = held.get(tag)?.id;
    await page.goto(`${environment.parley.url}/history`);
    expect(await page.textContent(`#session-${id} .dotted`)).toContain(name);
    await page.click(`#session-link-${id}`);
    await page.waitForURL(`**/history/${id}`);
    expect((await laidOut()).slice(0, 3)).toEqual(lines);
    expect(await page.textContent("dl.details")).toContain(`Language${name}`);
  });
});

test("the choice is remembered on the device", async () => {
  await user.page.goto(environment.parley.url);
  expect(await user.page.inputValue("#language")).toBe(String(TALKS.at(-1)?.tag));
});

spokenTest("Automatic is a choice as well, and what the recogniser hears is told", async () => {
  const { page } = user;
  const { question, answer, voice } = SPANISH;
  environment.ai.quirks = [detects(() => "spanish")];
  await page.goto(environment.parley.url);
  await page.selectOption("#language", "auto");
  const id = await user.start({ room: "any" });
  await user.say(question, { voice });
  await user.reads("user", question);
  await user.reads("agent", answer);
  expect(await page.textContent(".line[data-role=user] .line-mark")).toBe("Spanish");
  expect(await page.getAttribute(".line[data-role=user] .line-text", "lang")).toBe("es");
  await user.stop();
  const session = await environment.parley.fetch(`/session/${id}`);
  expect(await session.json()).toMatchObject({ settings: { language: null } });
  const asked = environment.ai.requests.findLast(({ stage }) => stage === "stt");
  expect(asked?.language).toBeUndefined();
  await page.goto(`${environment.parley.url}/history/${id}`);
  expect(await page.textContent("dl.details")).toContain("LanguageAutomatic: Spanish");
  await page.goto(environment.parley.url);
  expect(await page.inputValue("#language")).toBe("auto");
  expect(user.session.complaints).toEqual([]);
});
