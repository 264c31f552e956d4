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
const FRAME_MS = 10;
/** How far ahead of real time the source is filled, so that it never runs dry. */
const LEAD_MS = 20;
const STALL_MS = 100;
const FRAME_SAMPLES = (RATE * FRAME_MS) / 1000;

/** A stretch of the agent's audio, as the caller received it. */
export interface HeardFrame {
  /** When it arrived, ms since the epoch. */
  at: number;
  /** Root mean square, 0 to 1. */
  level: number;
}

/** Loudness above which a frame counts as audible. */
export const AUDIBLE = 0.01;

const grant = z.object({ server_url: z.string(), participant_token: z.string() });

/** Lets somebody join a room of a Parley, as LiveKit's own clients do. */
export async function joinRoom(
  parley: { post(path: string, body: unknown): Promise<Response> },
  room: string,
  identity: string,
): Promise<Caller> {
  const body = { room_name: room, participant_identity: identity };
  const answer = await parley.post("/token", body);
  const { server_url, participant_token } = grant.parse(await answer.json());
  return Caller.join(server_url, participant_token);
}

/**
 * A person on the phone, without a browser: joins a room, speaks given audio in real time, and
 * notes what of the agent's audio arrives and when.
 */
export class Caller implements AsyncDisposable {
  readonly room = new Room();
  readonly heard: HeardFrame[] = [];
  readonly #source = new AudioSource(RATE, 1, 1000);
  #microphone: ReturnType<typeof setInterval> | undefined;
  #published: LocalTrackPublication | undefined;
  #queue: Int16Array[] = [];
  #position = 0;
  #onSpoken: (() => void) | undefined;
  #waiters: { from: number; resolve: (at: number) => void }[] = [];

  /** Joins with a token and publishes a microphone, which is silent until `speak`. */
  static async join(url: string, token: string): Promise<Caller> {
    const caller = new Caller();
    caller.room.on(RoomEvent.TrackSubscribed, (track) => void caller.#listen(track));
    await caller.room.connect(url, token);
    const track = LocalAudioTrack.createAudioTrack("microphone", caller.#source);
    const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
    caller.#published = await caller.room.localParticipant?.publishTrack(track, options);
    caller.#microphone = setInterval(() => caller.#sendFrames(), FRAME_MS / 2);
    return caller;
  }

  /** Resolves when somebody in the room gets the microphone's sound. */
  async listenedTo(): Promise<void> {
    await this.#published?.waitForSubscription();
  }

  /**
   * Speaks 48 kHz mono audio in real time.
   * @returns when its last sample was sent, ms since the epoch
   */
  speak(samples: Int16Array): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#queue.push(samples);
    this.#onSpoken = () => resolve(Date.now() + LEAD_MS);
    return promise;
  }

  /** When the first audible frame of the agent arrives after `from`, ms since the epoch. */
  hears(from: number): Promise<number> {
    const known = this.heard.find((frame) => frame.at > from && frame.level > AUDIBLE);
    if (known) return Promise.resolve(known.at);
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiters.push({ from, resolve });
    return promise;
  }

  #nextFrameAt = 0;

  /** Sends what is due. After a stall it goes on from now: a backlog would delay all that follows. */
  #sendFrames(): void {
    const now = performance.now();
    if (now - this.#nextFrameAt > STALL_MS) this.#nextFrameAt = now;
    for (; this.#nextFrameAt <= now + LEAD_MS; this.#nextFrameAt += FRAME_MS) {
      const frame = new AudioFrame(this.#nextFrame(), RATE, 1, FRAME_SAMPLES);
      void this.#source.captureFrame(frame).catch(() => {});
    }
  }

  #nextFrame(): Int16Array {
    const data = new Int16Array(FRAME_SAMPLES);
    const [current] = this.#queue;
    if (!current) return data;
    data.set(current.subarray(this.#position, this.#position + FRAME_SAMPLES));
    this.#position += FRAME_SAMPLES;
    if (this.#position >= current.length) {
      this.#queue.shift();
      this.#position = 0;
      if (this.#queue.length === 0) this.#onSpoken?.();
    }
    return data;
  }

  async #listen(track: RemoteTrack): Promise<void> {
    if (track.kind !== TrackKind.KIND_AUDIO) return;
    for await (const frame of new AudioStream(track, RATE, 1)) {
      const at = Date.now();
      const level = loudness(frame.data);
      this.heard.push({ at, level });
      if (level <= AUDIBLE) continue;
      const ready = this.#waiters.filter((waiter) => at > waiter.from);
      this.#waiters = this.#waiters.filter((waiter) => at <= waiter.from);
      for (const waiter of ready) waiter.resolve(at);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#microphone);
    await this.room.disconnect();
    await this.#source.close();
  }
}

function loudness(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += (sample / 32_768) ** 2;
  return Math.sqrt(sum / Math.max(1, samples.length));
}
