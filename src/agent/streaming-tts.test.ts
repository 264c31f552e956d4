import { afterAll, beforeAll, expect, test } from "bun:test";
import { initializeLogger } from "@livekit/agents";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import { answersInstead, sendsSilence } from "../../test/stand-in/quirks/tts.ts";
import { agentSpeech } from "../../test/stand-in/speech.ts";
import { Failover } from "../providers/failover.ts";
import { createProviderClient } from "../providers/provider-client.ts";
import { VoiceServer } from "../providers/voice-server.ts";
import { StreamingTts } from "./streaming-tts.ts";

const TEXT = "Good morning.";
const SPEECH = [...agentSpeech(TEXT, "alloy", 175)];

let [first, second]: StandIn[] = [];
beforeAll(async () => {
  // The framework's classes need its log.
  initializeLogger({ pretty: false, level: "silent" });
  [first, second] = [await startStandIn(), await startStandIn()];
});
afterAll(async () => {
  await first?.[Symbol.asyncDispose]();
  await second?.[Symbol.asyncDispose]();
});

const clientOf = (ai: StandIn | undefined) =>
  createProviderClient({ baseURL: ai?.url ?? "", apiKey: undefined });
const serverOf = (ai: StandIn | undefined) =>
  new VoiceServer({ client: clientOf(ai), model: "tts", voice: "alloy" });

/** A voice with the first stand-in, and the second in reserve if there is one. */
function voice(reserve?: StandIn) {
  const switches: unknown[] = [];
  const errors: unknown[] = [];
  const servers = new Failover(serverOf(first), reserve && serverOf(reserve), (error) =>
    switches.push(error),
  );
  const tts = new StreamingTts({ client: clientOf(first), model: "tts", servers });
  tts.on("error", ({ error }) => errors.push(error));
  return { tts, switches, errors };
}

async function spoken(tts: StreamingTts): Promise<number[]> {
  const pcm: number[] = [];
  for await (const { frame } of tts.synthesize(TEXT)) pcm.push(...frame.data);
  return pcm;
}

const JSON_ERROR = answersInstead(
  "an error",
  "livekit/agents-js#2320",
  '{"error":{"message":"no"}}',
  "application/json",
);

test("the second voice speaks what the first answered without a sound", async () => {
  for (const quirk of [JSON_ERROR, sendsSilence]) {
    if (first) first.quirks = [quirk];
    const { tts, switches, errors } = voice(second);
    expect(await spoken(tts)).toEqual(SPEECH);
    expect(await spoken(tts)).toEqual(SPEECH);
    expect([switches.length, errors.length]).toEqual([1, 0]);
    await tts.close();
  }
});

test("without a second voice the failure is reported once, and nothing is played", async () => {
  if (first) first.quirks = [JSON_ERROR];
  const { tts, errors } = voice();
  expect(await spoken(tts)).toEqual([]);
  expect(errors).toMatchObject([{ name: "AnswerError", fault: "error_body" }]);
  if (first) first.quirks = [];
  expect(await spoken(tts)).toEqual(SPEECH);
  await tts.close();
});
