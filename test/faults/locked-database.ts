import { Database } from "bun:sqlite";
import { join } from "node:path";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { within } from "../e2e/wait.ts";
import { providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, lostIn, seenIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// Another program, such as a backup or somebody's sqlite3, locks the database.

/** A conversation whose voice stands still for longer has stopped, ms. */
const LONGEST_STALL_MS = 2000;

export const faults: Fault[] = [3, 30].map((seconds) => ({
  what: `another program locks the database for ${seconds} s`,
  run: () => locked(seconds * 1000),
}));

async function locked(ms: number): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const env = { ...providerEnv(ai.url, false), ...livekit.env };
  const parley = opening.use(await startParley({ env }));
  const conversation = opening.use(await Conversation.begin(parley, { joined: true }));
  await conversation.turn("Before it is locked.");
  const { now } = conversation;
  using other = new Database(join(parley.dataDir, "parley.db"));
  const isLocked = tryToLock(other);
  const released = Bun.sleep(ms);
  const from = Date.now();
  await conversation.type("While it is locked.");
  const heard = conversation.caller?.hears(from) ?? Promise.reject();
  const stallMs = Math.round(await parley.longestStall(released, 20));
  await within("the agent is heard", heard);
  if (stallMs > LONGEST_STALL_MS) throw new Error(`Parley stood still for ${stallMs} ms`);

  const healed = performance.now();
  if (isLocked) other.run("COMMIT");
  await conversation.answer(now);
  await conversation.turn("After it was locked.");
  const backMs = performance.now() - healed;
  const seen = isLocked
    ? `the answer is heard, and written once the lock is gone; seen: ${seenIn(conversation.events)}`
    : "nothing: Parley lets nobody lock it";
  if ((await conversation.stop()) !== 200) throw new Error("it cannot be stopped");
  return { seen, backMs, lost: await lostIn(conversation, parley) };
}

/** @returns false when Parley's own lock keeps others out */
function tryToLock(database: Database): boolean {
  // Parley may be writing right now.
  database.run("PRAGMA busy_timeout = 5000");
  try {
    database.run("BEGIN EXCLUSIVE");
    return true;
  } catch {
    return false;
  }
}
