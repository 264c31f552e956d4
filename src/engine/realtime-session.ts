import { randomUUID } from "node:crypto";
import { floatsOf, pcmOf } from "../lib/wav.ts";
import type {
  DetectorOptions,
  Hearing,
  Resampler,
  SpeechChange,
  SpeechDetector,
} from "./hearing.ts";
import type { LoadedModels } from "./loaded-models.ts";
import { openAiError, parse, refusal } from "./openai-error.ts";
import { realtimeEvent, type SessionUpdate } from "./realtime-events.ts";
import type { RouteDeps } from "./route-deps.ts";
import { HEARING_RATE } from "./split-audio.ts";
import { SpokenItem } from "./spoken-item.ts";

/** OpenAI refuses to commit less audio than this. */
const SHORTEST_COMMIT_MS = 100;
const DEFAULT_RATE = 24_000;
const DETECTION = { threshold: 0.5, silenceMs: 500 };

type Loan = Awaited<ReturnType<typeof LoadedModels.prototype.borrow<"stt">>>;

/**
 * One connection of OpenAI's realtime transcription: `session.update`, then audio by
 * `input_audio_buffer.append`, committed by the client or by `server_vad`. Words are sent as deltas
 * while the audio still arrives, as soon as they are certain.
 */
export class RealtimeSession {
  readonly #deps: RouteDeps;
  readonly #send: (text: string) => void;
  readonly #client: string;
  readonly #ended = new AbortController();
  #rate = DEFAULT_RATE;
  #model: string | undefined;
  /** On until the client says otherwise, as with OpenAI. */
  #serverVad = true;
  #detection: DetectorOptions = DETECTION;
  #ears: { resampler: Resampler; detector: SpeechDetector } | undefined;
  #loan: Loan | undefined;
  #item: SpokenItem | undefined;
  #events = 0;
  #previous: string | null = null;
  /** Events are taken in their order, also while the model loads; transcripts leave in theirs. */
  #received: Promise<void> = Promise.resolve();
  #completed: Promise<void> = Promise.resolve();

  /**
   * @param send writes to the connection
   * @param model as the connection's address names it
   * @param client whose turn it takes in the queue; else its own
   */
  constructor(
    deps: RouteDeps,
    send: (text: string) => void,
    options: { model: string | undefined; client: string | undefined },
  ) {
    this.#deps = deps;
    this.#send = send;
    this.#model = options.model;
    this.#client = options.client ?? randomUUID();
    this.#emit("session.created", { session: this.#session() });
  }

  /** Takes a message of the client; one that is malformed or unknown gets an `error` event. */
  receive(text: string): void {
    this.#received = this.#received
      .then(() => this.#take(text))
      .catch((error) => this.#fail(error));
  }

  /** Ends what is under way; the connection is gone. */
  close(): void {
    this.#ended.abort(new Error("the connection is gone"));
    this.#loan?.[Symbol.dispose]();
    this.#loan = undefined;
  }

  async #take(text: string): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const event = parse(realtimeEvent, jsonOf(text));
    switch (event.type) {
      case "session.update":
        return this.#update(event.session);
      case "input_audio_buffer.append":
        return this.#append(floatsOf(pcmOf(Buffer.from(event.audio, "base64"))));
      case "input_audio_buffer.commit":
        return this.#commit();
      case "input_audio_buffer.clear":
        this.#item = undefined;
        this.#emit("input_audio_buffer.cleared", {});
    }
  }

  #update({ audio }: SessionUpdate): void {
    const input = audio?.input;
    const model = input?.transcription?.model;
    if (model !== undefined) {
      this.#deps.models.check("stt", model);
      if (model !== this.#model) this.#forgetModel();
      this.#model = model;
    }
    this.#rate = input?.format?.rate ?? this.#rate;
    const detection = input?.turn_detection;
    if (detection === null) this.#serverVad = false;
    else if (detection) {
      this.#serverVad = true;
      this.#detection = {
        threshold: detection.threshold ?? DETECTION.threshold,
        silenceMs: detection.silence_duration_ms ?? DETECTION.silenceMs,
      };
    }
    // Made anew as the settings say, at the next audio.
    this.#ears = undefined;
    this.#emit("session.updated", { session: this.#session() });
  }

