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

/** What a call tells its owner. Nothing is told once it was closed. */
export interface CallListener {
  onReconnecting: () => void;
  onReconnected: () => void;
  /** LiveKit gave up or ended the call; it is closed already. */
  onLost: (cause: CallLoss) => void;
  onAgent: (present: boolean) => void;
  onSoundBlocked: (blocked: boolean) => void;
}

/** `moved`: the same identity joined elsewhere. `room_closed`: the server ended the room. */
export type CallLoss = "moved" | "room_closed" | "connection";

/** Half a minute of trying; LiveKit's own default is twice as long, in which nobody talks. */
const RECONNECT_PAUSES = [0, 300, 1200, 2700, 4800, 7000, 7000];

/** One stay in a LiveKit room: the microphone goes out, the others' audio is played. */
export class Call {
  readonly #room = new Room({
    // We leave on `pagehide` ourselves: `beforeunload` also fires for downloads.
    disconnectOnPageLeave: false,
    stopLocalTrackOnUnpublish: true,
    reconnectPolicy: new DefaultReconnectPolicy(RECONNECT_PAUSES),
  });
  readonly #listener: CallListener;
  readonly #audio: HTMLElement;
  #closed = false;

  /**
   * To be made inside the tap on Start: Safari lets a page play sound only when the audio is
   * unlocked there, before anything is awaited.
   */
  constructor(audio: HTMLElement, listener: CallListener) {
    this.#audio = audio;
    this.#listener = listener;
    this.#listen();
    // Refused without a tap (a reload): AudioPlaybackStatusChanged says so once there is audio.
    void this.startAudio().catch(() => undefined);
  }

  /** Joins the room. Rejects when it cannot, or when the call is closed meanwhile. */
  async connect(url: string, token: string): Promise<void> {
    await this.#room.connect(url, token, { maxRetries: 1 });
  }

  /** Publishes the microphone; the call owns the track from here on. */
  async publish(microphone: LocalAudioTrack): Promise<void> {
    await this.#room.localParticipant.publishTrack(microphone, {
      source: Track.Source.Microphone,
      dtx: true,
      red: true,
    });
  }

  /** Plays the room's audio; inside a tap this also lifts the browser's block. */
  async startAudio(): Promise<void> {
    await this.#room.startAudio();
  }

  /** Stops the sound at once, ahead of `close`. */
  silence(): void {
    for (const element of this.#audio.querySelectorAll("audio")) element.muted = true;
  }

  /** Leaves the room and lets go of everything. Safe to call at any time and more than once. */
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
        if (participant.isAgent) this.#listener.onAgent(true);
      })
      .on(RoomEvent.ParticipantDisconnected, (participant) => {
        if (participant.isAgent) this.#listener.onAgent(false);
      })
      .on(RoomEvent.Disconnected, (reason) => this.#lost(reason));
  }

  #play(track: RemoteTrack, from: RemoteParticipant): void {
    if (track.kind !== Track.Kind.Audio) return;
    const element = track.attach();
    element.dataset["identity"] = from.identity;
    element.dataset["agent"] = String(from.isAgent);
    this.#audio.append(element);
  }

  #lost(reason: DisconnectReason | undefined): void {
    if (this.#closed) return;
    void this.close();
    this.#listener.onLost(lossOf(reason));
  }
}

function lossOf(reason: DisconnectReason | undefined): CallLoss {
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
