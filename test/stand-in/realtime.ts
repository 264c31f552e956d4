import { pcmOf } from "../../src/lib/wav.ts";
import { type StandInContext, wordingOf } from "./answer.ts";
import { EnergyVad } from "./energy-vad.ts";
import { type Fault, pause } from "./faults.ts";
import { type LoggedRequest, now } from "./log.ts";
import type { Recogniser } from "./recognise.ts";

/** The connection under a realtime session. */
export interface Wire {
  send(text: string): void;
  /** Breaks the connection without a closing handshake. */
  terminate(): void;
}

/** OpenAI refuses to commit less audio than this. */
const SHORTEST_COMMIT_MS = 100;
const DEFAULT_RATE = 24_000;

/** The stretch of audio between two commits. */
interface Item {
  id: string;
  recogniser: Recogniser;
  /** Words sent as deltas. */
  sent: string[];
  deltas: string[];
  audioMs: number;
  workMs: number;
}

/**
 * One connection of OpenAI's realtime transcription: `session.update`, then audio by
 * `input_audio_buffer.append`, committed by the client or by `server_vad`. Words are sent as
 * deltas while the audio still arrives, as soon as they are certain; what was sent is never taken
 * back. (https://platform.openai.com/docs/guides/realtime-transcription)
 */
export class RealtimeSession {
  readonly #context: StandInContext;
  readonly #wire: Wire;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  #rate = DEFAULT_RATE;
  #vad: { detector: EnergyVad; prefixMs: number } | undefined;
  #model = "";
  readonly #hints: Pick<LoggedRequest, "language" | "prompt"> = {};
  #events = 0;
  #items = 0;
  #previous: string | null = null;
  #item: Item;
  /** Transcripts leave in the order of their commits, whatever their delays. */
  #last: Promise<void> = Promise.resolve();

  constructor(context: StandInContext, wire: Wire, model: string) {
    this.#context = context;
    this.#wire = wire;
    this.#model = model;
    this.#signal = AbortSignal.any([this.#ended.signal, context.closing]);
    this.#item = this.#newItem();
    this.#send("session.created", { session: this.#session() });
  }

  /** Takes a message of the client; one that is malformed or unknown gets an `error` event. */
  receive(text: string): void {
    const event = parseObject(text);
    switch (event?.["type"]) {
      case "session.update":
        this.#update(event["session"]);
        return;
      case "input_audio_buffer.append":
        this.#append(pcmOf(Buffer.from(String(event["audio"]), "base64")));
        return;
      case "input_audio_buffer.commit":
        this.#commit();
        return;
      case "input_audio_buffer.clear":
        this.#item = this.#newItem();
        this.#send("input_audio_buffer.cleared", {});
        return;
      default:
        this.#error(`Unknown event ${String(event?.["type"])}.`, "invalid_event");
    }
  }

  /** Ends what is under way; the connection is gone. */
  close(): void {
    this.#ended.abort();
  }

