import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Parley, SOURCE, startParley } from "../parley.ts";
import { realCatalog } from "../real-catalog.ts";
import { plainWords, wordErrors } from "../word-errors.ts";
import { event, storedTranscript } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { spoken } from "./spoken.ts";

// Without a key and without a server: local models hear, answer and speak. They are the smallest
// available, so the test judges what they understand and not what they answer.

// The recogniser understands these without a mistake however they are encoded.
const SENTENCES = ["What is the capital of France?", "How many people live in London?"];

const open = new AsyncDisposableStack();
let parley: Parley;

beforeAll(async () => {
  const catalog = open.use(await realCatalog());
  const env = { MODELS_CATALOG: catalog.path, SYSTEM_PROMPT: "Answer in one short sentence." };
  const executable = Bun.env["PARLEY_OFFLINE_COMMAND"];
  const program = executable ? { command: [executable], alone: true } : { command: SOURCE };
  parley = open.use(await startParley({ env, ...program }));
});
afterAll(() => open.disposeAsync());

test("one consent downloads the models, and they hear, answer and speak", async () => {
  let first: PageUser | undefined = await PageUser.at(parley.url);
  await first.page.click("#offer-download");
  await first.page.waitForSelector("#offer .welcome");
  await spoken(async () => {
    await using user = first ?? (await PageUser.at(parley.url));
    first = undefined;
    await converse(user);
  });
});

async function converse(user: PageUser): Promise<void> {
  const id = await user.start();
  await using listener = await parley.listen(id);
  const begun = Date.now();
  for (const [turn, sentence] of SENTENCES.entries()) {
    await user.say(sentence);
    await event(
      listener,
      `the agent's answer ${turn + 1}`,
      () => listener.finals("agent").length > turn && listener.finals("user").length > turn,
    );
    await user.agentIs("listening");
    const heard = listener.finals("user")[turn] ?? "";
    const errors = wordErrors(sentence, heard);
    console.log(`said "${sentence}", heard "${heard}": ${errors} wrong words`);
    expect(errors).toBeLessThanOrEqual(Math.ceil(plainWords(sentence).length / 3));
  }
  await user.hears(begun);
  const interims = listener.events.filter(
    ({ type, data }) => type === "transcript" && data.role === "user" && !data.final,
  );
  expect(interims.length).toBeGreaterThan(0);
  await user.stop();
  const { segments, end_reason } = await storedTranscript(parley, id);
  expect(end_reason).toBe("stopped");
  const roles = segments.map(({ role }) => role);
  expect(roles.filter((role) => role === "user").length).toBeGreaterThanOrEqual(SENTENCES.length);
  expect(segments.every(({ text }) => text.trim() !== "")).toBe(true);
  expect(user.session.complaints).toEqual([]);
}
