import { pino } from "pino";
import type { Envelope } from "../../src/domain/transcript.ts";
import {
  createRoomService,
  type RoomParticipant,
  type RoomService,
} from "../../src/livekit/rooms.ts";
import { type LiveKitServer, startLiveKitServer } from "../../src/livekit/server-process.ts";
import { ESPEAK_RATE } from "../audio/espeak.ts";
import { resample } from "../audio/resample.ts";
import { speak, utter } from "../audio/speech.ts";
import { AUDIBLE, type Caller, joinRoom, type Spoken } from "../caller.ts";
import { testBinary } from "../livekit-binary.ts";
import type { Listener, Parley } from "../parley.ts";
import { event, startEnvironment, type TestEnvironment } from "./environment.ts";
import { RECORDER, RoomRecorder } from "./room-recorder.ts";
import { saying } from "./spoken.ts";
import { eventually } from "./wait.ts";

const RATE = 48_000;
/** Longer than the pauses between words. */
const SILENT_MS = 400;

/** A Parley whose LiveKit server belongs to the test: it can be asked who is in a room. */
export interface LiveKitFixture extends TestEnvironment {
  livekit: LiveKitServer;
  rooms: RoomService;
}

/** Starts all three and waits until a conversation can begin. */
export async function startLiveKitFixture(
  options: Parameters<typeof startEnvironment>[0],
): Promise<LiveKitFixture> {
  await using opening = new AsyncDisposableStack();
  const logger = pino({ level: "silent" });
  const livekit = opening.use(startLiveKitServer({ binary: () => testBinary(), logger }));
  const { url, apiKey, apiSecret } = livekit;
  const rooms = createRoomService({ url, apiKey, apiSecret });
  const env = { LIVEKIT_URL: url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret };
  await livekit.ready();
  const environment = opening.use(
    await startEnvironment({ ...options, env: { ...env, ...options.env } }),
  );
  await environment.parley.ready();
  const all = opening.move();
  return { ...environment, livekit, rooms, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Who is in a room, but for the test's recorder. */
export async function peopleIn(rooms: RoomService, room: string): Promise<RoomParticipant[]> {
  const present = await rooms.participants(room);
  return present.filter(({ identity }) => identity !== RECORDER);
}

/** Of silence, at 48 kHz. */
const HALF_A_SECOND = new Int16Array(24_000);

/** A participant in a conversation with Parley, and all events of that conversation. */
export class ParticipantCall implements AsyncDisposable {
  readonly parley: Parley;
  readonly room: string;
  readonly id: string;
  readonly caller: Caller;
  readonly listener: Listener;
  /** Records what the room receives of the person's voice. */
  readonly recorder: RoomRecorder;

  private constructor(
    parts: Pick<ParticipantCall, "parley" | "room" | "id" | "caller" | "listener" | "recorder">,
  ) {
    this.parley = parts.parley;
    this.room = parts.room;
    this.id = parts.id;
    this.caller = parts.caller;
    this.listener = parts.listener;
    this.recorder = parts.recorder;
  }

  /** Joins a room of its own and starts a session in it; resolves when the agent listens. */
  static async begin(
    parley: Parley,
    settings: Record<string, unknown> = {},
    identity = "ada",
  ): Promise<ParticipantCall> {
    await using opening = new AsyncDisposableStack();
    const room = `room-${crypto.randomUUID()}`;
    // Parley gives a token before its LiveKit server answers.
    await parley.ready();
    const caller = opening.use(await joinRoom(parley, room, identity));
    const id = await parley.startSession({ room, identity, ...settings });
    const listener = opening.use(await parley.listen(id));
    await event(listener, "the agent is in a state", ({ type }) => type === "agent_state");
    // Who speaks the moment a connection stands is not heard from the first word on.
    await caller.listenedTo();
    const recorder = opening.use(await RoomRecorder.in(parley, room, identity));
    const call = new ParticipantCall({ parley, room, id, caller, listener, recorder });
    await caller.speak(HALF_A_SECOND);
    opening.move();
    return call;
  }

  /** The number of the newest event. */
  get now(): number {
    return this.listener.events.at(-1)?.seq ?? 0;
  }

  /** Says a text in real time. @param caller the person's present connection, if it is a new one */
  say(text: string, caller = this.caller): Promise<Spoken> {
    return this.play(speak(text, { rate: RATE }), text, caller);
  }

  /** Plays 48 kHz audio in real time. @param text the words in it */
  play(samples: Int16Array, text = "", caller = this.caller): Promise<Spoken> {
    return saying(this.recorder, text, () => caller.speak(samples));
  }

  /** The first event after number `after` that fits; a failure lists what came instead. */
  event(what: string, found: (event: Envelope) => boolean, after = 0): Promise<Envelope> {
    return event(this.listener, what, (one) => one.seq > after && found(one));
  }

  /** The next final of somebody after number `after`. */
  async final(role: "user" | "agent", after = 0) {
    const found = ({ type, data }: Envelope) =>
      type === "transcript" && data.role === role && data.final;
    const envelope = await this.event(`a final of the ${role}`, found, after);
    if (envelope.type !== "transcript") throw new Error("not a transcript");
    return { ...envelope.data, seq: envelope.seq };
  }

  /** Waits until the agent reports a state after number `after`. */
  agentIs(state: string, after = 0): Promise<Envelope> {
    const found = ({ type, data }: Envelope) => type === "agent_state" && data.state === state;
    return this.event(`the agent is ${state}`, found, after);
  }

  /** When the agent's audio was audible here between two moments, ms since the epoch. */
  audible(from: number, to = Number.POSITIVE_INFINITY): number[] {
    return this.caller.heard
      .filter(({ at, level }) => at > from && at < to && level > AUDIBLE)
      .map(({ at }) => at);
  }

  /** Waits until the last of the agent's audio has arrived here. */
  async silence(): Promise<void> {
    await eventually(
      "the agent falls silent",
      async () => this.audible(Date.now() - SILENT_MS).length,
      (loud) => loud === 0,
    );
  }

  /** `DELETE /session/:id`. */
  stop(): Promise<Response> {
    return this.parley.fetch(`/session/${this.id}`, { method: "DELETE" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.listener[Symbol.asyncDispose]();
    await this.caller[Symbol.asyncDispose]();
    await this.recorder[Symbol.asyncDispose]();
  }
}

/** A sentence at 48 kHz as one says it, with a silence of `ms` before its word number `at`. */
export function withPause(text: string, at: number, ms: number): Int16Array {
  const { pcm, words } = utter(text);
  const cut = words[at]?.start;
  if (cut === undefined) throw new Error(`"${text}" has no word ${at}: ${JSON.stringify(words)}`);
  const parts = [pcm.subarray(0, cut), pcm.subarray(cut)];
  const [before = new Int16Array(), after = new Int16Array()] = parts.map((part) =>
    resample(part, ESPEAK_RATE, RATE),
  );
  const gap = (RATE * ms) / 1000;
  const whole = new Int16Array(before.length + gap + after.length);
  whole.set(before);
  whole.set(after, before.length + gap);
  return whole;
}
