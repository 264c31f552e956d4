import { temporaryFolder } from "../database.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { within } from "../e2e/wait.ts";
import { providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn, seenIn, transcripts } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// Parley is stopped while the agent speaks: what was said so far is kept, as interrupted.

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export const faults: Fault[] = SIGNALS.map((signal) => ({
  what: `Parley gets ${signal} in mid-sentence`,
  short: signal === "SIGTERM",
  run: () => terminated(signal),
}));

async function terminated(signal: NodeJS.Signals): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const dataDir = opening.use(temporaryFolder()).path;
  // The story is longer than Parley waits for it.
  const env = { ...providerEnv(ai.url, false), ...livekit.env, DRAIN_MINUTES: "0.02" };
  const parley = opening.use(await startParley({ dataDir, env }));
  const conversation = opening.use(await Conversation.begin(parley, { joined: true }));
  await conversation.type("Tell me a story.");
  const spoken = await conversation.event(
    "the agent speaks",
    ({ type, data }) => type === "transcript" && data.role === "agent" && !data.final,
  );
  const code = await within("Parley ends", parley.stop(signal));
  if (code !== 0) throw new Error(`Parley ended with ${code}`);
  const close = await closeCode(conversation.listener);
  const final = transcripts(conversation.events).findLast(({ role }) => role === "agent");
  if (!final?.final || !final.interrupted || spoken.type !== "transcript") {
    throw new Error(`the last of the agent's words: ${JSON.stringify(final)}`);
  }
  if (!final.text.startsWith(spoken.data.text.trimEnd())) {
    throw new Error(`"${spoken.data.text}" was spoken, and the final is "${final.text}"`);
  }
  const started = performance.now();
  await using again = await startParley({ dataDir, env });
  const next = opening.use(await Conversation.begin(again, { room: conversation.room }));
  await next.turn("After it was stopped.");
  const backMs = performance.now() - started;
  const lost = await lostIn(conversation, again);
  return { seen: `${seenIn(conversation.events)}; close code ${close}`, backMs, lost };
}
