import { Database } from "bun:sqlite";
import { join } from "node:path";
import type { Envelope } from "../../src/domain/transcript.ts";
import { temporaryFolder } from "../database.ts";
import { liveSessions, storedTranscript } from "../e2e/environment.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { within } from "../e2e/wait.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn, transcripts } from "./conversation.ts";
import { type Fault, type Outcome, type Size, seeded } from "./fault.ts";

// `kill -9` at random moments under load. What clients were sent is compared with what the next
// start finds.

const ROUNDS: Record<Size, number> = { full: 200, short: 10 };
const AT_ONCE = 3;
/** A streamed answer of sixty words takes about this long. */
const LONGEST_MS = 900;
const WORD_MS = 10;
/** One round in this many is killed while its conversations start. */
const DURING_START = 10;

export const faults: Fault[] = [
  {
    what: "Parley is killed (-9) under load, again and again",
    short: true,
    deadlineMs: 420_000,
    run: killAgainAndAgain,
  },
];

async function killAgainAndAgain(size: Size): Promise<Outcome> {
  const seed = Number(Bun.env["FAULT_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`  kill -9, ${ROUNDS[size]} rounds; FAULT_SEED=${seed} repeats them`);
  const random = seeded(seed);
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false, pace: { llm: WORD_MS } }));
  const dataDir = opening.use(temporaryFolder()).path;
  const env = { ...providerEnv(ai.url, false), ...livekit.env };
  const lost: string[] = [];
  const back: number[] = [];
  let finals = 0;
  let interrupted = 0;
  let before: Conversation[] = [];
  for (let round = 0; round <= ROUNDS[size]; round++) {
    const started = performance.now();
    const parley = await within("the next start", startParley({ dataDir, env }));
    back.push(performance.now() - started);
    try {
      assertSound(join(dataDir, "parley.db"));
      for (const conversation of before) {
        lost.push(...(await lostIn(conversation, parley)));
        interrupted += await assertCrashed(conversation, parley);
        finals += transcripts(conversation.events).filter(({ final }) => final).length;
      }
      if ((await liveSessions(parley)).length > 0) throw new Error("a conversation is still live");
      before = round < ROUNDS[size] ? await killDuringLoad(parley, random) : [];
    } catch (cause) {
      throw new Error(`round ${round} of FAULT_SEED=${seed}`, { cause });
    } finally {
      await parley.stop("SIGKILL");
    }
  }
  back.sort((a, b) => a - b);
  const kept = `${finals} finals sent, ${interrupted} half-spoken ones kept`;
  const seen = `close code 1006, then ended as crashed (1000); ${kept}`;
  return { seen, backMs: back.at(-1) ?? 0, lost };
}

/** Lets people talk, kills Parley at a random moment, and answers what clients know. */
async function killDuringLoad(parley: Parley, random: () => number): Promise<Conversation[]> {
  const begun: Conversation[] = [];
  const kill = async (afterMs: number) => {
    await Bun.sleep(afterMs);
    await parley.stop("SIGKILL");
  };
  const begin = Array.from({ length: AT_ONCE }, async () => {
    begun.push(await Conversation.begin(parley));
  });
  if (random() < 1 / DURING_START) {
    const killing = kill(random() * LONGEST_MS);
    // The kill takes the answer from those that still start.
    await Promise.allSettled(begin);
    await killing;
  } else {
    await within("the conversations start", Promise.all(begin));
    const killing = kill(random() * LONGEST_MS);
    await Promise.all(begun.map((conversation) => talkUntilKilled(conversation)));
    await killing;
  }
  for (const { listener } of begun) await closeCode(listener);
  return begun;
}

async function talkUntilKilled(conversation: Conversation): Promise<void> {
  const { listener } = conversation;
  const closed = listener.closed.then(() => true);
  for (let turn = 1; ; turn++) {
    const { now } = conversation;
    const text = `Tell me story ${turn}, please.`;
    const refused = await conversation.type(text).then(
      () => false,
      () => true,
    );
    if (refused) return;
    const answered = listener.waitFor(
      ({ seq, type, data }) =>
        seq > now && type === "transcript" && data.role === "agent" && data.final,
    );
    if (await Promise.race([closed, answered.then(() => false)])) return;
  }
}

function assertSound(path: string): void {
  using database = new Database(path, { readonly: true });
  const found = JSON.stringify([
    database.query("PRAGMA integrity_check").all(),
    database.query("PRAGMA foreign_key_check").all(),
  ]);
  if (found !== '[[{"integrity_check":"ok"}],[]]') throw new Error(`the database: ${found}`);
}

/**
 * Checks how a conversation ended that was running.
 * @returns how many segments were half spoken, and are stored as interrupted now
 */
async function assertCrashed(conversation: Conversation, parley: Parley): Promise<number> {
  const { id, events, now } = conversation;
  const stored = await storedTranscript(parley, id);
  if (stored.end_reason !== "crashed") throw new Error(`${id} ended as ${stored.end_reason}`);
  const whole = await replay(parley, id, 0);
  assertSame(events, whole);
  await replay(parley, id, now);
  const open = openSegments(events);
  for (const [segmentId, text] of open) {
    const final = stored.segments.find((segment) => segment.segment_id === segmentId);
    // Words that were written just before the kill may have reached no client.
    if (!final?.interrupted || !final.text.startsWith(text.trimEnd())) {
      throw new Error(`half spoken "${text}", stored ${JSON.stringify(final)}`);
    }
  }
  return open.size;
}

/** The newest text of each segment that had no final. */
function openSegments(events: readonly Envelope[]): Map<string, string> {
  const open = new Map<string, string>();
  for (const { segment_id, text, final } of transcripts(events)) {
    if (final) open.delete(segment_id);
    else open.set(segment_id, text);
  }
  return open;
}

async function replay(parley: Parley, id: string, after: number): Promise<Envelope[]> {
  await using listener = await within("the WebSocket opens", parley.listen(id, after));
  const code = await closeCode(listener);
  const { events } = listener;
  const last = events.at(-1);
  const isCrash = last?.type === "session" && last.data.reason === "crashed";
  const rises = events.every(({ seq }, index) => seq > (events[index - 1]?.seq ?? after));
  if (code === 1000 && isCrash && rises) return events;
  throw new Error(`the replay after ${after} closed with ${code}: ${JSON.stringify(events)}`);
}

/** What was sent is replayed as it was, but for interims, of which only the newest count. */
function assertSame(sent: readonly Envelope[], replayed: readonly Envelope[]): void {
  const bySeq = new Map(replayed.map((event) => [event.seq, JSON.stringify(event)]));
  for (const event of sent) {
    if (event.type === "transcript" && !event.data.final) continue;
    const now = bySeq.get(event.seq);
    if (now !== JSON.stringify(event)) {
      throw new Error(`sent ${JSON.stringify(event)}, replayed ${now}`);
    }
  }
}
