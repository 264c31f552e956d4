import { isOpenAi, type ProviderEndpoint } from "../domain/stage.ts";
import { fieldOf, isObject, parseJson } from "../lib/json.ts";
import { pcmBytes } from "../lib/wav.ts";
import { authorization } from "./authorization.ts";
import { MAX_UNREAD } from "./realtime-model-connection.ts";

/** Sample rate of the protocol's audio, in Hz. */
export const REALTIME_RATE = 24_000;
/** Audio leaves in parts of 50 ms. */
const PART_SAMPLES = REALTIME_RATE / 20;
/** How often a silent server is asked whether it is still there, in ms. */
const HEARTBEAT_MS = 10_000;

/** These models hear the end of speech by their client only, and refuse the field for it. */
const WITHOUT_TURN_DETECTION = /^gpt-(?:realtime-whisper|live-transcribe)/;
/** These models take several languages. */
const WITH_LANGUAGES = /^gpt-(?:live-)?transcribe/;

export interface TranscriptionOptions extends ProviderEndpoint {
  model: string;
  /** The language that is spoken (ISO 639-1); null: the server detects it. */
  language: string | null;
  /** Words to expect, as a text. */
  prompt?: string | undefined;
}

export interface TranscriptionHandlers {
  onOpen(): void;
  /** The text so far of the audio that is transcribed. */
  onPart(text: string): void;
  /** The transcript of a commit, in their order; empty if there was nothing to hear. */
  onTranscript(text: string, language: string | undefined): void;
}

/** Why a connection ended. */
export interface ConnectionEnd {
  /** It may hold the server's own words. */
  error: unknown;
  /** Whether the server itself refused, and was not just away. */
  isRefusal: boolean;
  /** How long it was open, in ms; undefined if it never was. */
  openMs: number | undefined;
}

/** One connection to a server that transcribes in real time, by OpenAI's protocol. */
export class TranscriptionConnection {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<ConnectionEnd>;
  readonly #end: (end: ConnectionEnd) => void;
  readonly #socket: WebSocket;
  readonly #handlers: TranscriptionHandlers;
  #timer: ReturnType<typeof setTimeout>;
  #openedAt: number | undefined;
  #isClosed = false;
  #part = new Int16Array(PART_SAMPLES);
  #partLength = 0;
  /** The item that is transcribed, and its text so far. */
  #item: unknown;
  #text = "";
  /** Items whose transcript is awaited, in the order of their commits. */
  #committed: unknown[] = [];
  /** Transcripts that came before that of an earlier item. */
  readonly #early = new Map<unknown, { text: string; language: string | undefined }>();
  /** Whether the server answers pings, and whether anything came since the last one. */
  #answersPings = false;
  #isAlive = true;

