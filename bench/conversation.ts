import type { Envelope } from "../src/domain/transcript.ts";
import { speak } from "../test/audio/speech.ts";
import { joinRoom } from "../test/caller.ts";
import { type Parley, providerEnv, startParley } from "../test/parley.ts";
import { type StandIn, startStandIn } from "../test/stand-in/openai.ts";
import { residentMiB } from "./executable.ts";

/** What a person says in turn; whole sentences, as people end a turn with. */
const SENTENCES = [
  "Hello there, how are you today?",
  "Tell me something about rivers.",
  "What is the capital of France?",
  "Please count from one to five.",
];
const REPLY = "That is a good question. I will think about it.";
const REPLY_SENTENCES = ["That is a good question.", "I will think about it."];

/** Waits in ms that the stand-in makes before the first byte of each stage. */
export interface ProviderDelays {
  stt: number;
  llm: number;
  tts: number;
}

export interface ConversationFigures {
  /** From the end of the caller's speech to the agent's first audible frame at the caller, ms. */
  voiceToVoice: number[];
  /** Of that, what the stand-in took for the first byte of all three stages, ms. */
  provider: number[];
  /** From `POST /session` to its answer, ms. */
  sessionStart: number[];
  /** Resident memory in MiB, without livekit-server: Parley ready and idle, and with one conversation. */
  idleMiB: number;
  talkingMiB: number;
}

/** Holds one conversation of `turns` turns with a real Parley and measures it from outside. */
export async function measureConversation(options: {
  realtime: boolean;
  delays: ProviderDelays;
  turns: number;
}): Promise<ConversationFigures> {
  await using provider = await startStandIn({
    phrases: SENTENCES,
    realtime: options.realtime,
    delays: options.delays,
    reply: () => REPLY,
    prewarm: REPLY_SENTENCES,
  });
  for (const sentence of SENTENCES) speak(sentence, { rate: 48_000 });
  await using parley = await startParley({ env: providerEnv(provider.url, options.realtime) });
  await parley.ready();
  const idleMiB = await residentMiB(parley.process.pid);
  const sessionStart = await measureSessionStart(parley);

  await using caller = await joinRoom(parley, "bench", "caller");
  const sessionId = await parley.startSession({ room: "bench", identity: "caller" });
  await using listener = await parley.listen(sessionId);
  const voiceToVoice: number[] = [];
  const provided: number[] = [];
  let { seq } = await listener.waitFor((event) => isState(event, "listening"));
  for (let turn = 0; turn < options.turns; turn += 1) {
    const askedBefore = provider.requests.length;
    const { to: spoken } = await caller.speak(speak(SENTENCES[turn % 4] ?? "", { rate: 48_000 }));
    voiceToVoice.push((await caller.hears(spoken)) - spoken);
    provided.push(firstBytes(provider, askedBefore));
    // Who speaks into the answer would measure an interruption.
    for (const state of ["speaking", "listening"]) {
      const after = seq;
      ({ seq } = await listener.waitFor((event) => event.seq > after && isState(event, state)));
    }
  }
  const talkingMiB = await residentMiB(parley.process.pid);
  return { voiceToVoice, provider: provided, sessionStart, idleMiB, talkingMiB };
}

/** Whether an event says that the agent's state is now this one. */
export function isState(event: Envelope, state: string): boolean {
  return event.type === "agent_state" && event.data.state === state;
}

async function measureSessionStart(parley: Parley): Promise<number[]> {
  const times: number[] = [];
  for (let run = 0; run < 8; run += 1) {
    await using _caller = await joinRoom(parley, `start-${run}`, "caller");
    const startedAt = performance.now();
    const id = await parley.startSession({ room: `start-${run}`, identity: "caller" });
    times.push(performance.now() - startedAt);
    await parley.fetch(`/session/${id}`, { method: "DELETE" });
  }
  return times;
}

/** Time to the first byte of the turn's first request of each stage, added up, ms. */
function firstBytes(provider: StandIn, from: number): number {
  const asked = provider.requests.slice(from);
  return (["stt", "llm", "tts"] as const).reduce((sum, stage) => {
    const first = asked.find((request) => request.stage === stage && request.firstByteAt);
    return sum + (first?.firstByteAt ? first.firstByteAt - first.at : 0);
  }, 0);
}
