import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Envelope } from "../../src/domain/transcript.ts";
import type { Fault, Stage } from "../stand-in/faults.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { ended, liveSessions } from "./environment.ts";
import { openHostileProvider } from "./hostile-provider.ts";
import { PageUser } from "./page-user.ts";
import {
  type LiveKitFixture,
  ParticipantCall,
  peopleIn,
  startLiveKitFixture,
} from "./participant-call.ts";
import { spoken, spokenTest } from "./spoken.ts";
import { eventually, within } from "./wait.ts";

const LOST = "Hello there.";
const NEXT = "Good morning to you.";
/** Two requests to the voice fail, and one error is reported. */
const LONG_REPLY = "Yes, I can hear you very well today. Please go on with what you said.";
const UNHANDLED = "unhandled promise rejection";

const STAGES: { name: string; stage: Stage; realtime: boolean }[] = [
  { name: "realtime transcription", stage: "stt", realtime: true },
  { name: "transcription per utterance", stage: "stt", realtime: false },
  { name: "the language model", stage: "llm", realtime: false },
  { name: "the voice", stage: "tts", realtime: false },
];

const FAULTS: { what: string; fault: Fault; code: string; withinMs: number }[] = [
  {
    what: "refuses the key (401)",
    fault: { kind: "status", status: 401 },
    code: "provider_unauthorized",
    withinMs: 5000,
  },
  {
    what: "is over its limit (429)",
    fault: { kind: "status", status: 429 },
    code: "provider_rate_limited",
    withinMs: 5000,
  },
  {
    what: "breaks (500)",
    fault: { kind: "status", status: 500 },
    code: "provider_failed",
    withinMs: 5000,
  },
  {
    what: "cuts its answer",
    fault: { kind: "cut" },
    code: "provider_unreachable",
    withinMs: 5000,
  },
  {
    what: "refuses the connection",
    fault: { kind: "refuse" },
    code: "provider_unreachable",
    withinMs: 5000,
  },
  { what: "hangs", fault: { kind: "hang" }, code: "provider_timeout", withinMs: 12_000 },
];

/** One stage that fails, with a Parley and a provider of its own. */
interface StageFixture extends LiveKitFixture {
  name: string;
  stage: Stage;
  realtime: boolean;
}

/** Each stage has its own, so that they can fail at the same time. */
const fixtures: StageFixture[] = [];
const open = new AsyncDisposableStack();

beforeAll(async () => {
  for (const one of STAGES) {
    const phrases = [LOST, NEXT];
    const fixture = open.use(await startLiveKitFixture({ phrases, realtime: one.realtime }));
    fixtures.push({ ...fixture, ...one });
  }
});
afterAll(() => open.disposeAsync());

function errorsAfter(call: ParticipantCall, seq: number) {
  return call.listener.events.flatMap((one) =>
    one.type === "error" && one.seq > seq ? [one.data] : [],
  );
}

const isError = ({ type }: Envelope) => type === "error";

/** Begins a call whose transcription, if it is realtime, is connected. */
async function beginCall({ ai, parley, realtime }: StageFixture): Promise<ParticipantCall> {
  const connections = (fits: (open: number) => boolean) =>
    eventually("connections of the transcription", async () => ai.realtimeConnections, fits);
  await connections((open) => open === 0);
  const call = await ParticipantCall.begin(parley);
  if (realtime) await connections((open) => open > 0);
  return call;
}

/**
 * Has a stage fail in one turn. Answers how long it took until that was told, in ms, or until the
 * words were there all the same: realtime audio is sent again on a new connection.
 */
async function failOnce(
  fixture: StageFixture,
  call: ParticipantCall,
  fault: Fault,
): Promise<number> {
  const { ai, stage, realtime } = fixture;
  ai.reply = () => (stage === "tts" ? LONG_REPLY : "Yes.");
  const since = call.now;
  // Requests are sent again at once.
  ai.fail(stage, fault, realtime ? 1 : Number.POSITIVE_INFINITY);
  try {
    const { to } = await call.say(LOST);
    if (realtime) {
      const { seq, text } = await call.final("user", since);
      expect(text).toBe(LOST);
      const answer = await call.final("agent", since);
      await call.agentIs("listening", answer.seq);
      return Date.parse(call.listener.events.find((one) => one.seq === seq)?.at ?? "") - to;
    }
    const told = await call.event(`the failure of ${fixture.name} is reported`, isError, since);
    ai.heal();
    if (stage === "llm" || stage === "tts") await call.agentIs("listening", told.seq);
    return Date.parse(told.at) - to;
  } finally {
    ai.heal();
  }
}

async function expectNextTurnWorks({ ai }: StageFixture, call: ParticipantCall): Promise<void> {
  ai.reply = () => "Yes.";
  await call.silence();
  const since = call.now;
  const { to } = await call.say(NEXT);
  await call.final("user", since);
  const reply = await call.final("agent", since);
  expect(reply).toMatchObject({ text: "Yes." });
  await within("the answer is heard", call.caller.hears(to));
  await call.agentIs("listening", reply.seq);
}