  /** @param openMs how long the server may take to open the connection */
  constructor(options: TranscriptionOptions, handlers: TranscriptionHandlers, openMs: number) {
    const { promise, resolve } = Promise.withResolvers<ConnectionEnd>();
    this.ended = promise;
    this.#end = resolve;
    this.#handlers = handlers;
    const headers = { ...authorization(options) };
    const socket = new WebSocket(realtimeUrl(options.baseURL, options.model), { headers });
    this.#socket = socket;
    this.#timer = setTimeout(() => this.close(new Error("timed out")), openMs);
    let error = new Error("the connection closed");
    socket.onopen = () => {
      this.#send(sessionUpdate(options));
      this.#opened();
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.addEventListener("pong", () => {
      this.#answersPings = true;
      this.#isAlive = true;
    });
    socket.onerror = (event) => {
      error = refusal(event) ?? error;
    };
    socket.onclose = () => this.close(error, isStatusOfRefusal(error));
  }

  get isOpen(): boolean {
    return this.#openedAt !== undefined && !this.#isClosed;
  }

  /** Sends audio at `REALTIME_RATE`; the connection is open. */
  append(samples: Int16Array): void {
    for (let at = 0; at < samples.length; ) {
      const taken = samples.subarray(at, at + PART_SAMPLES - this.#partLength);
      this.#part.set(taken, this.#partLength);
      this.#partLength += taken.length;
      at += taken.length;
      if (this.#partLength === PART_SAMPLES) this.#sendPart();
    }
  }

  /** Has the audio since the last commit transcribed; the connection is open. */
  commit(): void {
    if (this.#partLength > 0) this.#sendPart();
    this.#send({ type: "input_audio_buffer.commit" });
  }

  /** Closes without waiting for the server, which may hang. */
  close(error: unknown = new Error("closed"), isRefusal = false): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket.terminate();
    const openMs = this.#openedAt === undefined ? undefined : performance.now() - this.#openedAt;
    this.#end({ error, isRefusal, openMs });
  }

  #opened(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setInterval(() => this.#checkServer(), HEARTBEAT_MS);
    this.#openedAt = performance.now();
    this.#handlers.onOpen();
  }

  /** A connection whose other end is gone without a word looks like one on which nobody speaks. */
  #checkServer(): void {
    if (this.#answersPings && !this.#isAlive) {
      this.close(new Error("timed out"));
      return;
    }
    this.#isAlive = false;
    this.#socket.ping();
  }

  #sendPart(): void {
    const audio = Buffer.from(pcmBytes(this.#part.subarray(0, this.#partLength)));
    this.#partLength = 0;
    this.#send({ type: "input_audio_buffer.append", audio: audio.toString("base64") });
    if (this.#socket.bufferedAmount > MAX_UNREAD) this.close(new Error("timed out"));
  }

  #send(event: object): void {
    if (!this.#isClosed) this.#socket.send(JSON.stringify(event));
  }

  #received(data: unknown): void {
    this.#isAlive = true;
    const event = eventIn(data);
    switch (event?.["type"]) {
      case undefined:
        this.close(new Error("unknown protocol"), true);
        return;
      case "input_audio_buffer.committed":
        this.#committed.push(event["item_id"]);
        return;
      case "conversation.item.input_audio_transcription.delta":
        if (event["item_id"] !== this.#item) this.#text = "";
        this.#item = event["item_id"];
        this.#text += String(event["delta"] ?? "");
        this.#handlers.onPart(this.#text);
        return;
      case "conversation.item.input_audio_transcription.completed":
        this.#completed(event["item_id"], String(event["transcript"] ?? ""), languageOf(event));
        return;
      case "conversation.item.input_audio_transcription.failed":
        this.close({ error: event["error"] }, true);
        return;
      case "error":
        // Nothing was committed, so there is nothing to transcribe.
        if (fieldOf(event["error"], "code") === "input_audio_buffer_commit_empty") {
          this.#handlers.onTranscript("", undefined);
        } else this.close({ error: event["error"] ?? "error" }, true);
    }
  }

  /** Transcripts of later items may come first. */
  #completed(item: unknown, text: string, language: string | undefined): void {
    this.#text = "";
    if (!this.#committed.includes(item)) {
      this.#handlers.onTranscript(text, language);
      return;
    }
    this.#early.set(item, { text, language });
    for (;;) {
      const [next] = this.#committed;
      const transcript = this.#early.get(next);
      if (transcript === undefined) return;
      this.#early.delete(next);
      this.#committed.shift();
      this.#handlers.onTranscript(transcript.text, transcript.language);
    }
  }
}

/** The address of a server's realtime transcription. OpenAI itself takes no model there. */
export function realtimeUrl(baseURL: string, model: string): URL {
  const url = new URL(`${baseURL.replace(/^http/, "ws")}/realtime`);
  url.searchParams.set("intent", "transcription");
  if (!isOpenAi(baseURL)) url.searchParams.set("model", model);
  return url;
}

/** The first message: what to transcribe. The client itself commits the audio. */
export function sessionUpdate({
  model,
  language,
  prompt,
}: Pick<TranscriptionOptions, "model" | "language" | "prompt">): object {
  const format = { type: "audio/pcm", rate: REALTIME_RATE };
  const spoken = WITH_LANGUAGES.test(model) ? { languages: [language] } : { language };
  const transcription = {
    model,
    ...(prompt === undefined ? {} : { prompt }),
    ...(language === null ? {} : spoken),
  };
  const detection = WITHOUT_TURN_DETECTION.test(model) ? {} : { turn_detection: null };
  const input = { format, transcription, ...detection };
  return { type: "session.update", session: { type: "transcription", audio: { input } } };
}

function eventIn(data: unknown): Record<string, unknown> | undefined {
  const event = typeof data === "string" ? parseJson(data) : undefined;
  return isObject(event) ? event : undefined;
}

function languageOf(event: Record<string, unknown>): string | undefined {
  const languages = event["languages"];
  const code = Array.isArray(languages) ? fieldOf(languages[0], "code") : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Why a WebSocket did not open, as far as its error says so. */
function refusal(event: Event): Error | undefined {
  const message = fieldOf(event, "message");
  if (typeof message !== "string") return undefined;
  const [, status] = /status code: (\d{3})/.exec(message) ?? [];
  const error = new Error(message);
  return status === undefined ? error : Object.assign(error, { status: Number(status) });
}

/**
 * Whether a server refused the connection for a reason that will not pass in a moment. 500 is a
 * defect of the server itself; what is in front of one that is away answers 502 to 504.
 */
function isStatusOfRefusal(error: Error): boolean {
  const status = Number(fieldOf(error, "status"));
  if (status === 500) return true;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
