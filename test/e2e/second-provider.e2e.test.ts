import { expect } from "bun:test";
import { startStandIn } from "../stand-in/openai.ts";
import { ParticipantCall, startLiveKitFixture } from "./participant-call.ts";
import { spokenTest as test } from "./spoken.ts";
import { within } from "./wait.ts";

const FIRST = "My name is Ada.";
const SECOND = "What is my name?";
const PHRASES = [FIRST, SECOND];

test("when every stage's provider fails in mid-conversation, the second ones answer, with the whole conversation", async () => {
  await using second = await startStandIn({ phrases: PHRASES, realtime: false });
  const env = Object.fromEntries(
    ["STT", "LLM", "TTS"].map((stage) => [`${stage}_FALLBACK_BASE_URL`, second.url]),
  );
  await using fixture = await startLiveKitFixture({ phrases: PHRASES, realtime: false, env });
  const { ai, parley } = fixture;
  await using call = await ParticipantCall.begin(parley);
  await call.say(FIRST);
  const hello = await call.final("agent");
  expect(hello.text).toBe("Nice to meet you, Ada.");
  await call.agentIs("listening", hello.seq);
  expect(second.requests.filter(({ stage }) => stage !== "models")).toEqual([]);

  for (const stage of ["stt", "llm", "tts"] as const) {
    ai.fail(stage, { kind: "status", status: 500 }, Number.POSITIVE_INFINITY);
  }
  const { to } = await call.say(SECOND);
  const heard = await call.final("user", hello.seq);
  const answer = await call.final("agent", hello.seq);
  expect([heard.text, answer.text]).toEqual([SECOND, "Your name is Ada."]);
  await within("the answer is heard", call.caller.hears(to));
  const told = call.listener.events.flatMap((event) =>
    event.type === "notice" && event.data.code === "provider_fallback" ? [event.data.stage] : [],
  );
  expect(told.sort()).toEqual(["llm", "stt", "tts"]);
  expect(call.listener.events.filter(({ type }) => type === "error")).toEqual([]);
});

test("a conversation starts without its first provider, and says once who answers", async () => {
  await using second = await startStandIn({ phrases: PHRASES, realtime: false });
  const down = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = down;
  await down.stop(true);
  const env = {
    LLM_BASE_URL: `http://127.0.0.1:${port}/v1`,
    LLM_FALLBACK_BASE_URL: second.url,
  };
  await using fixture = await startLiveKitFixture({ phrases: PHRASES, realtime: false, env });
  const { parley } = fixture;
  const ready = (await (await parley.fetch("/ready")).json()) as { checks: object };
  expect(ready.checks).toMatchObject({
    llm: expect.stringContaining("nothing listens there"),
    llm_fallback: "ok",
  });
  const id = await parley.startSession({ room: "second" });
  await using listener = await parley.listen(id, 0);
  for (const [index, text] of ["One.", "Two."].entries()) {
    await parley.post(`/session/${id}/message`, { text });
    const answers = () => listener.finals("agent").length;
    await within(
      `the answer to ${text}`,
      listener.waitFor(() => answers() > index),
    );
  }
  expect(listener.finals("agent")).toEqual(["You said: One.", "You said: Two."]);
  const notices = listener.events.filter(({ type }) => type === "notice");
  expect(notices.map(({ data }) => "message" in data && data.message)).toEqual([
    `The language model: 127.0.0.1:${port} cannot be reached: nothing listens there. Now ${new URL(second.url).host} answers.`,
  ]);
});
