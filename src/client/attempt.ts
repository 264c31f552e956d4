import type { LocalAudioTrack } from "livekit-client";
import { createSession, deleteSession, type StartRequest } from "./api.ts";
import type { Call } from "./call.ts";
import type { SessionFeed } from "./session-feed.ts";

/** Longest wait for an orderly goodbye before a new start may go ahead, ms. */
const FAREWELL = 12_000;

/**
 * Everything one Start acquires, so that it can be let go of as one, at any moment, however far it
 * got. What arrives after that (a permission given late, a session created late) is let go of too.
 */
export class Attempt {
  readonly call: Call;
  readonly #abort = new AbortController();
  #microphone: LocalAudioTrack | undefined;
  #feed: SessionFeed | undefined;
  #creating: Promise<string> | undefined;
  #sessionId: string | undefined;
  #released: Promise<void> | undefined;

  constructor(call: Call) {
    this.call = call;
  }

  get over(): boolean {
    return this.#released !== undefined;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get microphone(): LocalAudioTrack | undefined {
    return this.#microphone;
  }

  /** Takes the microphone once it is open. */
  async ownMicrophone(opening: Promise<LocalAudioTrack>): Promise<LocalAudioTrack> {
    const track = await opening;
    if (this.over) track.stop();
    else this.#microphone = track;
    return track;
  }

  /** `POST /session`. Never aborted: only its answer tells what there is to delete. */
  async createSession(request: StartRequest): Promise<string> {
    this.#creating = createSession(request);
    this.#sessionId = await this.#creating;
    return this.#sessionId;
  }

  /** A session that exists already, found again after a reload. */
  adoptSession(id: string): void {
    this.#sessionId = id;
  }

  ownFeed(feed: SessionFeed): void {
    if (this.over) feed.close();
    else this.#feed = feed;
  }

  /**
   * Lets go of everything: the session is deleted if `endSession`, then the WebSocket is closed,
   * then the room is left and the microphone goes off. Never rejects; every call gets the same
   * promise.
   */
  release(endSession: boolean): Promise<void> {
    this.#released ??= this.#release(endSession);
    return this.#released;
  }

  async #release(endSession: boolean): Promise<void> {
    this.#abort.abort();
    // The microphone light goes out and the voice falls silent with the tap, whatever else takes
    // its time.
    this.#microphone?.stop();
    this.call.silence();
    if (endSession) await within(FAREWELL, this.#endSession());
    this.#feed?.close();
    await within(FAREWELL, this.call.close());
  }

  async #endSession(): Promise<void> {
    const id = this.#sessionId ?? (await this.#creating);
    if (id !== undefined) await deleteSession(id);
  }
}

/** Waits for `work` at most `ms`; its failure is not a reason to keep anything. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => undefined), timeout]);
  clearTimeout(timer);
}
