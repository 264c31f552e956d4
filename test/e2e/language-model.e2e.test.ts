import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Envelope } from "../../src/domain/transcript.ts";
import {
  CALLS_A_TOOL,
  ColdModel,
  chunk,
  onChunks,
  onWire,
  STRICT_ROLES,
  WHOLE_BODY,
} from "../stand-in/quirks/llm.ts";
import type { Quirk } from "../stand-in/quirks.ts";
import { event, finalOf, startEnvironment, type TestEnvironment } from "./environment.ts";
import { ParticipantCall } from "./participant-call.ts";
import { spokenTest } from "./spoken.ts";

const ANSWER = "Hello Ada.";
const origin = { name: "", report: "livekit/agents#2928" };

let world: TestEnvironment;
beforeAll(async () => {
  world = await startEnvironment({ reply: () => ANSWER, realtime: false });
});
afterAll(() => world[Symbol.asyncDispose]());

/** A conversation in writing: nobody is in its room. */
async function conversation(settings: Record<string, unknown> = {}) {
  const { parley } = world;
  const id = await parley.startSession({ room: `room-${crypto.randomUUID()}`, ...settings });
  const listener = await parley.listen(id, 0);
  return {
    listener,
    get now() {
      return listener.events.at(-1)?.seq ?? 0;
    },
    write: (text: string) => parley.post(`/session/${id}/message`, { text }),
    async [Symbol.asyncDispose]() {
      await parley.fetch(`/session/${id}`, { method: "DELETE" });
      await listener[Symbol.asyncDispose]();
    },
  };
}

function requestsOf(text: string) {
  return world.ai.requests.filter(
    ({ stage, messages }) => stage === "llm" && messages?.at(-1)?.content.includes(text),
  );
}

const isLlmError = ({ type, data }: Envelope) => type === "error" && data.stage === "llm";

const NO_ANSWERS: [what: string, quirk: Quirk][] = [
  ["nothing", onChunks(origin, () => [chunk({}, "stop")])],
  [
    "thoughts only",
    onChunks(origin, () => [chunk({ reasoning_content: "hm" }), chunk({}, "length")]),
  ],
  ["a refusal of its filter", onChunks(origin, () => [chunk({}, "content_filter")])],
  [
    "an error with status 200",
    onWire(origin, () => '{"error":{"message":"model not loaded"}}', "application/json"),
  ],
  ["calls of tools", CALLS_A_TOOL],
];

test("a model that answers nothing is told of each time, and the conversation goes on", async () => {
  await using talk = await conversation();
  for (const [what, quirk] of NO_ANSWERS) {
    world.ai.quirks = [quirk];
    const since = talk.now;
    await talk.write(`Say ${what}.`);
    const told = await event(
      talk.listener,
      `${what} is told`,
      (one) => one.seq > since && isLlmError(one),
    );
    expect(told.data).toMatchObject({ recoverable: true });
    world.ai.quirks = [STRICT_ROLES, WHOLE_BODY];
    await talk.write("And now?");
    await event(
      talk.listener,
      `the answer after ${what}`,
      ({ type, seq, data }) => seq > told.seq && type === "transcript" && data.text === ANSWER,
    );
  }
  expect(requestsOf("calls of tools.")).toHaveLength(3);
  expect(talk.listener.events.filter(isLlmError)).toHaveLength(NO_ANSWERS.length);
});

test("thoughts are neither shown nor sent back, also when only their end is marked", async () => {
  await using talk = await conversation();
  const thinking = (text: string, more: string) =>
    onChunks(origin, () => [
      ...[text, more].map((content) => chunk({ content })),
      chunk({}, "stop"),
    ]);
  world.ai.quirks = [thinking("I should greet. Yes.</thi", `nk>\n\n${ANSWER}`)];
  await talk.write("One.");
  await finalOf(talk.listener, "agent", ANSWER);
  world.ai.quirks = [thinking("[THINK]h", `m[/THINK]${ANSWER}`)];
  await talk.write("Two.");
  await event(talk.listener, "both answers", () => talk.listener.finals("agent").length === 2);
  expect(talk.listener.finals("agent")).toEqual([ANSWER, ANSWER]);
  expect(requestsOf("Two.")[0]?.messages?.slice(1)).toEqual([
    { role: "user", content: "One." },
    { role: "assistant", content: ANSWER },
    { role: "user", content: "Two." },
  ]);
});

test("a model that is being loaded is waited for, and the person is told", async () => {
  await using ai = await startEnvironment({ reply: () => ANSWER, realtime: false });
  const cold = new ColdModel(9000);
  ai.ai.quirks = [STRICT_ROLES, cold];
  const id = await ai.parley.startSession({ room: "cold" });
  await using listener = await ai.parley.listen(id, 0);
  // The load has begun with the conversation.
  for (const text of ["Hello.", "Are you there?"]) {
    await ai.parley.post(`/session/${id}/message`, { text });
  }
  const isNotice = ({ type, data }: Envelope) => type === "notice" && data.code === "model_loading";
  const notice = await event(listener, "loading is told", isNotice);
  expect(notice.data).toMatchObject({ stage: "llm", transient: true });
  await finalOf(listener, "agent", ANSWER);
  expect(cold.hangUps).toBe(0);
  expect(listener.events.filter(({ type }) => type === "error")).toEqual([]);
  const asked = ai.ai.requests.filter(({ stage }) => stage === "llm").at(-1);
  expect(asked?.messages?.slice(1)).toEqual([{ role: "user", content: "Hello.\nAre you there?" }]);
});

describe("aloud", () => {
  spokenTest(
    "the greeting is known to the model, and a slow answer is heard to its end",
    async () => {
      const { ai, parley } = world;
      ai.quirks = [
        STRICT_ROLES,
        {
          ...origin,
          path: /chat/,
          async answer(request, next) {
            const response = await next(request);
            const text = await response.text();
            if (!text.includes("data:")) return new Response(text, response);
            // A first sentence that takes longer to write than the agents library waits for sound.
            const encoder = new TextEncoder();
            const body = new ReadableStream<Uint8Array>({
              async start(controller) {
                for (let second = 0; second < 12; second += 2) {
                  controller.enqueue(encoder.encode(": ping\n\n"));
                  await Bun.sleep(2000);
                }
                controller.enqueue(encoder.encode(text));
                controller.close();
              },
            });
            const first = chunk({ content: "Well " });
            const begun = new ReadableStream<Uint8Array>({
              async start(controller) {
                controller.enqueue(encoder.encode(`data: ${JSON.stringify(first)}\n\n`));
                for await (const part of body) controller.enqueue(part);
                controller.close();
              },
            });
            return new Response(begun, { headers: { "content-type": "text/event-stream" } });
          },
        },
      ];
      await using call = await ParticipantCall.begin(parley, { greeting: "Welcome, Ada." });
      await call.final("agent");
      const since = call.now;
      const from = Date.now();
      await parley.post(`/session/${call.id}/message`, { text: "Good morning." });
      const final = await call.final("agent", since);
      expect(final.text).toBe(`Well ${ANSWER}`);
      expect(final.interrupted).toBeUndefined();
      expect(call.audible(from).length).toBeGreaterThan(0);
      const [asked] = requestsOf("Good morning.");
      expect(asked?.messages?.[0]?.content).toContain("Welcome, Ada.");
      expect(call.listener.events.filter(({ type }) => type === "error")).toEqual([]);
    },
  );
});