  #update(session: unknown): void {
    const input = field(field(session, "audio"), "input");
    const rate = field(field(input, "format"), "rate");
    if (typeof rate === "number" && rate !== this.#rate) {
      this.#rate = rate;
      this.#item = this.#newItem();
    }
    const model = field(field(input, "transcription"), "model");
    if (typeof model === "string") this.#model = model;
    for (const name of ["language", "prompt"] as const) {
      const value = field(field(input, "transcription"), name);
      if (typeof value === "string") this.#hints[name] = value;
    }
    const detection = field(input, "turn_detection");
    if (detection === null) this.#vad = undefined;
    else if (detection !== undefined) {
      this.#vad = {
        detector: new EnergyVad(this.#rate, numberIn(detection, "silence_duration_ms", 500)),
        prefixMs: numberIn(detection, "prefix_padding_ms", 300),
      };
    }
    this.#send("session.updated", { session: this.#session() });
  }

  #append(pcm: Int16Array): void {
    const item = this.#item;
    const started = performance.now();
    item.recogniser.push(pcm);
    const words = item.recogniser.certain();
    item.workMs += performance.now() - started;
    item.audioMs += (pcm.length / this.#rate) * 1000;
    this.#sendWords(item, words);
    if (this.#vad === undefined) return;
    for (const { kind, atMs } of this.#vad.detector.push(pcm)) {
      if (kind === "started") {
        const audio_start_ms = Math.max(0, atMs - this.#vad.prefixMs);
        this.#send("input_audio_buffer.speech_started", { item_id: this.#item.id, audio_start_ms });
      } else {
        const audio_end_ms = atMs;
        this.#send("input_audio_buffer.speech_stopped", { item_id: this.#item.id, audio_end_ms });
        this.#commit();
      }
    }
  }

  #commit(): void {
    const item = this.#item;
    if (item.audioMs < SHORTEST_COMMIT_MS) {
      const short = `buffer too small: ${item.audioMs} ms of audio, expected at least 100 ms`;
      this.#error(short, "input_audio_buffer_commit_empty");
      return;
    }
    this.#item = this.#newItem();
    const previous_item_id = this.#previous;
    this.#previous = item.id;
    const entry = this.#context.log.begin("stt", "realtime");
    this.#signal.addEventListener("abort", () => this.#context.log.end(entry, "aborted"), {
      once: true,
    });
    this.#send("input_audio_buffer.committed", { item_id: item.id, previous_item_id });
    const fault = this.#context.controls.take("stt");
    this.#last = this.#last.then(() => this.#complete(item, entry, fault));
  }

  async #complete(item: Item, entry: LoggedRequest, fault: Fault | undefined): Promise<void> {
    const { log, controls } = this.#context;
    const started = performance.now();
    const words = item.recogniser.finish();
    const workMs = item.workMs + performance.now() - started;
    const text = words.join(" ");
    const { deltas, audioMs } = item;
    log.note(entry, { text, workMs, audioMs, model: this.#model, deltas, streaming: true });
    log.note(entry, this.#hints);
    if (fault !== undefined) log.note(entry, { fault: fault.kind });
    if (fault?.kind === "hang") return;
    if (controls.delays.stt > 0 && !(await pause(controls.delays.stt, this.#signal))) return;
    if (fault?.kind === "status") {
      log.note(entry, { status: fault.status });
      log.end(entry, "failed");
      const { message, code } = wordingOf(fault.status);
      return this.#error(message, code);
    }
    if (fault !== undefined) {
      log.end(entry, "failed");
      return this.#wire.terminate();
    }
    this.#sendWords(item, words);
    log.note(entry, { firstByteAt: now() });
    this.#send("conversation.item.input_audio_transcription.completed", {
      item_id: item.id,
      content_index: 0,
      transcript: text,
      usage: { type: "duration", seconds: item.audioMs / 1000 },
    });
    log.end(entry, "done");
  }

  /** Sends the words that were not sent yet, provided that they go on from those that were. */
  #sendWords(item: Item, words: string[]): void {
    if (words.length <= item.sent.length) return;
    if (item.sent.some((word, index) => word !== words[index])) return;
    const fresh = words.slice(item.sent.length).join(" ");
    const delta = item.sent.length === 0 ? fresh : ` ${fresh}`;
    item.sent = words;
    item.deltas.push(delta);
    const what = { item_id: item.id, content_index: 0, delta };
    this.#send("conversation.item.input_audio_transcription.delta", what);
  }

  #newItem(): Item {
    const id = `item_${++this.#items}`;
    const recogniser = this.#context.vocabulary.listen(this.#rate);
    return { id, recogniser, sent: [], deltas: [], audioMs: 0, workMs: 0 };
  }

  #session(): Record<string, unknown> {
    const transcription = { model: this.#model };
    const format = { type: "audio/pcm", rate: this.#rate };
    const turn_detection = this.#vad === undefined ? null : { type: "server_vad" };
    return { type: "transcription", audio: { input: { format, transcription, turn_detection } } };
  }

  #error(message: string, code: string | null): void {
    this.#send("error", { error: { type: "invalid_request_error", code, message, param: null } });
  }

  #send(type: string, data: Record<string, unknown>): void {
    if (this.#signal.aborted) return;
    this.#wire.send(JSON.stringify({ type, event_id: `event_${++this.#events}`, ...data }));
  }
}

/** A JSON object; undefined for anything else. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value))
      : undefined;
  } catch {
    return undefined;
  }
}

/** A field of an object; undefined for anything else. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

/** A number in an object. */
export function numberIn(value: unknown, name: string, otherwise: number): number {
  const found = field(value, name);
  return typeof found === "number" ? found : otherwise;
}
