import { z } from "zod";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { eventually, within } from "../e2e/wait.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, closeCode, lostIn } from "./conversation.ts";
import { Disk } from "./disk.ts";
import type { Fault, Outcome } from "./fault.ts";

// The disk refuses to write in the middle of conversations.

export const faults: Fault[] = [
  {
    what: "the disk is full",
    short: true,
    run: () => refused("tmpfs", { fail: (disk) => disk.fill(), heal: (disk) => disk.empty() }),
  },
  {
    what: "the disk takes no writes to open files",
    run: () => refused("ext4", { fail: (disk) => disk.refuse(), heal: (disk) => disk.accept() }),
  },
  { what: "the disk is remounted read-only, and repaired while Parley is stopped", run: broken },
];

/** Two conversations on a disk: one goes on while it fails, the other is ended meanwhile. */
interface OnDisk extends AsyncDisposable {
  disk: Disk;
  parley: Parley;
  goesOn: Conversation;
  ends: Conversation;
  startAgain(): Promise<Parley>;
}

async function conversationsOn(kind: "tmpfs" | "ext4"): Promise<OnDisk> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const ai = opening.use(await startStandIn({ realtime: false }));
  const disk = opening.use(new Disk(kind));
  const start = () =>
    startParley({ dataDir: disk.path, env: { ...providerEnv(ai.url, false), ...livekit.env } });
  const parley = opening.use(await start());
  const goesOn = opening.use(await Conversation.begin(parley, { joined: true }));
  const ends = opening.use(await Conversation.begin(parley));
  await goesOn.turn("Before it fails.");
  await ends.turn("Before it fails.");
  const all = opening.move();
  return {
    disk,
    parley,
    goesOn,
    ends,
    startAgain: start,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function refused(
  kind: "tmpfs" | "ext4",
  disk: { fail: (disk: Disk) => void; heal: (disk: Disk) => void },
): Promise<Outcome> {
  await using on = await conversationsOn(kind);
  const { parley, goesOn, ends } = on;
  disk.fail(on.disk);
  const { now } = goesOn;
  const seen = await whileItFails(on);

  const healed = performance.now();
  disk.heal(on.disk);
  await goesOn.answer(now);
  await goesOn.turn("After it failed.");
  const backMs = performance.now() - healed;
  await readiness(parley, "ok");
  if ((await closeCode(ends.listener)) !== 1000) throw new Error("the ended one was not closed");
  const { room } = ends;
  await using next = await Conversation.begin(parley, { room });
  await next.turn("In the room that became free.");
  if ((await goesOn.stop()) !== 200) throw new Error("the conversation cannot be stopped");
  await closeCode(goesOn.listener);
  const lost = [goesOn, ends, next].map((conversation) => lostIn(conversation, parley));
  return { seen, backMs, lost: (await Promise.all(lost)).flat() };
}

async function broken(): Promise<Outcome> {
  await using on = await conversationsOn("ext4");
  const { parley, goesOn, ends } = on;
  const accepted = [...goesOn.accepted];
  await on.disk.break();
  const seen = await whileItFails(on);
  await within("Parley stops", parley.stop());
  const healed = performance.now();
  on.disk.repair();
  await using again = await on.startAgain();
  await using next = await Conversation.begin(again, { room: ends.room });
  await next.turn("After it failed.");
  const backMs = performance.now() - healed;
  // What was accepted meanwhile had no place, and ends with the process; what was sent has not.
  const lost = await lostIn({ ...goesOn, id: goesOn.id, events: goesOn.events, accepted }, again);
  return { seen, backMs, lost: [...lost, ...(await lostIn(ends, again))] };
}

/** Checks what has to work on a disk that takes nothing; answers what a person sees. */
async function whileItFails({ parley, goesOn, ends }: OnDisk): Promise<string> {
  const from = Date.now();
  await goesOn.type("While it fails.");
  await within("the agent is heard", goesOn.caller?.hears(from) ?? Promise.reject());
  const ready = await readiness(parley, "not ok");
  if ((await ends.stop()) !== 200) throw new Error("the conversation cannot be stopped");
  const response = await parley.post("/session", { room: ends.room });
  const { session_id, detail = "it starts" } = answer.parse(await response.json());
  if (response.status === 409) throw new Error(`the room is not free: ${detail}`);
  // The last bytes of a full disk may have room for it.
  if (session_id) await parley.fetch(`/session/${session_id}`, { method: "DELETE" });
  return `/ready: “${ready}”; a new conversation: ${response.status}, “${detail}”`;
}

const answer = z.object({ detail: z.string().optional(), session_id: z.string().optional() });
const checks = z.object({ checks: z.object({ database: z.string() }) });

/** Waits until `/ready` reports that the database works, or that it does not; what it says. */
async function readiness(parley: Parley, state: "ok" | "not ok"): Promise<string> {
  const ask = async () => (await parley.json("/ready", checks)).checks.database;
  return eventually(
    `the database is ${state} at /ready`,
    ask,
    (said) => (said === "ok") === (state === "ok"),
    30_000,
  );
}