  async #append(samples: Float32Array): Promise<void> {
    this.#ears ??= this.#earsOf(await this.#deps.hearing());
    const { resampler, detector } = this.#ears;
    const heard = resampler.resample(samples);
    const item = await this.#currentItem();
    const changes = detector.push(heard);
    item.push(heard, detector.speaking || changes.some(({ kind }) => kind === "started"));
    if (this.#serverVad) for (const change of changes) await this.#tell(change);
    if (item === this.#item) void this.#sendInterim(item);
  }

  #earsOf(hearing: Hearing) {
    return {
      resampler: hearing.resampler(this.#rate, HEARING_RATE),
      detector: hearing.detector(this.#detection),
    };
  }

  async #tell({ kind, at }: SpeechChange): Promise<void> {
    const item_id = (await this.#currentItem()).id;
    const ms = Math.round((at / HEARING_RATE) * 1000);
    if (kind === "started") {
      this.#emit("input_audio_buffer.speech_started", { item_id, audio_start_ms: ms });
    } else {
      this.#emit("input_audio_buffer.speech_stopped", { item_id, audio_end_ms: ms });
      this.#commit();
    }
  }

  async #sendInterim(item: SpokenItem): Promise<void> {
    // The commit says what is wrong with the model; an interim that is missing harms nobody.
    const delta = await item.interim(this.#ended.signal).catch(() => undefined);
    this.#sendDelta(item, delta);
  }

  #sendDelta(item: SpokenItem, delta: string | undefined): void {
    if (delta === undefined) return;
    const what = { item_id: item.id, content_index: 0, delta };
    this.#emit("conversation.item.input_audio_transcription.delta", what);
  }

  #commit(): void {
    const item = this.#item;
    if (!item || item.audioMs < SHORTEST_COMMIT_MS) {
      const ms = Math.round(item?.audioMs ?? 0);
      throw refusal("invalid", `buffer too small: ${ms} ms of audio, expected at least 100 ms`, {
        code: "input_audio_buffer_commit_empty",
      });
    }
    this.#item = undefined;
    const previous_item_id = this.#previous;
    this.#previous = item.id;
    this.#emit("input_audio_buffer.committed", { item_id: item.id, previous_item_id });
    this.#completed = this.#completed.then(() => this.#complete(item));
  }

  async #complete(item: SpokenItem): Promise<void> {
    const about = { item_id: item.id, content_index: 0 };
    try {
      const { text, rest } = await item.finish(this.#ended.signal);
      this.#sendDelta(item, rest);
      this.#emit("conversation.item.input_audio_transcription.completed", {
        ...about,
        transcript: text,
        usage: { type: "duration", seconds: item.audioMs / 1000 },
      });
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      const what = { ...about, error: openAiError(error).error };
      this.#emit("conversation.item.input_audio_transcription.failed", what);
      // Clients that know no other event wait for the transcript for ever.
      this.#fail(error);
    }
  }

  async #currentItem(): Promise<SpokenItem> {
    this.#loan ??= await this.#borrow();
    this.#item ??= new SpokenItem(`item_${randomUUID()}`, this.#loan.model.listen(this.#client));
    return this.#item;
  }

  async #borrow(): Promise<Loan> {
    const loan = await this.#deps.models.borrow("stt", this.#model);
    if (!this.#ended.signal.aborted) return loan;
    loan[Symbol.dispose]();
    throw this.#ended.signal.reason;
  }

  #forgetModel(): void {
    this.#loan?.[Symbol.dispose]();
    this.#loan = undefined;
    this.#item = undefined;
  }

  #session(): Record<string, unknown> {
    const transcription = { model: this.#model ?? null };
    const format = { type: "audio/pcm", rate: this.#rate };
    const { threshold, silenceMs: silence_duration_ms } = this.#detection;
    const turn_detection = this.#serverVad
      ? { type: "server_vad", threshold, silence_duration_ms }
      : null;
    return { type: "transcription", audio: { input: { format, transcription, turn_detection } } };
  }

  #fail(error: unknown): void {
    if (this.#ended.signal.aborted) return;
    const { status, error: told } = openAiError(error);
    if (status >= 500) this.#deps.logger.error({ err: error }, "realtime transcription failed");
    this.#emit("error", { error: told });
  }

  #emit(type: string, data: Record<string, unknown>): void {
    if (this.#ended.signal.aborted) return;
    this.#send(JSON.stringify({ type, event_id: `event_${++this.#events}`, ...data }));
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refusal("invalid", "The message is not valid JSON.", { code: "invalid_event" });
  }
}
