import { afterAll, beforeAll, expect } from "bun:test";
import type { Envelope } from "../../src/domain/transcript.ts";
import { type LiveKitFixture, ParticipantCall, startLiveKitFixture } from "./participant-call.ts";
import { spokenTest as test } from "./spoken.ts";
import { within } from "./wait.ts";

const HELLO = "Hello there.";
/** A word of an answer lasts longer than the sound of a failure. */
const SOUND_MS = 700;

let fixture: LiveKitFixture;
beforeAll(async () => {
  fixture = await startLiveKitFixture({ phrases: [HELLO], realtime: false });
});
afterAll(() => fixture[Symbol.asyncDispose]());

const isError = ({ type }: Envelope) => type === "error";

/** Says something that the stage fails to handle; answers the event, and how long was heard. */
async function failedTurn(call: ParticipantCall) {
  const since = call.now;
  const { to } = await call.say(HELLO);
  const told = await call.event("the failure is reported", isError, since);
  return { told, since, to };
}

test("a failed turn is heard once as a short sound, and the next turn is answered", async () => {
  const { ai, parley } = fixture;
  await using call = await ParticipantCall.begin(parley);
  ai.fail("llm", { kind: "status", status: 429 }, Number.POSITIVE_INFINITY);
  const first = await failedTurn(call);
  expect(first.told.data).toMatchObject({ code: "provider_rate_limited", recoverable: true });
  await within("the sound of the failure", call.caller.hears(first.to));
  await call.silence();
  const heard = call.audible(first.to);
  expect(Math.max(...heard) - Math.min(...heard)).toBeLessThan(SOUND_MS);
  // The sound is no answer: the agent does not speak, and nothing of it is in the transcript.
  const during = call.listener.events.filter(({ seq }) => seq > first.since);
  expect(during.filter(({ data }) => "state" in data && data.state === "speaking")).toEqual([]);
  expect(call.listener.finals("agent")).toEqual([]);

  const second = await failedTurn(call);
  expect(second.told.data).toMatchObject({ code: "provider_rate_limited", repeated: true });

  ai.heal();
  ai.reply = () => "Yes.";
  const since = call.now;
  const { to } = await call.say(HELLO);
  const answer = await call.final("agent", since);
  expect(answer.text).toBe("Yes.");
  await within("the answer is heard", call.caller.hears(to));
  // Between the first sound and this answer there was silence, also in the second failed turn.
  expect(call.audible(second.to, to)).toEqual([]);
  await call.agentIs("listening", answer.seq);
});
