import type { Envelope, TranscriptData } from "../domain/transcript.ts";
import type { Action } from "./conversation.ts";
import { endingProblem, eventProblem, type Problem, TRANSCRIPT_DELAYED } from "./problems.ts";
import { TranscriptSocket, type TranscriptSocketOptions } from "./transcript-socket.ts";

export interface SessionFeedOptions {
  url: string;
  /** Whether the session has just begun, rather than being found again. */
  fresh: boolean;
  dispatch: (action: Action) => void;
  /** `recent`: it happens now rather than being told again after a connect. */
  onTranscript: (data: TranscriptData, recent: boolean) => void;
  /** The session is over. */
  onEnded: (problem: Problem) => void;
  /** The connection is down for a while: the session may be over without our hearing of it. */
  onDoubt: (attempt: number) => void;
  backOff?: TranscriptSocketOptions["backOff"];
}

/** How long a connection may be down before the person is told. */
const PATIENCE = 3000;
/** Older than this at its arrival, an event is told again. */
const RECENT = 5000;

/** What a session tells over its WebSocket, turned into actions of the conversation. */
export class SessionFeed {
  readonly #options: SessionFeedOptions;
  readonly #socket: TranscriptSocket;
  #patience: ReturnType<typeof setTimeout> | undefined;
  /** The unrecoverable error that comes just before an end explains it best. */
  #fatal: Problem | undefined;
  #delayShown = false;

  constructor(options: SessionFeedOptions) {
    this.#options = options;
    this.#socket = new TranscriptSocket({
      url: options.url,
      fromStart: options.fresh,
      onEnvelope: (envelope) => this.#receive(envelope),
      onOpen: () => this.#up(),
      onRetry: (attempt) => this.#down(attempt),
      onEnd: () => options.onDoubt(Number.POSITIVE_INFINITY),
      ...(options.backOff ? { backOff: options.backOff } : {}),
    });
  }

  close(): void {
    clearTimeout(this.#patience);
    this.#socket.close();
  }

  #receive(envelope: Envelope): void {
    const { dispatch, onTranscript, onEnded } = this.#options;
    switch (envelope.type) {
      case "session":
        if (envelope.data.state !== "ended") return;
        this.close();
        onEnded(endingProblem(envelope.data.reason, this.#fatal));
        return;
      case "agent_state":
        dispatch({ type: "agent", state: envelope.data.state });
        return;
      case "speech":
        if (envelope.data.role !== "user") return;
        dispatch({ type: "user_speech", speaking: envelope.data.state === "started" });
        return;
      case "transcript":
        onTranscript(envelope.data, isRecent(envelope.at));
        return;
      case "metrics":
        if (envelope.data.voice_to_voice_ms === null) return;
        dispatch({ type: "latency", ms: envelope.data.voice_to_voice_ms });
        return;
      case "error":
        if (!envelope.data.recoverable) this.#fatal = eventProblem(envelope.data);
        if (isRecent(envelope.at)) {
          dispatch({ type: "notice", problem: eventProblem(envelope.data) });
        }
    }
  }

  #up(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#options.dispatch({ type: "socket", down: false });
    if (this.#delayShown) this.#options.dispatch({ type: "dismiss" });
    this.#delayShown = false;
  }

  #down(attempt: number): void {
    this.#options.dispatch({ type: "socket", down: true });
    this.#patience ??= setTimeout(() => {
      this.#delayShown = true;
      this.#options.dispatch({ type: "notice", problem: TRANSCRIPT_DELAYED });
    }, PATIENCE);
    if (attempt > 1) this.#options.onDoubt(attempt);
  }
}

function isRecent(at: string): boolean {
  return Date.now() - Date.parse(at) < RECENT;
}
