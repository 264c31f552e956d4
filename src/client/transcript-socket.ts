import "./zod-without-eval.ts";

import { type Envelope, envelope, type TranscriptData } from "../domain/transcript.ts";
import type { Action } from "./conversation.ts";
import {
  endingProblem,
  eventProblem,
  noticeProblem,
  type Problem,
  TRANSCRIPT_DELAYED,
} from "./problems.ts";

export interface SessionFeedOptions {
  url: string;
  /** Whether the session has just started, rather than being found again after a reload. */
  fresh: boolean;
  dispatch: (action: Action) => void;
  /** `recent`: it has just happened, rather than being replayed after a connect. */
  onTranscript: (data: TranscriptData, recent: boolean) => void;
  /** The session is over. */
  onEnded: (problem: Problem) => void;
  /**
   * The connection stays down, so the session may have ended unnoticed.
   *
   * @param retries failed retries so far; infinite if the server closed the connection for good
   */
  onOutage: (retries: number) => void;
}

/** How long a connection may be down before the person is notified. */
const DELAY_NOTICE_MS = 3000;
/** An event that is older than this when it arrives counts as replayed. */
const RECENT_MS = 5000;

/** Turns the events of a session's WebSocket into actions of the conversation. */
export class SessionFeed {
  readonly #options: SessionFeedOptions;
  readonly #socket: TranscriptSocket;
  #delayTimer: ReturnType<typeof setTimeout> | undefined;
  /** The last unrecoverable error; it explains the session's end best. */
  #fatal: Problem | undefined;
  #delayShown = false;

  constructor(options: SessionFeedOptions) {
    this.#options = options;
    this.#socket = new TranscriptSocket({
      url: options.url,
      fromStart: options.fresh,
      onEnvelope: (envelope) => this.#receive(envelope),
      onOpen: () => this.#connected(),
      onRetry: (retry) => this.#disconnected(retry),
      onEnd: () => options.onOutage(Number.POSITIVE_INFINITY),
    });
  }

  close(): void {
    clearTimeout(this.#delayTimer);
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
      case "notice":
        if (!isRecent(envelope.at)) return;
        dispatch({ type: "notice", problem: noticeProblem(envelope.data) });
        return;
      case "error":
        if (!envelope.data.recoverable) this.#fatal = eventProblem(envelope.data);
        if (isRecent(envelope.at) && !envelope.data.repeated) {
          dispatch({ type: "notice", problem: eventProblem(envelope.data) });
        }
    }
  }

  #connected(): void {
    clearTimeout(this.#delayTimer);
    this.#delayTimer = undefined;
    this.#options.dispatch({ type: "socket", down: false });
    if (this.#delayShown) this.#options.dispatch({ type: "dismiss" });
    this.#delayShown = false;
  }

  #disconnected(retry: number): void {
    this.#options.dispatch({ type: "socket", down: true });
    this.#delayTimer ??= setTimeout(() => {
      this.#delayShown = true;
      this.#options.dispatch({ type: "notice", problem: TRANSCRIPT_DELAYED });
    }, DELAY_NOTICE_MS);
    if (retry > 1) this.#options.onOutage(retry);
  }
}

function isRecent(at: string): boolean {
  return Date.now() - Date.parse(at) < RECENT_MS;
}

export interface TranscriptSocketOptions {
  /** `ws://host/ws/transcript/ID`, without a query. */
  url: string;
  /** Called with each envelope once, in order. */
  onEnvelope: (envelope: Envelope) => void;
  /** The connection is up. */
  onOpen: () => void;
  /** The connection is down; retry number `retry` follows after a delay. */
  onRetry: (retry: number) => void;
  /** The server closed it with 1000: the session is over. */
  onEnd: () => void;
  /**
   * Whether to ask for every event from the first one on. A session that has just started needs
   * this: its first error, for example, is news. Otherwise the server sends a snapshot.
   */
  fromStart?: boolean;
  /** First and longest delay before a retry, ms. */
  backOff?: { first: number; longest: number };
  random?: () => number;
}

const NORMAL_CLOSURE = 1000;
const DEFAULT_BACK_OFF_MS = { first: 250, longest: 8000 };

/**
 * The transcript's WebSocket, which reconnects automatically. It then asks for what came after the
 * last envelope it received and drops duplicates, so no line is lost or shown twice. A server that
 * has fewer events than that answers with a snapshot, from which it continues.
 */
export class TranscriptSocket {
  readonly #options: TranscriptSocketOptions;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastSeq = 0;
  /** Whether the current connection has delivered anything. */
  #hasReceived = false;
  #retry = 0;
  #closed = false;

  constructor(options: TranscriptSocketOptions) {
    this.#options = options;
    globalThis.addEventListener?.("online", this.#retryNow);
    this.#connect();
  }

  /** Closes for good. No callback is called afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#retryNow);
    this.#socket?.close(NORMAL_CLOSURE);
    this.#socket = undefined;
  }

  #connect(): void {
    const snapshot = this.#lastSeq === 0 && this.#options.fromStart !== true;
    const query = snapshot ? "" : `?after=${this.#lastSeq}`;
    const socket = new WebSocket(`${this.#options.url}${query}`);
    this.#socket = socket;
    this.#hasReceived = false;
    socket.addEventListener("open", () => {
      if (this.#isCurrent(socket)) this.#options.onOpen();
    });
    socket.addEventListener("message", (event) => {
      if (this.#isCurrent(socket)) this.#receive(event.data);
    });
    socket.addEventListener("close", (event) => {
      if (this.#isCurrent(socket)) this.#disconnected(event.code);
    });
  }

  /** Sockets that were replaced or closed may still fire events, which must be ignored. */
  #isCurrent(socket: WebSocket): boolean {
    return !this.#closed && this.#socket === socket;
  }

  #receive(data: unknown): void {
    const message = parse(data);
    if (message === undefined) return;
    // A server whose log ends before `after`, as after a restored backup, begins with a snapshot.
    if (this.#hasReceived && message.seq <= this.#lastSeq) return;
    this.#hasReceived = true;
    this.#lastSeq = message.seq;
    // Only a connection that delivers counts as recovered: one that is accepted and dropped at
    // once must not reset the delay.
    this.#retry = 0;
    this.#options.onEnvelope(message);
  }

  #disconnected(code: number): void {
    this.#socket = undefined;
    if (code === NORMAL_CLOSURE) {
      this.close();
      this.#options.onEnd();
      return;
    }
    this.#retry += 1;
    this.#timer = setTimeout(() => this.#connect(), this.#retryDelayMs());
    this.#options.onRetry(this.#retry);
  }

  /** Exponential, with jitter over its upper half so that many clients do not return at once. */
  #retryDelayMs(): number {
    const { first, longest } = this.#options.backOff ?? DEFAULT_BACK_OFF_MS;
    const full = Math.min(longest, first * 2 ** (this.#retry - 1));
    return full * (0.5 + 0.5 * (this.#options.random ?? Math.random)());
  }

  /** The network is back, so waiting out the delay would be pointless. */
  readonly #retryNow = (): void => {
    if (this.#socket !== undefined || this.#closed) return;
    clearTimeout(this.#timer);
    this.#connect();
  };
}

function parse(data: unknown): Envelope | undefined {
  if (typeof data !== "string") return undefined;
  try {
    return envelope.safeParse(JSON.parse(data)).data;
  } catch {
    return undefined;
  }
}
