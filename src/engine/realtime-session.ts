import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { floatsOf, pcmOf } from "../lib/wav.ts";
import type { AudioTools, Resampler, SpeechChange, SpeechDetector } from "./audio-tools.ts";
import type { Lease, LoadedModels } from "./loaded-models.ts";
import { openAiError, refusal } from "./openai-http.ts";
import { RealtimeItem } from "./realtime-item.ts";
import {
  defaultSettings,
  parseClientEvent,
  type RealtimeSettings,
  type SessionUpdate,
  sessionObject,
  updatedSettings,
} from "./realtime-protocol.ts";
import { RECOGNISER_RATE } from "./utterance.ts";

/** OpenAI refuses to commit less audio than this. */
const MIN_COMMIT_MS = 100;

export interface RealtimeDeps {
  models: LoadedModels;
  /** Loaded when the first audio arrives. */
  audioTools: () => Promise<AudioTools>;
  logger: Logger;
}

/**
 * One connection of OpenAI's realtime transcription: `session.update`, then audio in
 * `input_audio_buffer.append`, committed by the client or by `server_vad`. Words are sent as deltas
 * while audio still arrives, as soon as they are certain.
 */
export class RealtimeSession {
  readonly #deps: RealtimeDeps;
  readonly #send: (text: string) => void;
  readonly #client: string;
  readonly #closed = new AbortController();
  #settings: RealtimeSettings;
  /** Created at the first audio after the settings changed. */
  #input: { resampler: Resampler; detector: SpeechDetector } | undefined;
  #lease: Lease<"stt"> | undefined;
  #item: RealtimeItem | undefined;
  #previousItemId: string | null = null;
  #sentEvents = 0;
  /** Events are processed in order, also while the model loads. */
  #received: Promise<void> = Promise.resolve();
  /** Transcripts are sent in the order of their commits. */
  #completed: Promise<void> = Promise.resolve();

  /**
   * @param send writes to the connection
   * @param options.model the model that the connection's address names
   * @param options.client the client whose turn it takes in the queue; by default its own
   */
  constructor(
    deps: RealtimeDeps,
    send: (text: string) => void,
    options: { model: string | undefined; client: string | undefined },
  ) {
    this.#deps = deps;
    this.#send = send;
    this.#settings = defaultSettings(options.model);
    this.#client = options.client ?? randomUUID();
    this.#emit("session.created", { session: sessionObject(this.#settings) });
  }

  /** Processes a client's message; one that is malformed or unknown gets an `error` event. */
  receive(text: string): void {
    this.#received = this.#received
      .then(() => this.#process(text))
      .catch((error) => this.#reportError(error));
  }

  /** Aborts everything under way; to be called when the connection is closed. */
  close(): void {
    this.#closed.abort(new Error("the connection is closed"));
    this.#lease?.[Symbol.dispose]();
    this.#lease = undefined;
  }

  async #process(text: string): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const event = parseClientEvent(text);
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

  #update(update: SessionUpdate): void {
    const settings = updatedSettings(this.#settings, update);
    const model = update.audio?.input?.transcription?.model;
    if (model !== undefined) this.#deps.models.check("stt", model);
    if (settings.model !== this.#settings.model) this.#releaseModel();
    this.#settings = settings;
    this.#input = undefined;
    this.#emit("session.updated", { session: sessionObject(settings) });
  }

  async #append(samples: Float32Array): Promise<void> {
    this.#input ??= this.#createInput(await this.#deps.audioTools());
    const { resampler, detector } = this.#input;
    const audio = resampler.resample(samples);
    const item = await this.#currentItem();
    const changes = detector.push(audio);
    item.push(audio, detector.speaking || changes.some(({ kind }) => kind === "started"));
    if (this.#settings.serverVad) {
      for (const change of changes) await this.#reportSpeech(change);
    }
    if (item === this.#item) void this.#sendInterim(item);
  }

  #createInput(tools: AudioTools) {
    return {
      resampler: tools.resampler(this.#settings.rate, RECOGNISER_RATE),
      detector: tools.detector(this.#settings.detection),
    };
  }

  async #reportSpeech({ kind, at }: SpeechChange): Promise<void> {
    const item_id = (await this.#currentItem()).id;
    const ms = Math.round((at / RECOGNISER_RATE) * 1000);
    if (kind === "started") {
      this.#emit("input_audio_buffer.speech_started", { item_id, audio_start_ms: ms });
    } else {
      this.#emit("input_audio_buffer.speech_stopped", { item_id, audio_end_ms: ms });
      this.#commit();
    }
  }

  async #sendInterim(item: RealtimeItem): Promise<void> {
    // A missing interim result does no harm; the commit reports what is wrong with the model.
    const delta = await item.interim(this.#closed.signal).catch(() => undefined);
    this.#sendDelta(item, delta);
  }

  #sendDelta(item: RealtimeItem, delta: string | undefined): void {
    if (delta === undefined) return;
    const data = { item_id: item.id, content_index: 0, delta };
    this.#emit("conversation.item.input_audio_transcription.delta", data);
  }

  #commit(): void {
    const item = this.#item;
    if (!item || item.audioMs < MIN_COMMIT_MS) {
      const ms = Math.round(item?.audioMs ?? 0);
      throw refusal("invalid", `buffer too small: ${ms} ms of audio, expected at least 100 ms`, {
        code: "input_audio_buffer_commit_empty",
      });
    }
    this.#item = undefined;
    const previous_item_id = this.#previousItemId;
    this.#previousItemId = item.id;
    this.#emit("input_audio_buffer.committed", { item_id: item.id, previous_item_id });
    this.#completed = this.#completed.then(() => this.#complete(item));
  }

  async #complete(item: RealtimeItem): Promise<void> {
    const position = { item_id: item.id, content_index: 0 };
    try {
      const { text, rest } = await item.finish(this.#closed.signal);
      this.#sendDelta(item, rest);
      this.#emit("conversation.item.input_audio_transcription.completed", {
        ...position,
        transcript: text,
        usage: { type: "duration", seconds: item.audioMs / 1000 },
      });
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      const data = { ...position, error: openAiError(error).error };
      this.#emit("conversation.item.input_audio_transcription.failed", data);
      // Clients that do not know the `failed` event would wait for the transcript for ever.
      this.#reportError(error);
    }
  }

  async #currentItem(): Promise<RealtimeItem> {
    this.#lease ??= await this.#acquireModel();
    this.#item ??= new RealtimeItem(
      `item_${randomUUID()}`,
      this.#lease.model.listen(this.#client, this.#settings.language),
    );
    return this.#item;
  }

  async #acquireModel(): Promise<Lease<"stt">> {
    const lease = await this.#deps.models.acquire("stt", this.#settings.model);
    if (!this.#closed.signal.aborted) return lease;
    lease[Symbol.dispose]();
    throw this.#closed.signal.reason;
  }

  #releaseModel(): void {
    this.#lease?.[Symbol.dispose]();
    this.#lease = undefined;
    this.#item = undefined;
  }

  #reportError(error: unknown): void {
    if (this.#closed.signal.aborted) return;
    const { status, error: body } = openAiError(error);
    if (status >= 500) this.#deps.logger.error({ err: error }, "realtime transcription failed");
    this.#emit("error", { error: body });
  }

  #emit(type: string, data: Record<string, unknown>): void {
    if (this.#closed.signal.aborted) return;
    this.#send(JSON.stringify({ type, event_id: `event_${++this.#sentEvents}`, ...data }));
  }
}
