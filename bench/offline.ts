import { testModels } from "../scripts/test-models.ts";
import { speak } from "../test/audio/speech.ts";
import { joinRoom } from "../test/caller.ts";
import { modelVariables } from "../test/engine.ts";
import { type Parley, SOURCE, startParley } from "../test/parley.ts";
import { isState } from "./conversation.ts";
import { residentMiB } from "./executable.ts";

const SENTENCES = [
  "What is the capital of France?",
  "How many people live in London?",
  "My sister lives in a small house near the river.",
];

/** Conversations at once with the small models of the tests, without any other server. */
export interface OfflineFigures {
  conversations: number;
  /** From the end of a caller's speech to the agent's first audible frame at that caller, ms. */
  voiceToVoice: number[];
  /** Of Parley's process alone, MiB; the engine's is measured by `engine.ts`. */
  parleyMiB: number;
}

/** Measures 1, 2 and 4 conversations of `turns` turns each. */
export async function measureOffline(turns: number): Promise<OfflineFigures[]> {
  const env = { ...modelVariables(await testModels()), SYSTEM_PROMPT: "Answer in one sentence." };
  await using parley = await startParley({ command: SOURCE, env });
  await parley.ready();
  // The first conversation loads the models.
  await converse(parley, "warm", 1);
  const figures: OfflineFigures[] = [];
  for (const conversations of [1, 2, 4]) {
    const names = Array.from({ length: conversations }, (_, i) => `bench-${conversations}-${i}`);
    const times = await Promise.all(names.map((room) => converse(parley, room, turns)));
    const parleyMiB = await residentMiB(parley.process.pid);
    figures.push({ conversations, voiceToVoice: times.flat(), parleyMiB });
  }
  return figures;
}

/** @returns the time of each turn, ms */
async function converse(parley: Parley, room: string, turns: number): Promise<number[]> {
  await using caller = await joinRoom(parley, room, "caller");
  const id = await parley.startSession({ room, identity: "caller" });
  await using listener = await parley.listen(id);
  await caller.listenedTo();
  const times: number[] = [];
  let { seq } = await listener.waitFor((event) => isState(event, "listening"));
  for (let turn = 0; turn < turns; turn++) {
    const { to: spoken } = await caller.speak(speak(SENTENCES[turn % 3] ?? "", { rate: 48_000 }));
    times.push((await caller.hears(spoken)) - spoken);
    // Who speaks into the answer would measure an interruption.
    for (const state of ["speaking", "listening"]) {
      const after = seq;
      ({ seq } = await listener.waitFor((event) => event.seq > after && isState(event, state)));
    }
  }
  await parley.fetch(`/session/${id}`, { method: "DELETE" });
  return times;
}
