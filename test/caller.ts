import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  type LocalTrackPublication,
  type RemoteTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from "@livekit/rtc-node";
import { z } from "zod";

const RATE = 48_000;
/** LiveKit sends audio in frames of 10 ms; what fills no frame would wait for the next utterance. */
const FRAME_SAMPLES = RATE / 100;
/** Room for a whole utterance. */
const QUEUE_MS = 20_000;

/** When the first and the last sample of an utterance left, ms since the epoch. */
export interface Spoken {
  from: number;
  to: number;
}

/** A stretch of the agent's audio, as the caller received it. */
export interface HeardFrame {
  /** When it arrived, ms since the epoch. */
  at: number;
  /** Root mean square, 0 to 1. */
  level: number;
  /** At 48 kHz. */
  samples: Int16Array;
}

/** Loudness above which a frame counts as audible. */
export const AUDIBLE = 0.01;

const grant = z.object({ server_url: z.string(), participant_token: z.string() });
type Grant = z.infer<typeof grant>;

/** Reads what `/token` answers. */
export function grantFrom(answer: unknown): Grant {
  return grant.parse(answer);
}

/** Asks a Parley for the way into a room, as LiveKit's own clients do. */
export async function grantIn(
  parley: { post(path: string, body: unknown): Promise<Response> },
  room: string,
  identity: string,
): Promise<Grant> {
  const body = { room_name: room, participant_identity: identity };
  return grantFrom(await (await parley.post("/token", body)).json());
}

/** Lets somebody join a room of a Parley. */
export async function joinRoom(
  parley: { post(path: string, body: unknown): Promise<Response> },
  room: string,
  identity: string,
): Promise<Caller> {
  const { server_url, participant_token } = await grantIn(parley, room, identity);
  return Caller.join(server_url, participant_token);
}

/**
 * A person on the phone, without a browser: joins a room, speaks given audio in real time, and
 * notes what of the agent's audio arrives and when.
 *
 * An utterance goes to LiveKit's native queue in one piece. A native thread takes it from there at
 * the pace of speech and sends silence in between, so a busy test process loses and reorders no
 * sample: calls of `captureFrame` that overlap may change places.
 */
export class Caller implements AsyncDisposable {
  readonly room = new Room();
  readonly heard: HeardFrame[] = [];
  readonly #source = new AudioSource(RATE, 1, QUEUE_MS);
  #published: LocalTrackPublication | undefined;
  /** When the queue will be empty, ms since the epoch. */
  #queuedUntil = 0;
  #queueing = Promise.resolve();
  #waiters: { from: number; resolve: (at: number) => void }[] = [];

  /** Joins with a token and publishes a microphone, which is silent until `speak`. */
  static async join(url: string, token: string): Promise<Caller> {
    const caller = new Caller();
    caller.room.on(RoomEvent.TrackSubscribed, (track) => void caller.#listen(track));
    await caller.room.connect(url, token);
    const track = LocalAudioTrack.createAudioTrack("microphone", caller.#source);
    const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
    caller.#published = await caller.room.localParticipant?.publishTrack(track, options);
    return caller;
  }

  /** Resolves when somebody in the room gets the microphone's sound. */
  async listenedTo(): Promise<void> {
    await this.#published?.waitForSubscription();
  }

  /** Speaks 48 kHz mono audio in real time, after what is being said; resolves at its end. */
  async speak(samples: Int16Array): Promise<Spoken> {
    const whole = new Int16Array(Math.ceil(samples.length / FRAME_SAMPLES) * FRAME_SAMPLES);
    whole.set(samples);
    const { promise, resolve, reject } = Promise.withResolvers<Spoken>();
    this.#queueing = this.#queueing.then(async () => {
      const from = Math.max(Date.now(), this.#queuedUntil);
      this.#queuedUntil = from + (whole.length / RATE) * 1000;
      const spoken = { from, to: this.#queuedUntil };
      const frame = new AudioFrame(whole, RATE, 1, whole.length);
      await this.#source.captureFrame(frame).then(() => resolve(spoken), reject);
    });
    const spoken = await promise;
    await Bun.sleep(spoken.to - Date.now());
    return spoken;
  }

  /** When the first audible frame of the agent arrives after `from`, ms since the epoch. */
  hears(from: number): Promise<number> {
    const known = this.heard.find((frame) => frame.at > from && frame.level > AUDIBLE);
    if (known) return Promise.resolve(known.at);
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiters.push({ from, resolve });
    return promise;
  }

  async #listen(track: RemoteTrack): Promise<void> {
    if (track.kind !== TrackKind.KIND_AUDIO) return;
    for await (const frame of new AudioStream(track, RATE, 1)) {
      const at = Date.now();
      const level = loudness(frame.data);
      this.heard.push({ at, level, samples: frame.data });
      if (level <= AUDIBLE) continue;
      const ready = this.#waiters.filter((waiter) => at > waiter.from);
      this.#waiters = this.#waiters.filter((waiter) => at <= waiter.from);
      for (const waiter of ready) waiter.resolve(at);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.room.disconnect();
    await this.#source.close();
  }
}

function loudness(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += (sample / 32_768) ** 2;
  return Math.sqrt(sum / Math.max(1, samples.length));
}
