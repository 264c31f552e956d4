import "./zod-without-eval.ts";

import { type Envelope, envelope } from "../domain/transcript.ts";

export interface TranscriptSocketOptions {
  /** `ws://host/ws/transcript/ID`, without a query. */
  url: string;
  /** Each envelope once, in order. */
  onEnvelope: (envelope: Envelope) => void;
  /** The connection is up. */
  onOpen: () => void;
  /** The connection is down and try number `attempt` follows after a pause. */
  onRetry: (attempt: number) => void;
  /** The server closed it with 1000: the session is over. */
  onEnd: () => void;
  /**
   * Whether to ask for every event from the first on, as for a session that has just begun: what
   * it met meanwhile, an error for example, is news. Else its final form is asked for.
   */
  fromStart?: boolean;
  /** First pause and longest pause, ms. */
  backOff?: { first: number; longest: number };
  random?: () => number;
}

const NORMAL_CLOSURE = 1000;

/**
 * The transcript's WebSocket, which comes back by itself. Each time it does it asks for what came
 * after the last envelope it saw, and drops what it has seen, so that no line is lost or doubled.
 */
export class TranscriptSocket {
  readonly #options: TranscriptSocketOptions;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastSeq = 0;
  #attempt = 0;
  #closed = false;

  constructor(options: TranscriptSocketOptions) {
    this.#options = options;
    globalThis.addEventListener?.("online", this.#hurry);
    this.#connect();
  }

  /** The highest `seq` seen; 0 before the first envelope. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Closes for good; nothing is called back afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#hurry);
    this.#socket?.close(NORMAL_CLOSURE);
    this.#socket = undefined;
  }

  #connect(): void {
    const whole = this.#lastSeq === 0 && this.#options.fromStart !== true;
    const after = whole ? "" : `?after=${this.#lastSeq}`;
    const socket = new WebSocket(`${this.#options.url}${after}`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (this.#current(socket)) this.#options.onOpen();
    });
    socket.addEventListener("message", (event) => {
      if (this.#current(socket)) this.#receive(event.data);
    });
    socket.addEventListener("close", (event) => {
      if (this.#current(socket)) this.#lost(event.code);
    });
  }

  /** Events of a socket that was let go of are nobody's business any more. */
  #current(socket: WebSocket): boolean {
    return !this.#closed && this.#socket === socket;
  }

  #receive(data: unknown): void {
    const message = parse(data);
    if (message === undefined || message.seq <= this.#lastSeq) return;
    this.#lastSeq = message.seq;
    // Only a connection that delivers counts as recovered: one that is accepted and dropped at
    // once must not reset the pause to its shortest.
    this.#attempt = 0;
    this.#options.onEnvelope(message);
  }

  #lost(code: number): void {
    this.#socket = undefined;
    if (code === NORMAL_CLOSURE) {
      this.close();
      this.#options.onEnd();
      return;
    }
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), this.#pause());
    this.#options.onRetry(this.#attempt);
  }

  /** Exponential with jitter over its upper half, so that many clients do not come back at once. */
  #pause(): number {
    const { first, longest } = this.#options.backOff ?? { first: 250, longest: 8000 };
    const full = Math.min(longest, first * 2 ** (this.#attempt - 1));
    return full * (0.5 + 0.5 * (this.#options.random ?? Math.random)());
  }

  /** The network came back: do not sit out the pause. */
  readonly #hurry = (): void => {
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
