import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Parley, startParley } from "../parley.ts";
import type { ChatMessage } from "../stand-in/log.ts";
import { type StandIn, startStandIn } from "../stand-in/openai.ts";
import { event, finalOf, saidIn, storedTranscript } from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { spokenTest } from "./spoken.ts";
import { eventually } from "./wait.ts";

const GREETING = "Hello Ada.";
const STORY = "Tell me a long story.";
const STOP = "Wait, please stop talking now.";
const LOST = "Can you hear me?";
const TYPED = "Are you there?";
const WORDS =
  "Once upon a time a small boat left the harbour before sunrise. Its captain was looking for " +
  "an island that no map had ever shown. For seven days the wind was kind.";

let ai: StandIn;
let parley: Parley;

beforeAll(async () => {
  ai = await startStandIn({ phrases: [STORY, STOP], apiKey: "sk-right", reply });
  // The stages have no provider: speech to speech needs none.
  parley = await startParley({
    env: {
      REALTIME_BASE_URL: ai.url,
      REALTIME_API_KEY: "sk-right",
      REALTIME_MODEL: "talker",
      REALTIME_VOICE: "alloy",
      GREETING,
    },
  });
});
afterAll(async () => {
  await parley[Symbol.asyncDispose]();
  await ai[Symbol.asyncDispose]();
});

function reply(messages: readonly ChatMessage[]): string {
  if (messages[0]?.content.includes(`"${GREETING}"`)) return GREETING;
  const last = messages.at(-1)?.content ?? "";
  if (last === STORY) return WORDS;
  return last === TYPED ? "Yes." : "All right.";
}

spokenTest("one realtime model hears, answers, is interrupted and remembers", async () => {
  const ready = await parley.fetch("/ready");
  expect(await ready.json()).toMatchObject({ checks: { stt: "ok", llm: "ok", tts: "ok" } });
  await using user = await PageUser.at(parley.url);
  const id = await user.start({ identity: "ada" });
  await using listener = await parley.listen(id, 0);
  await user.hears(0);
  await user.reads("agent", GREETING);

  await user.say(STORY);
  await event(
    listener,
    "the story is under way",
    ({ type, data }) =>
      type === "transcript" && data.role === "agent" && data.text.split(" ").length > 3,
  );
  await user.say(STOP);
  await finalOf(listener, "agent", "All right.");
  await user.reads("agent", "All right.");

  ai.fail("llm", { kind: "status", status: 429 });
  await parley.post(`/session/${id}/message`, { text: LOST });
  await event(listener, "the failure is told", ({ type, data }) => {
    return type === "error" && data.code === "provider_rate_limited" && data.recoverable;
  });

  const response = await parley.post(`/session/${id}/message`, { text: TYPED });
  expect(response.status).toBe(202);
  await finalOf(listener, "agent", "Yes.");
  await user.agentIs("listening");
  await user.stop();

  const stored = await storedTranscript(parley, id);
  const cut = stored.segments.find(({ interrupted }) => interrupted)?.text ?? "";
  expect(WORDS).toStartWith(cut);
  expect(cut.split(" ").length).toBeWithin(4, WORDS.split(" ").length);
  expect(saidIn(stored)).toEqual([
    `agent: ${GREETING}`,
    `user: ${STORY}`,
    `agent: ${cut}`,
    `user: ${STOP}`,
    "agent: All right.",
    `user: ${LOST}`,
    `user: ${TYPED}`,
    "agent: Yes.",
  ]);
  // Each line becomes final once, and the model knows only what was heard of its answer.
  const finals = listener.events.filter(({ type, data }) => type === "transcript" && data.final);
  expect(finals).toHaveLength(stored.segments.length);
  const truncated = await ai.waitFor("llm", ({ truncatedTo }) => truncatedTo !== undefined);
  expect(WORDS).toStartWith(truncated.truncatedTo ?? "-");
  expect(truncated.truncatedTo?.length).toBeLessThan(WORDS.length);
  const metrics = listener.events.flatMap(({ type, data }) => (type === "metrics" ? [data] : []));
  expect(metrics).toHaveLength(4);
  expect(metrics[2]).toMatchObject({ stt_ms: null, llm_ttft_ms: null, tts_ttfb_ms: null });
  expect(metrics[2]?.voice_to_voice_ms).toBeGreaterThan(0);
  expect(metrics[3]?.completion_tokens).toBe(1);
  expect(metrics[3]?.voice_to_voice_ms).toBeNull();
  const session = await (await parley.fetch(`/session/${id}`)).json();
  expect(session).toMatchObject({
    settings: { stt_model: "talker", llm_model: "talker", tts_model: "talker", voice: "alloy" },
  });
  await eventually(
    "the connection to the model is closed",
    async () => ai.realtimeConnections,
    (open) => open === 0,
  );
});

test("a model that is not there is refused at Start, and the stages can be asked for", async () => {
  ai.knownModel = "another";
  const refused = await parley.post("/session", { room: "r1", llm_model: "unknown" });
  expect(refused.status).toBe(502);
  expect(await refused.text()).toContain("does not know the model");
  const unserved = await parley.post("/session", { room: "r2", mode: "pipeline" });
  expect(await unserved.text()).toContain("No provider is set up for");
});
