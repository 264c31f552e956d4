import type { LocalAudioTrack } from "livekit-client";
import { createSession, deleteSession, type StartRequest } from "./api.ts";
import type { Call } from "./call.ts";
import type { SessionFeed } from "./transcript-socket.ts";

/** How long ending the session, and leaving the room, may each delay the next start. */
const RELEASE_TIMEOUT_MS = 12_000;
/** How long the end of the session waits for a LiveKit server that does not answer. */
const LEAVE_FIRST_MS = 1000;

/**
 * Everything that one press of Start acquires: the call, the microphone, the session and its feed.
 * It can be released as a whole at any moment, however far the start got. What arrives after that
 * (a permission granted late, a session created late) is released too.
 */
export class Attempt {
  readonly call: Call;
  readonly #abort = new AbortController();
  #microphone: LocalAudioTrack | undefined;
  #feed: SessionFeed | undefined;
  #creating: Promise<string> | undefined;
  #sessionId: string | undefined;
  #releasing: Promise<void> | undefined;

  constructor(call: Call) {
    this.call = call;
  }

  get released(): boolean {
    return this.#releasing !== undefined;
  }

  /** Aborted when the attempt is released. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get microphone(): LocalAudioTrack | undefined {
    return this.#microphone;
  }

  /** Takes over the microphone once it is open. */
  async acquireMicrophone(opening: Promise<LocalAudioTrack>): Promise<LocalAudioTrack> {
    const track = await opening;
    if (this.released) track.stop();
    else this.#microphone = track;
    return track;
  }

  /** `POST /session`. Never aborted, because only its answer has the id that must be deleted. */
  async createSession(request: StartRequest): Promise<string> {
    this.#creating = createSession(request);
    this.#sessionId = await this.#creating;
    return this.#sessionId;
  }

  /** Takes over a session that already exists: the one from before a reload. */
  adoptSession(id: string): void {
    this.#sessionId = id;
  }

  acquireFeed(feed: SessionFeed): void {
    if (this.released) feed.close();
    else this.#feed = feed;
  }

  /**
   * Releases everything: leaves the room, then deletes the session if `endSession`, then closes the
   * WebSocket. The microphone is off at once. Never rejects; every call returns the same promise.
   */
  release(endSession: boolean): Promise<void> {
    this.#releasing ??= this.#release(endSession);
    return this.#releasing;
  }

  async #release(endSession: boolean): Promise<void> {
    this.#abort.abort();
    // Before anything is awaited: the microphone light and the voice must go off with the click.
    this.#microphone?.stop();
    this.call.silence();
    // Before the agent leaves: LiveKit's native library keeps the memory of a room in which others
    // still publish (docs/DESIGN.md, Known limits).
    const leaving = this.call.close();
    await settleWithin(LEAVE_FIRST_MS, leaving);
    if (endSession) await settleWithin(RELEASE_TIMEOUT_MS, this.#endSession());
    this.#feed?.close();
    await settleWithin(RELEASE_TIMEOUT_MS, leaving);
  }

  async #endSession(): Promise<void> {
    const id = this.#sessionId ?? (await this.#creating);
    if (id !== undefined) await deleteSession(id);
  }
}

/** Waits at most `ms` for `work`. Its failure is ignored, so that the rest is still released. */
async function settleWithin(ms: number, work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => undefined), timeout]);
  clearTimeout(timer);
}