/** Runs a spoken scenario for each stage at the same time; fails only when all have ended. */
async function atEachStage<T>(work: (fixture: StageFixture) => Promise<T>): Promise<T[]> {
  const outcomes = await Promise.allSettled(fixtures.map((fixture) => spoken(() => work(fixture))));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

describe("when a provider", () => {
  test.each(FAULTS)(
    "$what, one error is reported unless no word is lost, and the next turn works: for each stage",
    async ({ fault, code, withinMs }) => {
      const delays = await atEachStage(async (fixture) => {
        await using call = await beginCall(fixture);
        const { name, stage } = fixture;
        const delay = await failOnce(fixture, call, fault);
        await expectNextTurnWorks(fixture, call);
        const errors = errorsAfter(call, 0);
        const message = expect.any(String);
        expect({ name, errors }).toEqual({
          name,
          errors: fixture.realtime ? [] : [{ code, stage, recoverable: true, message }],
        });
        expect({ name, delay, inTime: delay < withinMs }).toEqual({ name, delay, inTime: true });
        return delay;
      });
      console.log(`${code} told after ${delays.map(Math.round).join(", ")} ms`);
    },
  );

  test("fails turn after turn, the session ends and says why: for each stage", async () => {
    await atEachStage(async (fixture) => {
      await using call = await beginCall(fixture);
      const fault: Fault = { kind: "status", status: 500 };
      fixture.ai.fail(fixture.stage, fault, Number.POSITIVE_INFINITY);
      try {
        await within(`${fixture.name} ends the session`, failUntilTheEnd(fixture, call));
      } finally {
        fixture.ai.heal();
      }
      await expectTheEnd(fixture, call);
    });
  });

  test("fails in every way, Parley stays up and has nothing to hide", async () => {
    for (const { parley, name } of fixtures) {
      expect(parley.process.exitCode).toBeNull();
      expect(await (await parley.fetch("/health")).json()).toEqual({ status: "ok" });
      expect(await liveSessions(parley)).toEqual([]);
      const log = JSON.stringify(parley.log);
      expect({ name, unhandled: log.includes(UNHANDLED) }).toEqual({ name, unhandled: false });
      expect(log).not.toContain("test-key");
    }
  });
});

/** Speaks or types turn after turn; each failure is reported, until the session ends. */
async function failUntilTheEnd(fixture: StageFixture, call: ParticipantCall): Promise<void> {
  const isOver = () =>
    call.listener.events.some(({ type, data }) => type === "session" && data.state !== "active");
  while (!isOver()) {
    const since = call.now;
    if (fixture.stage === "stt") await call.say(LOST);
    else await fixture.parley.post(`/session/${call.id}/message`, { text: LOST });
    await call.event("the failure is reported", isError, since);
  }
}

async function expectTheEnd(fixture: StageFixture, call: ParticipantCall): Promise<void> {
  await ended(call.listener, "provider_failed");
  expect((await call.listener.closed).code).toBe(1000);
  const errors = errorsAfter(call, 0);
  const stages = errors.map(({ stage, recoverable }) => ({ stage, recoverable }));
  const { stage } = fixture;
  expect(stages).toEqual([
    ...Array.from({ length: 3 }, () => ({ stage, recoverable: true })),
    { stage, recoverable: false },
    { stage: undefined, recoverable: false },
  ]);
  expect(errors.at(-1)?.code).toBe("session_provider_failed");
  const present = await peopleIn(fixture.rooms, call.room);
  expect(present.map(({ kind }) => kind)).toEqual(["standard"]);
}

describe("when a provider's error quotes the API key", () => {
  spokenTest(
    "the page tells of the failure and goes on, and nobody gets to see the key",
    async () => {
      await using ai = await startStandIn({ phrases: [LOST] });
      await using provider = openHostileProvider(ai.url);
      const keys = { OPENAI_API_KEY: "sk-secret-of-all", LLM_API_KEY: "sk-secret-of-llm" };
      const urls = { OPENAI_BASE_URL: provider.url, LLM_BASE_URL: provider.url };
      const env = { ...keys, ...urls, STT_REALTIME: "true", LOG_LEVEL: "debug" };
      await using fixture = await startLiveKitFixture({ phrases: [LOST], env });
      await using user = await PageUser.at(fixture.parley.url);
      const { page } = user;
      await page.click("text=Settings");
      await page.fill("#greeting", "Welcome.");
      const id = await user.start();
      await page.waitForSelector("text=The voice had a problem");
      await using listener = await fixture.parley.listen(id, 0);
      const errorOf = (stage: Stage) =>
        within(
          `the failure of ${stage} is reported`,
          listener.waitFor(({ type, data }) => type === "error" && data.stage === stage),
          () => listener.events,
        );

      await errorOf("tts");
      await user.say(LOST);
      await errorOf("stt");
      await page.fill("#message", LOST);
      await page.press("#message", "Enter");
      await errorOf("llm");
      await page.waitForSelector("text=The language model had a problem");
      const notice = await page.textContent("#notice");
      expect(notice).toContain("Check LLM_API_KEY");
      expect(notice).toContain("The conversation continues.");
      expect(await page.getAttribute("#status", "data-state")).toBe("live");

      provider.calm();
      ai.reply = () => "All is well again.";
      await page.fill("#message", NEXT);
      await page.press("#message", "Enter");
      await user.reads("agent", "All is well again.");
      expect(provider.quoted).toContain("Bearer sk-secret-of-all");
      expect(provider.quoted).toContain("Bearer sk-secret-of-llm");
      for (const seen of [listener.events, fixture.parley.log, await page.content()]) {
        expect(JSON.stringify(seen)).not.toContain("sk-secret");
      }
      await user.stop();
    },
  );
});
