import {
  AudioStream,
  type RemoteParticipant,
  type RemoteTrack,
  type RemoteTrackPublication,
  Room,
  RoomEvent,
} from "@livekit/rtc-node";
import { grantIn } from "../caller.ts";
import { Vocabulary } from "../stand-in/recognise.ts";
import { type Phrase, textOf } from "../stand-in/template.ts";
import { within } from "./wait.ts";

const RATE = 24_000;
/** WebRTC counts samples at this rate, whatever the rate of a stream. */
const WEBRTC_RATE = 48_000;
/** Sound is in the recording this long after it was played, on a machine that is not late. */
const TRANSIT_MS = 1000;

/** The identity under which recorders join; no test gives it to a person. */
export const RECORDER = "recorder";

/** What a person said, and what of it a room received. */
export interface Account {
  said: string[];
  /** The words of the recording, as the stand-in's recogniser understands them. */
  received: string;
  /** Sound that the receiver made up, since packets were late or lost. */
  concealedMs: number;
}

/**
 * Records what a room receives of one person's voice. It joins as a participant who says nothing,
 * so it gets the same packets as the agent.
 */
export class RoomRecorder implements AsyncDisposable {
  readonly #room = new Room();
  readonly #identity: string;
  readonly #parts: Int16Array[] = [];
  readonly #started = Promise.withResolvers<void>();
  readonly #said: Phrase[] = [];
  #saidUntil = 0;
  #concealedMs = 0;

  private constructor(identity: string) {
    this.#identity = identity;
  }

  /** Joins a room of a Parley as anybody can. @param as the recorder's own identity */
  static async in(
    parley: Parameters<typeof grantIn>[0],
    room: string,
    identity: string,
    as = RECORDER,
  ): Promise<RoomRecorder> {
    const { server_url, participant_token } = await grantIn(parley, room, as);
    return RoomRecorder.join(server_url, participant_token, identity);
  }

  /** Joins with a token and resolves once the person's sound arrives. */
  static async join(url: string, token: string, identity: string): Promise<RoomRecorder> {
    const recorder = new RoomRecorder(identity);
    const room = recorder.#room;
    room.on(RoomEvent.TrackPublished, (track, from) => recorder.#subscribe(track, from));
    room.on(RoomEvent.TrackSubscribed, (track) => void recorder.#record(track));
    await room.connect(url, token, { autoSubscribe: false, dynacast: false });
    for (const participant of room.remoteParticipants.values()) {
      for (const track of participant.trackPublications.values()) {
        recorder.#subscribe(track, participant);
      }
    }
    await within(`the voice of ${identity}`, recorder.#started.promise);
    return recorder;
  }

  /** Notes that the person begins to say something. */
  noteSaid(phrase: Phrase): void {
    if (textOf(phrase) !== "") this.#said.push(phrase);
    this.#saidUntil = Number.POSITIVE_INFINITY;
  }

  /** Notes that the person has ended what they said; ms since the epoch. */
  noteSilent(at: number): void {
    this.#saidUntil = at;
  }

  /** What was said so far, and what arrived of it. */
  async account(): Promise<Account> {
    await this.#settle();
    const received = this.understood(this.#said);
    return { said: this.#said.map(textOf), received, concealedMs: Math.round(this.#concealedMs) };
  }

  /** The words of these phrases that the recording has so far. */
  understood(phrases: readonly Phrase[]): string {
    return new Vocabulary(phrases).recognise(this.#recording(), RATE);
  }

  /** Waits until the end of what was said had time to arrive, and reads the receiver's figures. */
  async #settle(): Promise<void> {
    if (!this.#room.isConnected) return;
    const left = this.#saidUntil + TRANSIT_MS - Date.now();
    if (left > 0 && left <= TRANSIT_MS) await Bun.sleep(left);
    this.#concealedMs = await concealedMs(this.#room).catch(() => this.#concealedMs);
  }

  #recording(): Int16Array {
    const pcm = new Int16Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      pcm.set(part, at);
      at += part.length;
    }
    return pcm;
  }

  #subscribe(track: RemoteTrackPublication, from: RemoteParticipant): void {
    if (from.identity === this.#identity) track.setSubscribed(true);
  }

  async #record(track: RemoteTrack): Promise<void> {
    for await (const frame of new AudioStream(track, RATE, 1)) {
      this.#parts.push(frame.data);
      this.#started.resolve();
    }
  }

  /** Leaves the room; the recording stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settle();
    await this.#room.disconnect();
  }
}

/** Of all streams that a room receives: https://www.w3.org/TR/webrtc-stats/#dom-rtcinboundrtpstreamstats-concealedsamples */
async function concealedMs(room: Room): Promise<number> {
  const { publisherStats, subscriberStats } = await room.getRtcStats();
  let samples = 0;
  for (const { stats } of [...publisherStats, ...subscriberStats]) {
    if (stats.case !== "inboundRtp") continue;
    const { concealedSamples = 0n, silentConcealedSamples = 0n } = stats.value.inbound ?? {};
    samples += Number(concealedSamples - silentConcealedSamples);
  }
  return (samples / WEBRTC_RATE) * 1000;
}
