import { randomUUID } from "node:crypto";
import { setImmediate as nextTask } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { floatsOf, pcmOf } from "../lib/wav.ts";
import {
  type AudioTools,
  type DetectorOptions,
  PAUSES,
  RECOGNISER_RATE,
  type Resampler,
  type SpeechChange,
  type SpeechDetector,
} from "./audio-tools.ts";
import type { Lease, LoadedModels } from "./loaded-models.ts";
import { openAiError, refusal } from "./openai-http.ts";
import { RealtimeItem } from "./realtime-item.ts";
import {
  defaultSettings,
  eventIdOf,
  parseClientEvent,
  type RealtimeSettings,
  type SessionUpdate,
  sessionObject,
  updatedSettings,
} from "./realtime-protocol.ts";
import type { Denoiser } from "./recogniser.ts";
import { languageOrOwn } from "./spoken-language.ts";

/** OpenAI refuses to commit less audio than this. */
const MIN_COMMIT_MS = 100;
/** Messages that wait, as while the model loads, in characters: minutes of audio. */
const MAX_WAITING = 48 * 1024 * 1024;
/** So much audio is processed before others get their turn, in samples. */
const PART = RECOGNISER_RATE / 2;

export interface RealtimeDeps {
  models: LoadedModels;
  /** Loaded when the first audio arrives. */
  audioTools: () => Promise<AudioTools>;
  logger: Logger;
}

/** The connection to a client. */
export interface RealtimeSocket {
  send(text: string): void;
  /** Ends the connection, for a client that sends more than can be processed. */
  end(reason: string): void;
}

interface Input {
  lease: Lease<"stt">;
  tools: AudioTools;
  denoiser: Denoiser | undefined;
}

/**
 * One connection of OpenAI's realtime transcription: `session.update`, then audio in
 * `input_audio_buffer.append`, committed by the client or by `server_vad`. Words are sent as deltas
 * while audio still arrives, as soon as they are certain.
 */
export class RealtimeSession {
  readonly #deps: RealtimeDeps;
  readonly #socket: RealtimeSocket;
  readonly #client: string;
  readonly #closed = new AbortController();
  #settings: RealtimeSettings;
  /** Created at the first audio for this model. */
  #input: Input | undefined;
  /** Why there is none: reported once, and again when the client commits. */
  #broken: { error: unknown } | undefined;
  #resampler: { rate: number; resampler: Resampler } | undefined;
  /** The first sample that the detector got is the session's sample `from`. */
  #detector: { options: DetectorOptions; detector: SpeechDetector; from: number } | undefined;
  /** Samples of the whole session, at `RECOGNISER_RATE`. */
  #position = 0;
  #item: RealtimeItem | undefined;
  #speaking = false;
  /** Whether the client knows that somebody speaks. */
  #announced = false;
  /** Half a sample at the end of an append. */
  #halfSample: Uint8Array = new Uint8Array();
  #previousItemId: string | null = null;
  #sentEvents = 0;
  /** Events are processed in order, also while the model loads. */
  #received: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** Transcripts are sent in the order of their commits. */
  #completed: Promise<void> = Promise.resolve();

  /**
   * @param options.model the model that the connection's address names
   * @param options.client the client whose turn it takes in the queue; by default its own
   */
  constructor(
    deps: RealtimeDeps,
    socket: RealtimeSocket,
    options: { model: string | undefined; client: string | undefined },
  ) {
    this.#deps = deps;
    this.#socket = socket;
    this.#settings = defaultSettings(options.model);
    this.#client = options.client ?? randomUUID();
    this.#emit("session.created", { session: sessionObject(this.#settings) });
  }

