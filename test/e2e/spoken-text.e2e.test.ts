import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { LoggedRequest } from "../stand-in/log.ts";
import { finalOf, startEnvironment, type TestEnvironment } from "./environment.ts";
import { ParticipantCall } from "./participant-call.ts";

// What the voice is asked to say of an answer, and when.

let environment: TestEnvironment;
let call: ParticipantCall;
let open = new AsyncDisposableStack();

beforeAll(async () => {
  await using opening = new AsyncDisposableStack();
  environment = opening.use(await startEnvironment({ realtime: false, wordsPerMinute: 400 }));
  call = opening.use(await ParticipantCall.begin(environment.parley));
  open = opening.move();
});
afterAll(() => open.disposeAsync());

/** Types a message that is answered with a text. @returns what was asked of the servers since */
async function ask(text: string): Promise<() => LoggedRequest[]> {
  const { ai, parley } = environment;
  const before = ai.requests.length;
  ai.reply = () => text;
  await parley.post(`/session/${call.id}/message`, { text: "Go on." });
  return () => ai.requests.slice(before);
}

const spokenOf = (requests: LoggedRequest[]) => requests.filter(({ stage }) => stage === "tts");
const textsOf = (requests: LoggedRequest[]) => spokenOf(requests).map(({ text }) => text);

const SENTENCES = {
  Japanese: [
    "今日はとても良い天気ですね。",
    "公園まで散歩に行きませんか。",
    "桜がきれいに咲いています。",
  ],
  Chinese: ["今天的天气非常好。", "我们一起去公园散步吧。", "那里的花开得很漂亮。"],
  Hindi: ["आज मौसम बहुत अच्छा है।", " चलो बगीचे में टहलने चलते हैं।", " वहाँ फूल खिले हुए हैं।"],
  Thai: ["วันนี้อากาศดีมากเลยนะ", " เราไปเดินเล่นที่สวนกันเถอะ", " ดอกไม้กำลังบานสวยมาก"],
  English: [
    "The weather is fine today.",
    " Let us walk to the park.",
    " The flowers are in bloom.",
  ],
};

describe.each(Object.entries(SENTENCES))("an answer in %s", (_language, sentences) => {
  let requests: LoggedRequest[];
  beforeAll(async () => {
    const { ai } = environment;
    ai.pace.llm = 40;
    const asked = await ask(sentences.join(""));
    await ai.waitFor("tts", ({ text }) => text === sentences.at(-1)?.trim());
    await ai.waitFor(
      "llm",
      ({ text, outcome }) => text === sentences.join("") && outcome !== "pending",
    );
    ai.pace.llm = 0;
    requests = asked();
  });

  test("is one request for each sentence, in order", () => {
    expect(textsOf(requests)).toEqual(sentences.map((one) => one.trim()));
  });

  test("is spoken while the language model still writes", () => {
    const answer = requests.find(({ stage }) => stage === "llm");
    expect(spokenOf(requests)[0]?.at).toBeLessThan(answer?.endedAt ?? 0);
  });
});

test("markup is not read out, and the transcript keeps it", async () => {
  const text =
    "| City | People |\n|---|---|\n| **Oslo** | 700,000 |\n\nSee https://www.example.org/a_b?x=1 for " +
    "`npm install`.\n\n```js\nconst a = 1;\n```\n\n👍 It is 10–12 °C<br>and \\(x^2\\).";
  const asked = await ask(text);
  await finalOf(call.listener, "agent", text);
  expect(textsOf(asked())).toEqual([
    "City, People",
    "Oslo, seven hundred thousand",
    "See example dot org for npm install.",
    "Code omitted.",
    "It is ten to twelve degrees Celsius",
    "and x squared.",
  ]);
});

test("an answer without a word is in the transcript and ends the turn", async () => {
  const asked = await ask("👍🏽🎉");
  await finalOf(call.listener, "agent", "👍🏽🎉");
  expect(textsOf(asked())).toEqual([]);
  const next = await ask("It goes on.");
  await finalOf(call.listener, "agent", "It goes on.");
  expect(textsOf(next())).toEqual(["It goes on."]);
});
