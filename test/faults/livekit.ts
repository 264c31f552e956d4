import { eventually, within } from "../e2e/wait.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { liveKitOf } from "../processes.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn, seenIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// The livekit-server that Parley runs dies or stands still in the middle of a conversation.

/** A pause that a supervisor has to bear. */
const BRIEFLY_MS = 2000;

export const faults: Fault[] = [
  { what: "livekit-server is killed (-9)", run: () => replaced("SIGKILL") },
  { what: "livekit-server is frozen (SIGSTOP) for good", run: () => replaced("SIGSTOP") },
  { what: `livekit-server is frozen for ${BRIEFLY_MS / 1000} s`, run: frozenBriefly },
];

async function conversationIn(opening: AsyncDisposableStack): Promise<[Parley, Conversation]> {
  const ai = opening.use(await startStandIn({ realtime: false }));
  const parley = opening.use(await startParley({ env: providerEnv(ai.url, false) }));
  await parley.ready();
  const conversation = opening.use(await Conversation.begin(parley, { joined: true }));
  await conversation.turn("Before it fails.");
  return [parley, conversation];
}

/** A server that is dead, or as good as dead, has a successor at the same address. */
async function replaced(signal: NodeJS.Signals): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const [parley, conversation] = await conversationIn(opening);
  const first = liveKitOf(parley.process.pid);
  const failed = performance.now();
  process.kill(first, signal);
  const current = async () => {
    try {
      return liveKitOf(parley.process.pid);
    } catch {
      return first;
    }
  };
  await eventually("livekit-server is replaced", current, (pid) => pid !== first);
  await eventually(
    "/ready says that all is well",
    async () => (await parley.fetch("/ready")).status,
    (status) => status === 200,
  );
  const next = opening.use(await Conversation.begin(parley, { joined: true }));
  await next.turn("After it failed.");
  const backMs = performance.now() - failed;
  const seen = seenIn(conversation.events);
  if ((await conversation.stop()) !== 200) throw new Error("the first cannot be stopped");
  const code = await closeCode(conversation.listener);
  const lost = [...(await lostIn(conversation, parley)), ...(await lostIn(next, parley))];
  return { seen: `${seen}; once it is stopped close code ${code}`, backMs, lost };
}

/** A server that stands still for a moment goes on, and so does the conversation. */
async function frozenBriefly(): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const [parley, conversation] = await conversationIn(opening);
  const server = liveKitOf(parley.process.pid);
  process.kill(server, "SIGSTOP");
  await conversation.type("While it is frozen.");
  const { now } = conversation;
  await Bun.sleep(BRIEFLY_MS);
  const healed = performance.now();
  process.kill(server, "SIGCONT");
  const from = Date.now();
  await conversation.answer(now);
  await within("the agent is heard", conversation.caller?.hears(from) ?? Promise.reject());
  const backMs = performance.now() - healed;
  await conversation.turn("After it was frozen.");
  if (liveKitOf(parley.process.pid) !== server) throw new Error("livekit-server was replaced");
  const seen = seenIn(conversation.events);
  if ((await conversation.stop()) !== 200) throw new Error("it cannot be stopped");
  await closeCode(conversation.listener);
  return { seen, backMs, lost: await lostIn(conversation, parley) };
}