  /** Processes a client's message; one that is malformed or unknown gets an `error` event. */
  receive(text: string): void {
    this.#waiting += text.length;
    if (this.#waiting > MAX_WAITING) {
      this.#socket.end("audio arrives faster than it can be processed");
      this.close();
      return;
    }
    this.#received = this.#received
      .then(() => this.#process(text))
      .catch((error) => this.#reportError(error, eventIdOf(text)))
      .then(() => {
        this.#waiting -= text.length;
      });
  }

  /** Aborts everything under way; to be called when the connection is closed. */
  close(): void {
    this.#closed.abort(new Error("the connection is closed"));
    this.#releaseModel();
    this.#detector?.detector[Symbol.dispose]();
    this.#detector = undefined;
  }

  async #process(text: string): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const event = parseClientEvent(text);
    switch (event.type) {
      case "session.update":
        return this.#update(event.session);
      case "input_audio_buffer.append":
        return this.#append(this.#samplesOf(Buffer.from(event.audio, "base64")));
      case "input_audio_buffer.commit":
        return this.#commit();
      case "input_audio_buffer.clear":
        return this.#clear();
    }
  }

  #update(update: SessionUpdate): void {
    const { models } = this.#deps;
    const settings = updatedSettings(this.#settings, update);
    const transcription = update.audio?.input?.transcription;
    if (transcription?.model !== undefined || settings.language !== undefined) {
      const model = models.check("stt", settings.model);
      const param = "session.audio.input.transcription.language";
      settings.language = languageOrOwn(model, settings.language, param);
    }
    if (settings.model !== this.#settings.model) this.#releaseModel();
    this.#broken = undefined;
    if (settings.rate !== this.#settings.rate) this.#halfSample = new Uint8Array();
    this.#settings = settings;
    this.#emit("session.updated", { session: sessionObject(settings) });
    // Who asks for turns in the middle of speech gets its beginning now.
    if (!settings.serverVad) this.#announced = false;
    else if (this.#item && this.#speaking) this.#announce(this.#item);
  }

  /** The buffer is empty then, and so is what the detector knows of it. */
  #clear(): void {
    this.#dropItem();
    this.#detector?.detector.reset();
    this.#halfSample = new Uint8Array();
    this.#speaking = false;
    this.#announced = false;
    this.#broken = undefined;
    this.#emit("input_audio_buffer.cleared", {});
  }

  #samplesOf(bytes: Uint8Array): Float32Array {
    const all = Buffer.concat([this.#halfSample, bytes]);
    this.#halfSample = new Uint8Array(all.subarray(all.length - (all.length % 2)));
    return floatsOf(pcmOf(all));
  }

  async #append(samples: Float32Array): Promise<void> {
    if (this.#broken) return;
    const { lease, tools, denoiser } = await this.#currentInput();
    const { rate } = this.#settings;
    if (this.#resampler?.rate !== rate) {
      this.#resampler = { rate, resampler: tools.resampler(rate, RECOGNISER_RATE) };
    }
    const { resampler } = this.#resampler;
    for (let at = 0; at < samples.length; at += PART) {
      if (at > 0) await nextTask();
      if (this.#closed.signal.aborted) return;
      lease.count(Math.min(PART, samples.length - at) / rate);
      const audio = resampler.resample(samples.subarray(at, at + PART));
      this.#hear(denoiser ? denoiser.push(audio) : audio, tools);
      if (this.#item) {
        void this.#sendInterim(this.#item);
        await this.#item.ready(this.#closed.signal);
      }
    }
  }

  /** Each change between speech and silence divides the audio, so that an item ends where it does. */
  #hear(audio: Float32Array, tools: AudioTools): void {
    const { detector, from } = this.#currentDetector(tools);
    const begin = this.#position;
    let heard = 0;
    for (const change of detector.push(audio)) {
      const upTo = Math.max(heard, Math.min(audio.length, from + change.at - begin));
      this.#push(audio.subarray(heard, upTo));
      heard = upTo;
      this.#change(change, from);
    }
    this.#push(audio.subarray(heard));
  }

  #push(audio: Float32Array): void {
    if (audio.length === 0) return;
    this.#position += audio.length;
    this.#currentItem().push(audio);
  }

  #change({ kind, from }: SpeechChange, detectorFrom: number): void {
    const item = this.#currentItem();
    const { serverVad, prefixMs } = this.#settings;
    this.#speaking = kind === "started";
    if (this.#speaking) {
      const prefix = (prefixMs / 1000) * RECOGNISER_RATE;
      item.beginSpeech(Math.ceil(Math.max(0, this.#position - (detectorFrom + from) + prefix)));
      if (serverVad) this.#announce(item, detectorFrom + from - prefix);
    } else if (serverVad && this.#announced) {
      this.#announced = false;
      this.#emit("input_audio_buffer.speech_stopped", {
        item_id: item.id,
        audio_end_ms: msOf(this.#position),
      });
      this.#commit();
    }
  }

  /** @param from where the item's speech begins, in samples; it is not before the item */
  #announce(item: RealtimeItem, from = 0): void {
    if (this.#announced) return;
    this.#announced = true;
    const first = this.#position - item.samples;
    this.#emit("input_audio_buffer.speech_started", {
      item_id: item.id,
      audio_start_ms: msOf(Math.max(from, first)),
    });
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
    if (this.#broken) {
      const { error } = this.#broken;
      this.#broken = undefined;
      throw error;
    }
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
    const added = { previous_item_id, item: itemObject(item.id) };
    this.#emit("conversation.item.added", added);
    this.#emit("conversation.item.done", added);
    this.#completed = this.#completed.then(() => this.#complete(item));
    // What goes on after a client's commit is the next item's speech.
    if (this.#speaking) this.#currentItem().beginSpeech(0);
  }

  async #complete(item: RealtimeItem): Promise<void> {
    using _item = item;
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

  /** The model and the tools for audio. @throws what keeps them from being loaded, once */
  async #currentInput(): Promise<Input> {
    if (this.#input) return this.#input;
    try {
      const tools = await this.#deps.audioTools();
      const lease = await this.#deps.models.acquire("stt", this.#settings.model);
      if (this.#closed.signal.aborted) {
        lease[Symbol.dispose]();
        throw this.#closed.signal.reason;
      }
      this.#input = { lease, tools, denoiser: lease.model.denoiser?.() };
      return this.#input;
    } catch (error) {
      this.#broken = { error };
      throw error;
    }
  }

  /** Other settings apply from the next silence on, so that speech is not reported to begin twice. */
  #currentDetector(tools: AudioTools) {
    const { detection } = this.#settings;
    const current = this.#detector;
    if (current && (current.detector.speaking || isDeepStrictEqual(current.options, detection))) {
      return current;
    }
    current?.detector[Symbol.dispose]();
    this.#detector = {
      options: detection,
      detector: tools.detector(detection),
      from: this.#position,
    };
    return this.#detector;
  }

  #currentItem(): RealtimeItem {
    const input = this.#input;
    if (!input) throw new Error("there is no audio yet");
    this.#item ??= new RealtimeItem(
      `item_${randomUUID()}`,
      input.lease.model.listen({
        client: this.#client,
        language: this.#settings.language,
        detector: () => input.tools.detector(PAUSES),
      }),
    );
    return this.#item;
  }

  #dropItem(): void {
    this.#item?.[Symbol.dispose]();
    this.#item = undefined;
  }

  #releaseModel(): void {
    this.#dropItem();
    this.#input?.lease[Symbol.dispose]();
    this.#input = undefined;
  }

  #reportError(error: unknown, eventId?: string): void {
    if (this.#closed.signal.aborted) return;
    const { status, error: body } = openAiError(error);
    if (status >= 500) this.#deps.logger.error({ err: error }, "realtime transcription failed");
    this.#emit("error", { error: { ...body, event_id: eventId ?? null } });
  }

  #emit(type: string, data: Record<string, unknown>): void {
    if (this.#closed.signal.aborted) return;
    const event_id = `event_${++this.#sentEvents}`;
    this.#socket.send(JSON.stringify({ type, event_id, ...data }));
  }
}

function msOf(samples: number): number {
  return Math.round((samples / RECOGNISER_RATE) * 1000);
}

/** An item of the conversation as OpenAI has it; its transcript comes in events of its own. */
function itemObject(id: string) {
  const content = [{ type: "input_audio", transcript: null }];
  return {
    id,
    object: "realtime.item",
    type: "message",
    status: "completed",
    role: "user",
    content,
  };
}
