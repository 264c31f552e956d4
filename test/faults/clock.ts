import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../database.ts";
import { ended } from "../e2e/environment.ts";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { within } from "../e2e/wait.ts";
import { providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn, seenIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// Somebody, or a time server, sets the clock back by an hour in the middle of conversations.

const IDLE_MINUTES = 0.4;
const MOST_MINUTES = 0.8;
const HOUR_S = 3600n;
/** A person says something this often, which is more often than the idle limit asks for. */
const TALK_MS = 3000;

export const faults: Fault[] = [{ what: "the clock is set back by an hour", run: setBack }];

async function setBack(): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const clock = opening.use(new Clock());
  const env = {
    ...providerEnv(ai.url, false),
    ...livekit.env,
    SESSION_IDLE_MINUTES: String(IDLE_MINUTES),
    SESSION_MAX_MINUTES: String(MOST_MINUTES),
    ...clock.env,
  };
  const parley = opening.use(await startParley({ env }));
  const [talks, rests] = [await Conversation.begin(parley), await Conversation.begin(parley)];
  opening.use(talks);
  opening.use(rests);
  await talks.turn("Turn 0.");
  await rests.turn("Only this.");
  clock.set(-HOUR_S);

  const refused = talkOn(talks);
  await within("the time limit", ended(talks.listener, "time_limit"));
  await within("the idle limit", ended(rests.listener, "idle"));
  const codes = [await closeCode(talks.listener), await closeCode(rests.listener)];
  await assertOrder(talks).catch(async (cause) => {
    throw new Error(`typing ended with ${await refused}`, { cause });
  });
  const healed = performance.now();
  clock.set(0n);
  const next = opening.use(await Conversation.begin(parley, { room: talks.room }));
  await next.turn("After it was set right.");
  const backMs = performance.now() - healed;
  const seen = [talks, rests].map(({ events }) => seenIn(events)).join(" and ");
  const lost = [talks, rests, next].map((conversation) => lostIn(conversation, parley));
  return {
    seen: `${seen}; close codes ${codes.join(" and ")}`,
    backMs,
    lost: (await Promise.all(lost)).flat(),
  };
}

/** Says something again and again until the conversation ends, or refuses it; what ended it. */
async function talkOn(conversation: Conversation): Promise<unknown> {
  const over = conversation.listener.closed.then(({ code }) => `close code ${code}`);
  const talking = async () => {
    for (let turn = 1; conversation.listener.isOpen; turn++) {
      await conversation.turn(`Turn ${turn}.`);
      await Bun.sleep(TALK_MS);
    }
  };
  return Promise.race([over, talking().catch((refusal: unknown) => refusal)]);
}

/** The clock on the wall of a process, which can be set. */
class Clock implements Disposable {
  readonly env: Record<string, string>;
  readonly #open = new DisposableStack();
  readonly #offset: number;

  constructor() {
    const folder = this.#open.use(temporaryFolder()).path;
    const [library, offset] = [join(folder, "set-clock.so"), join(folder, "offset")];
    const source = join(import.meta.dir, "set-clock.c");
    const { exitCode, stderr } = Bun.spawnSync(["cc", "-shared", "-fPIC", "-o", library, source]);
    if (exitCode !== 0) throw new Error(`set-clock.c: ${stderr}`);
    this.#offset = openSync(offset, "w");
    this.#open.defer(() => closeSync(this.#offset));
    this.set(0n);
    this.env = { LD_PRELOAD: library, CLOCK_OFFSET_FILE: offset };
  }

  /** @param seconds after the time of the machine */
  set(seconds: bigint): void {
    writeSync(this.#offset, new BigInt64Array([seconds]), 0, BigInt64Array.BYTES_PER_ELEMENT, 0);
  }

  [Symbol.dispose](): void {
    this.#open.dispose();
  }
}

/** What was said later stands later, wherever one reads it. */
async function assertOrder({ parley, id, events }: Conversation): Promise<void> {
  const rises = events.every(({ seq }, index) => seq > (events[index - 1]?.seq ?? 0));
  if (!rises) throw new Error(`events came as ${events.map(({ seq }) => seq)}`);
  for (const format of ["json", "txt", "vtt"]) {
    const text = await (await parley.fetch(`/transcripts/${id}?format=${format}`)).text();
    const turns = [...text.matchAll(/You said: Turn (\d+)/g)].map((match) => Number(match[1]));
    if (turns.length < 2 || turns.some((turn, index) => turn !== index)) {
      throw new Error(`the order of the ${format}: ${turns}`);
    }
  }
}
