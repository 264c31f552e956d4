import {
  DefaultReconnectPolicy,
  DisconnectReason,
  type LocalAudioTrack,
  type RemoteParticipant,
  type RemoteTrack,
  Room,
  RoomEvent,
  Track,
} from "livekit-client";
import { isLoopback } from "../lib/loopback.ts";

/** What a call reports to its owner. After `close` it reports nothing. */
export interface CallListener {
  onReconnecting: () => void;
  onReconnected: () => void;
  /** LiveKit gave up or ended the call, which is closed by now. */
  onDisconnected: (cause: DisconnectCause) => void;
  onAgentPresence: (present: boolean) => void;
  /** Whether the browser refuses to play sound until the person clicks. */
  onSoundBlocked: (blocked: boolean) => void;
}

/** `moved`: the same identity joined elsewhere. `room_closed`: the server ended the room. */
export type DisconnectCause = "moved" | "room_closed" | "connection";

/** About 23 s in all. LiveKit's default is twice as long, and nobody can talk meanwhile. */
const RECONNECT_DELAYS_MS = [0, 300, 1200, 2700, 4800, 7000, 7000];

/** One stay in a LiveKit room: publishes the microphone and plays the other participants' audio. */
export class Call {
  readonly #room = new Room({
    // The page itself leaves on `pagehide`: `beforeunload` also fires for downloads.
    disconnectOnPageLeave: false,
    stopLocalTrackOnUnpublish: true,
    reconnectPolicy: new DefaultReconnectPolicy(RECONNECT_DELAYS_MS),
  });
  readonly #listener: CallListener;
  readonly #audio: HTMLElement;
  #closed = false;

  /**
   * Must run inside the click on Start: Safari lets a page play sound only if it unlocks the audio
   * there, before anything is awaited.
   */
  constructor(audio: HTMLElement, listener: CallListener) {
    this.#audio = audio;
    this.#listener = listener;
    this.#listen();
    // Refused without a click (after a reload). AudioPlaybackStatusChanged reports it once there
    // is audio.
    void this.startAudio().catch(() => undefined);
  }

  /** Joins the room. Rejects if that fails or if the call is closed meanwhile. */
  async connect(url: string, token: string): Promise<void> {
    await this.#room.connect(url, token, { maxRetries: 1 });
  }

  /** Publishes the microphone. From then on the room stops the track when it is left. */
  async publish(microphone: LocalAudioTrack): Promise<void> {
    await this.#room.localParticipant.publishTrack(microphone, {
      source: Track.Source.Microphone,
      dtx: true,
      red: true,
    });
  }

  /** Plays the room's audio. Inside a click this also lifts the browser's block. */
  async startAudio(): Promise<void> {
    await this.#room.startAudio();
  }

  /** Mutes what is played at once; `close` takes longer. */
  silence(): void {
    for (const element of this.#audio.querySelectorAll("audio")) element.muted = true;
  }

  /** Leaves the room and releases everything. Safe to call at any time and more than once. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#room.removeAllListeners();
    await this.#room.disconnect(true);
    this.#audio.replaceChildren();
  }

  #listen(): void {
    const { onReconnecting, onReconnected, onSoundBlocked } = this.#listener;
    this.#room
      .on(RoomEvent.SignalReconnecting, onReconnecting)
      .on(RoomEvent.Reconnecting, onReconnecting)
      .on(RoomEvent.Reconnected, onReconnected)
      .on(RoomEvent.AudioPlaybackStatusChanged, () => onSoundBlocked(!this.#room.canPlaybackAudio))
      .on(RoomEvent.TrackSubscribed, (track, _publication, from) => this.#play(track, from))
      .on(RoomEvent.TrackUnsubscribed, (track) => {
        for (const element of track.detach()) element.remove();
      })
      .on(RoomEvent.ParticipantConnected, (participant) => {
        if (participant.isAgent) this.#listener.onAgentPresence(true);
      })
      .on(RoomEvent.ParticipantDisconnected, (participant) => {
        if (participant.isAgent) this.#listener.onAgentPresence(false);
      })
      .on(RoomEvent.Disconnected, (reason) => this.#disconnected(reason));
  }

  #play(track: RemoteTrack, from: RemoteParticipant): void {
    if (track.kind !== Track.Kind.Audio) return;
    const element = track.attach();
    element.dataset["identity"] = from.identity;
    element.dataset["agent"] = String(from.isAgent);
    this.#audio.append(element);
  }

  #disconnected(reason: DisconnectReason | undefined): void {
    if (this.#closed) return;
    void this.close();
    this.#listener.onDisconnected(causeOf(reason));
  }
}

function causeOf(reason: DisconnectReason | undefined): DisconnectCause {
  switch (reason) {
    case DisconnectReason.DUPLICATE_IDENTITY:
      return "moved";
    case DisconnectReason.ROOM_CLOSED:
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.PARTICIPANT_REMOVED:
      return "room_closed";
    default:
      return "connection";
  }
}

/**
 * The LiveKit URL to connect to from this page. Parley knows its embedded server by a loopback
 * address; a page that was opened by another host name must use that name instead.
 *
 * @param pageHost `location.hostname`
 */
export function liveKitUrlFor(url: string, pageHost: string): string {
  const parsed = new URL(url);
  if (!isLoopback(parsed.hostname) || isLoopback(pageHost)) return url;
  parsed.hostname = pageHost;
  return parsed.href;
}
